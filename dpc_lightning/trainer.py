"""The trainer whose fit loop buys."""

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from typing_extensions import override

from dpc_lightning.callbacks.lowered_rates import LoweredRates
from dpc_lightning.callbacks.phase_records import PhaseRecords
from dpc_lightning.callbacks.phase_reset import PhaseReset
from dpc_lightning.callbacks.preemption import Preemption
from dpc_lightning.callbacks.purchase_log import PurchaseLog
from dpc_lightning.callbacks.purchase_progress import PurchaseProgress
from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.callbacks.step_seed import StepSeed
from dpc_lightning.callbacks.weight_averaging import WeightAveraging
from dpc_lightning.checkpoint_file import CheckpointFile, usable_checkpoint
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.data.loaders import worker_errors
from dpc_lightning.errors import ConfigError, DivergedError, LoweredRateError
from dpc_lightning.loops.purchase_loop import PurchaseLoop
from dpc_lightning.metrics_file import MetricsFile
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import PurchasePlan
from dpc_lightning.run_dir import RunDir
from dpc_lightning.trainer_settings import refuse_callbacks, refuse_precision, refuse_settings, refuse_strategy

__all__ = ["LOWERED_RATE", "PurchaseTrainer"]

LOWERED_RATE = "lowered_rate"
"""Kind of the ledger's event that says from which step on a phase has a lower learning rate."""

_NO_PLAN = "This trainer has no purchase plan: build it by `PurchaseTrainer.with_purchase`."


