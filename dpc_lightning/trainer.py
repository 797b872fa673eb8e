"""The trainer whose fit loop buys."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar, StochasticWeightAveraging
from lightning.pytorch.callbacks.batch_size_finder import BatchSizeFinder
from lightning.pytorch.callbacks.lr_finder import LearningRateFinder
from typing_extensions import override

from dpc_lightning.callbacks.phase_records import PhaseRecords
from dpc_lightning.callbacks.phase_reset import PhaseReset
from dpc_lightning.callbacks.purchase_log import PurchaseLog
from dpc_lightning.callbacks.purchase_progress import PurchaseProgress
from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.callbacks.step_seed import StepSeed
from dpc_lightning.callbacks.weight_averaging import WeightAveraging
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import ConfigError
from dpc_lightning.loops.purchase_loop import PurchaseLoop
from dpc_lightning.metrics_file import MetricsFile
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import PurchasePlan
from dpc_lightning.run_dir import RunDir

__all__ = ["PurchaseTrainer"]

PLAN_DECIDES = {
    "max_epochs": "set `purchase.pretrain_epochs`, `purchase.round_epochs` and `evaluate.epochs`",
    "min_epochs": "set `purchase.pretrain_epochs`, `purchase.round_epochs` and `evaluate.epochs`",
    "max_steps": "set epochs: `purchase.pretrain_epochs`, `purchase.round_epochs`, `evaluate.epochs`",
    "min_steps": "set epochs: `purchase.pretrain_epochs`, `purchase.round_epochs`, `evaluate.epochs`",
    "max_time": "set `purchase.seconds`: Lightning's timer starts again in every phase",
}
"""Trainer settings that mean nothing to a loop whose phases come from a plan, and what to set in their place."""

REFUSED_CALLBACKS: dict[type[Callback], str] = {
    StochasticWeightAveraging: "set `model.average_decay` or `evaluate.average_decay`",
    LearningRateFinder: "set the learning rate in `model.optimizer` and `evaluate.optimizer`",
    BatchSizeFinder: "set `model.batch_size` and `evaluate.batch_size`",
}

REFUSED_STRATEGIES = ("ddp_spawn", "ddp_fork", "ddp_notebook")


class PurchaseTrainer(Trainer):
    """Lightning's trainer with a `PurchaseLoop` as its `fit_loop`.

    Takes the arguments of `lightning.pytorch.Trainer`, but for those that such a loop makes meaningless.

    Raises:
        ConfigError: if such an argument, callback or strategy is given; the message says what to set in its place.
    """

    callbacks: list[Callback]
    run_dir: RunDir

    def __init__(self, **kwargs: Any) -> None:
        _refuse_meaningless(kwargs)
        kwargs["use_distributed_sampler"] = (
            False  # the data module shares batches out itself, as a function of the seed
        )
        kwargs.update(_devices_of_torchrun(kwargs, os.environ))
        super().__init__(**kwargs)

    @classmethod
    def with_purchase(
        cls,
        plan: PurchasePlan,
        *,
        evaluate_epochs: int,
        run_dir: RunDir,
        seed: int,
        callbacks: Sequence[Callback] = (),
        **kwargs: Any,
    ) -> "PurchaseTrainer":
        """Build a trainer that carries out a plan.

        Args:
            plan: what may be bought.
            evaluate_epochs: epochs of the evaluation phase.
            run_dir: where the run leaves its files.
            seed: seed of the run.
            callbacks: further callbacks. Budgets, checkpoints and records are always there.
            **kwargs: arguments of `lightning.pytorch.Trainer`.
        """
        metrics = MetricsFile(run_dir.metrics)
        forced: list[Callback] = [
            PhaseReset(),
            StepSeed(seed),
            WeightAveraging(),
            PhaseRecords(metrics),
            PurchaseLog(),
            RunCheckpoint(run_dir.checkpoints),
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
        return trainer

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
            msg = "This trainer has no purchase plan: build it by `PurchaseTrainer.with_purchase`."
            raise ConfigError(msg)
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
            ckpt_path: a checkpoint to go on from; `last.ckpt` of the run folder if there is one.
            weights_only: passed on to Lightning.
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
        last = self.run_dir.last_checkpoint
        if ckpt_path is None and last.exists():
            ckpt_path = last
        super().fit(model, datamodule=datamodule, ckpt_path=ckpt_path, weights_only=weights_only)


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


def _refuse_meaningless(kwargs: dict[str, Any]) -> None:
    for name, way_out in PLAN_DECIDES.items():
        if kwargs.get(name) not in (None, -1):
            msg = f"`trainer.{name}` has no effect here, because the phases come from the plan: {way_out}."
            raise ConfigError(msg)
    callbacks = kwargs.get("callbacks") or []
    for callback in callbacks if isinstance(callbacks, list) else [callbacks]:
        for refused, way_out in REFUSED_CALLBACKS.items():
            if isinstance(callback, refused):
                msg = f"`trainer.callbacks`: {type(callback).__name__} does not work across phases: {way_out}."
                raise ConfigError(msg)
    strategy = kwargs.get("strategy")
    if isinstance(strategy, str) and strategy.startswith(REFUSED_STRATEGIES):
        msg = f"`trainer.strategy: {strategy}` cannot hand back networks that change from phase to phase. Use `ddp`."
        raise ConfigError(msg)
