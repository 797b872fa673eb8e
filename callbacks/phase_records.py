"""What each phase was: its epochs, its images, its seconds."""

import time
from collections.abc import Sized
from dataclasses import asdict, dataclass
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.data.loaders import ResumableLoader
from dpc_lightning.metrics_file import MetricsFile
from dpc_lightning.purchase.plan import Phase

__all__ = ["PhaseRecord", "PhaseRecords"]


@dataclass
class PhaseRecord:
    """One row of the summary's table of phases."""

    name: str
    """`pretrain`, `round_1`, …, `evaluate`."""
    epochs: int = 0
    """Epochs trained."""
    train_images: int = 0
    """Images in an epoch."""
    seconds: float = 0.0
    """Wall-clock seconds, training and validation; scoring and buying count to the round that they open."""


class PhaseRecords(PhaseCallback):
    """Keeps a `PhaseRecord` for each phase over all starts of the run, and tells the loggers which phase it is.

    Args:
        metrics: the run's file of metrics, which a resume cuts back to what it held at the checkpoint.
    """

    def __init__(self, metrics: MetricsFile) -> None:
        self.metrics = metrics
        self.records: list[PhaseRecord] = []
        self._since = time.monotonic()

    def _count_seconds(self) -> None:
        now = time.monotonic()
        if self.records:
            self.records[-1].seconds += now - self._since
        self._since = now

    def _open(self, name: str) -> None:
        self._count_seconds()
        if not self.records or self.records[-1].name != name:
            self.records.append(PhaseRecord(name))
        self.metrics.phase = name

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.monotonic()
        if not self.records:  # nothing to go on from
            self.metrics.rewind(0, "", 0)

    @override
    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._open(phase.name)

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._open(phase.name)
        for logger in trainer.loggers:
            logger.log_metrics({"phase_number": float(phase.cursor)}, step=trainer.global_step)

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        loader = cast("ResumableLoader", trainer.train_dataloader)
        self.records[-1].train_images = len(cast("Sized", loader.dataset))

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.records[-1].epochs += 1
        self._count_seconds()

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._count_seconds()

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.metrics.save()

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self.metrics.save()
        checkpoint["phase_records"] = {
            "records": [asdict(record) for record in self.records],
            "metrics_rows": self.metrics.rows,
            "metrics_step": trainer.global_step,
        }

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != "fit":
            return
        state = checkpoint["phase_records"]
        self.records = [PhaseRecord(**record) for record in state["records"]]
        self.metrics.phase = self.records[-1].name
        self.metrics.rewind(int(state["metrics_rows"]), self.metrics.phase, int(state["metrics_step"]))
