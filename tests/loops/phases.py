"""A small phased loop with its own module and data, to look at `PhasedFitLoop` apart from purchases."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dpc_lightning.data.datasets import AugmentedDataset
from dpc_lightning.data.loaders import ResumableLoader
from dpc_lightning.data.samplers import EpochBatches
from dpc_lightning.loops.phased_fit_loop import PhasedFitLoop
from dpc_lightning.models.schedules import OneCycle

PHASES = (("pretrain", 2, 24), ("round_1", 2, 32), ("round_2", 2, 36), ("evaluate", 2, 36))
"""Name, epochs, training rows."""
STEPS = tuple(epochs * -(-rows // 4) for _, epochs, rows in PHASES)


class Rows(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """The first rows of a fixed random table, by the keys of `EpochBatches`."""

    def __init__(self, rows: int) -> None:
        generator = torch.Generator().manual_seed(7)
        self.x = torch.randn(64, 8, generator=generator)[:rows]
        self.y = torch.randn(64, 2, generator=generator)[:rows]

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, Tensor]:
        return self.x[key[1]], self.y[key[1]]


class PhaseData(LightningDataModule):
    """Loaders of the phase at the cursor; the cursor is its state."""

    def __init__(self, trace: list[str], *, impure: bool = False, ranks: int = 1) -> None:
        super().__init__()
        self.cursor = 0
        self.trace = trace
        self.ranks = ranks
        self.impure = impure

    def setup(self, stage: str) -> None:
        self.trace.append("datamodule.setup")

    def train_dataloader(self) -> DataLoader[Any]:
        self.trace.append("train_dataloader")
        data = Rows(PHASES[self.cursor][2])
        if self.impure:
            plain = [(0, row) for row in range(len(data))]
            return DataLoader(_Keyed(data, plain), batch_size=4, shuffle=True)
        batches = EpochBatches(len(data), 4, seed=3, phase=self.cursor, world_size=self.ranks)
        return ResumableLoader(cast("AugmentedDataset", data), batches)

    def val_dataloader(self) -> DataLoader[Any]:
        self.trace.append("val_dataloader")
        data = Rows(8)
        return DataLoader(TensorDataset(data.x, data.y), batch_size=4)

    def state_dict(self) -> dict[str, Any]:
        return {"cursor": self.cursor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.trace.append("datamodule.load_state_dict")
        self.cursor = state_dict["cursor"]


class _Keyed(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    def __init__(self, rows: Rows, keys: list[tuple[int, int]]) -> None:
        self.rows, self.keys = rows, keys

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        return self.rows[self.keys[place]]


class PhaseModule(LightningModule):
    """Linear-BatchNorm-ReLU-Dropout-Linear; the evaluation has another width and optimizer."""

    def __init__(self, trace: list[str]) -> None:
        super().__init__()
        self.trace = trace
        self.stage = "purchase"
        self.build("purchase")

    def build(self, stage: str) -> None:
        self.stage = stage
        width = 6 if stage == "purchase" else 10
        with torch.random.fork_rng():
            torch.manual_seed(11)
            self.net = nn.Sequential(
                nn.Linear(8, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 2)
            )

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        torch.manual_seed(1000 + self.trainer.global_step)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return nn.functional.mse_loss(self.net(batch[0]), batch[1])

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val_loss", nn.functional.mse_loss(self.net(batch[0]), batch[1]))

    def configure_optimizers(self) -> OptimizerLRScheduler:
        self.trace.append("configure_optimizers")
        kind = torch.optim.AdamW if self.stage == "purchase" else torch.optim.SGD
        optimizer = kind(self.parameters(), lr=0.01)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = OneCycle(optimizer)
        schedule.set_total_steps(steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["stage"] = self.stage

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.trace.append("module.on_load_checkpoint")
        self.build(checkpoint["stage"])

    def digest(self) -> str:
        values = b"".join(value.detach().numpy().tobytes() for value in self.net.state_dict().values())
        return hashlib.sha256(values).hexdigest()[:12]


class PhaseLoop(PhasedFitLoop):
    """Goes through `PHASES`."""

    def __init__(self, trainer: Trainer, module: PhaseModule, data: PhaseData) -> None:
        super().__init__(trainer)
        self.module, self.data = module, data
        self.ended: list[tuple[str, str]] = []
        self.rates: list[float] = []

    @property
    def phase_epochs(self) -> int:
        return PHASES[self.data.cursor][1]

    def first_phase(self) -> None:
        self.module.trace.append("first_phase")

    def next_phase(self) -> bool:
        self.ended.append((PHASES[self.data.cursor][0], self.module.digest()))
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        if self.data.cursor == len(PHASES) - 1:
            return False
        self.data.cursor += 1
        if PHASES[self.data.cursor][0] == "evaluate":
            self.module.build("evaluate")
        self.renew()
        return True

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        self.module.trace.append("fit_loop.on_load_checkpoint")
        super().on_load_checkpoint(state_dict)


class Recorder(Checkpoint):
    """Counts hooks and batches, saves after some steps, and stops the process's work before a step if told so."""

    def __init__(self, folder: Path, *, save_every: int = 0, fail_before: int | None = None) -> None:
        self.folder, self.save_every, self.fail_before = folder, save_every, fail_before
        self.hooks: Counter[str] = Counter()
        self.batches: list[tuple[int, str, int]] = []
        self.places: list[int] = []
        self.validated: list[int] = []

    def _count(self, name: str) -> None:
        self.hooks[name] += 1

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._count("setup")

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._count("on_fit_start")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._count("on_fit_end")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._count("on_train_start")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._count("on_train_end")

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._count("teardown")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.validated.append(trainer.global_step)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.fail_before:
            raise InterruptedError
        assert isinstance(trainer.datamodule, PhaseData)  # type: ignore[attr-defined]
        cursor = trainer.datamodule.cursor  # type: ignore[attr-defined]
        self.places.append(batch_idx)
        self.batches.append((cursor, type(trainer.optimizers[0]).__name__, trainer.global_step))

    def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        if self.save_every and trainer.global_step % self.save_every == 0:
            trainer.save_checkpoint(self.folder / "last.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.save_every < 0:
            trainer.save_checkpoint(self.folder / "last.ckpt")


def run(
    folder: Path,
    *,
    save_every: int = 0,
    fail_before: int | None = None,
    resume: bool = False,
    impure: bool = False,
    ranks: int = 1,
    **settings: Any,
) -> tuple[PhaseLoop, Recorder, list[str], Trainer]:
    """Run the four phases, or up to a failure."""
    trace: list[str] = []
    module, data = PhaseModule(trace), PhaseData(trace, impure=impure, ranks=ranks)
    recorder = Recorder(folder, save_every=save_every, fail_before=fail_before)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        callbacks=[recorder],
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        use_distributed_sampler=False,
        **settings,
    )
    loop = PhaseLoop(trainer, module, data)
    trainer.fit_loop = loop
    last = folder / "last.ckpt"
    with suppress(InterruptedError):
        trainer.fit(module, datamodule=data, ckpt_path=last if resume and last.exists() else None)
    return loop, recorder, trace, trainer


def batches_by_phase(recorder: Recorder) -> Iterator[tuple[int, str]]:
    """Batches and optimizer of each phase."""
    for cursor in range(len(PHASES)):
        of_phase = [kind for where, kind, _ in recorder.batches if where == cursor]
        yield len(of_phase), "/".join(sorted(set(of_phase)))