class PurchaseTrainer(Trainer):
    """Lightning's trainer with a `PurchaseLoop` as its `fit_loop`.

    Takes the arguments of `lightning.pytorch.Trainer`, but for those that such a loop makes meaningless.

    Raises:
        ConfigError: if such an argument, callback or strategy is given, or if Lightning refuses one; the message says
            what to set in its place.
    """

    callbacks: list[Callback]
    run_dir: RunDir

    def __init__(self, **kwargs: Any) -> None:
        refuse_settings(kwargs)
        kwargs["use_distributed_sampler"] = (
            False  # the data module shares batches out itself, as a function of the seed
        )
        kwargs |= _devices_of_torchrun(kwargs, os.environ)
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*AMP with fp16 is not supported on CPU")  # refused below
                super().__init__(**kwargs)
        except (MisconfigurationException, ValueError, ImportError) as error:
            msg = f"Lightning's trainer refuses a setting of the group `trainer:`: {error}"
            raise ConfigError(msg) from error
        refuse_strategy(self.strategy)
        refuse_precision(kwargs, self.accelerator)

    @classmethod
    def with_purchase(
        cls,
        plan: PurchasePlan,
        *,
        evaluate_epochs: int,
        run_dir: RunDir,
        seed: int,
        checkpoint_every: int | None = None,
        callbacks: Sequence[Callback] = (),
        **kwargs: Any,
    ) -> "PurchaseTrainer":
        """Build a trainer that carries out a plan.

        Args:
            plan: what may be bought.
            evaluate_epochs: epochs of the evaluation phase.
            run_dir: where the run leaves its files.
            seed: seed of the run.
            checkpoint_every: training steps from one `last.ckpt` to the next within an epoch; None for epochs only.
            callbacks: further callbacks. Budgets, checkpoints and records are always there; a `PurchaseLog` or a
                progress bar takes the place of the usual one.
            **kwargs: arguments of `lightning.pytorch.Trainer`.
        """
        refuse_callbacks(callbacks)
        metrics = MetricsFile(run_dir.metrics)
        forced: list[Callback] = [
            PhaseReset(),
            StepSeed(seed),
            WeightAveraging(),
            PhaseRecords(metrics),
            LoweredRates(lambda: trainer.purchase_loop.buyer.noted(trainer.data, LOWERED_RATE)),
            *([] if any(isinstance(callback, PurchaseLog) for callback in callbacks) else [PurchaseLog()]),
            RunCheckpoint(run_dir.checkpoints, checkpoint_every),
            Preemption(run_dir.checkpoints),
        ]
        shows = kwargs.get("enable_progress_bar") is not False
        if shows and not any(isinstance(callback, ProgressBar) for callback in callbacks):
            forced.insert(0, PurchaseProgress())
        trainer = cls(callbacks=[*callbacks, *forced], default_root_dir=str(run_dir.path), **kwargs)
        trainer.loggers = [*trainer.loggers, metrics]
        loop = PurchaseLoop(trainer, plan, evaluate_epochs=evaluate_epochs, run_dir=run_dir.path, seed=seed)
        trainer.callbacks[:0] = loop.callbacks
        trainer.fit_loop = loop
        trainer.run_dir = run_dir
        trainer.strategy.checkpoint_io = CheckpointFile(run_dir.checkpoints)
        return trainer

    @property
    def preemption(self) -> Preemption:
        """What listens to the signals of a scheduler.

        Raises:
            ConfigError: if the trainer was built without a plan.
        """
        for callback in self.callbacks:
            if isinstance(callback, Preemption):
                return callback
        raise ConfigError(_NO_PLAN)

    @property
    def data(self) -> PurchaseDataModule:
        """The data of the run, once `fit` has begun."""
        data: PurchaseDataModule = self.datamodule  # type: ignore[attr-defined]
        return data

    @property
    def finished(self) -> bool:
        """Whether the run folder holds a finished run: its summary is the last file that is written."""
        return self.run_dir.summary.exists()

    @property
    def purchase_loop(self) -> PurchaseLoop:
        """The loop that buys.

        Raises:
            ConfigError: if the trainer was built without a plan.
        """
        if not isinstance(self.fit_loop, PurchaseLoop):
            raise ConfigError(_NO_PLAN)
        return self.fit_loop

    @override
    def fit(
        self,
        model: LightningModule,
        train_dataloaders: Any = None,
        val_dataloaders: Any = None,
        datamodule: LightningDataModule | None = None,
        ckpt_path: Any = None,
        weights_only: bool | None = None,
    ) -> None:
        """Buy labels and train on them: pretrain, rounds of (score, pick, buy, train), evaluation.

        A run that is finished stays as it is.

        Args:
            model: a `MultiLabelClassifier`.
            train_dataloaders: refused; the data module gives the loaders of each phase.
            val_dataloaders: refused; the data module gives the loader.
            datamodule: a `PurchaseDataModule`.
            ckpt_path: a checkpoint to go on from; `last.ckpt` of the run folder if there is one, and the one before it
                if that is damaged.
            weights_only: passed on to Lightning.

        Raises:
            ConfigError: if model or data are of another kind, or if Lightning finds a setting wrong while it runs.
            DataError: if a process that loads data was killed.
            DivergedError: if the training loss becomes NaN or infinite and may not be retried.
            LoweredRateError: if it may be: the ledger says so, and `fit` of a new trainer in the same folder goes on.
            RunDirError: if there are checkpoints, and all are damaged.
        """
        if not isinstance(model, MultiLabelClassifier) or not isinstance(datamodule, PurchaseDataModule):
            msg = "Expected a MultiLabelClassifier and a PurchaseDataModule: a purchase needs to know both."
            raise ConfigError(msg)
        if train_dataloaders is not None or val_dataloaders is not None:
            msg = "Expected no loaders: the PurchaseDataModule gives those of each phase."
            raise ConfigError(msg)
        if self.finished:
            return
        self.purchase_loop.attach(model, datamodule)
        if ckpt_path is None:
            ckpt_path = usable_checkpoint(self.run_dir.checkpoints, set_aside=self.is_global_zero)
        try:
            with worker_errors():
                super().fit(model, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=weights_only)
        except DivergedError as error:
            self._note_retry(error, model)
            raise
        except (MisconfigurationException, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "Early stopping conditioned on metric" not in str(error):
                raise
            msg = f"Lightning refuses a setting of the group `trainer:`: {error}"
            raise ConfigError(msg) from error
        finally:
            self.purchase_loop.buyer.close()  # however it ended: Lightning tears down only the loop that was running

    def _note_retry(self, error: DivergedError, module: MultiLabelClassifier) -> None:
        """Note in the ledger that the phase goes on with a lower rate, if a retry is left, and say so."""
        recipe, phase = module.active, module.phase
        used = sum(each.phase == phase for each in module.lowered_rates)
        if used >= recipe.retries_after_nan:
            if used:
                msg = f"{error} The rate of this phase was lowered {used} times already."
                raise DivergedError(msg) from error
            return
        step = next(each.saved_step for each in self.callbacks if isinstance(each, RunCheckpoint))
        self.purchase_loop.buyer.note(
            self.data, LOWERED_RATE, phase=phase, from_step=step, factor=recipe.rate_after_nan
        )
        msg = (
            f"{error} Retry {used + 1} of {recipe.retries_after_nan}: the run goes back to its last checkpoint, of "
            f"step {step}, and the learning rate of the rest of {phase} is multiplied by "
            f"{recipe.rate_after_nan ** (used + 1):g}."
        )
        raise LoweredRateError(msg, self.run_dir.path) from error


def _devices_of_torchrun(kwargs: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, int]:
    """Take the number of processes from torchrun, which decides it; `auto` means one on a CPU, and all GPUs else."""
    if "TORCHELASTIC_RUN_ID" not in environ:
        return {}
    here, nodes = int(environ["LOCAL_WORLD_SIZE"]), int(environ["GROUP_WORLD_SIZE"])
    devices = kwargs.get("devices", "auto")
    if devices not in ("auto", -1, "-1", here, str(here)) and not (isinstance(devices, list) and len(devices) == here):
        msg = (
            f"`trainer.devices` is {devices!r}, but torchrun started {here} processes here: leave `trainer.devices` "
            "out, or give torchrun the same number by `--nproc_per_node`."
        )
        raise ConfigError(msg)
    return {"num_nodes": nodes} if isinstance(devices, list) else {"devices": here, "num_nodes": nodes}
