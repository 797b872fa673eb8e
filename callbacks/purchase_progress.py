"""A progress display that always shows phase, round, labels left and seconds left."""

import time
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from typing_extensions import override

from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.label_budget import LabelBudget
from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import Phase

__all__ = ["PurchaseProgress"]


class PurchaseProgress(PhaseCallback, ProgressBar):
    """One line for the phase with bar, epoch, labels left and seconds left, and a printed line when a phase ends.

    In a terminal the line is live; elsewhere (a log file, CI) only the printed lines appear. All of it goes to standard
    error, so that standard output stays free for results.
    """

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._console = Console(stderr=True)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._since = time.monotonic()

    @override
    def disable(self) -> None:
        self._enabled = False

    @override
    def enable(self) -> None:
        self._enabled = True

    @override
    def print(self, *args: Any, **kwargs: Any) -> None:
        if self._enabled:
            self._console.print(*args, soft_wrap=True, highlight=False, markup=False)

    def _open(self) -> None:
        if self._enabled and self._progress is None and self._console.is_terminal:
            self._progress = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[budget]}"),
                console=self._console,
                transient=True,
            )
            self._progress.start()

    def _close(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._task = None

    def _budget(self, trainer: Trainer) -> str:
        parts: list[str] = []
        for callback in cast("list[Callback]", trainer.callbacks):  # type: ignore[attr-defined]
            if isinstance(callback, LabelBudget):
                parts.append(f"{callback.left} labels left")
            if isinstance(callback, ComputeBudget):
                left = callback.left
                parts.append(f"{callback.spent:.0f} s spent" if left is None else f"{left:.0f} s left")
        return ", ".join(parts)

    def _show(self, trainer: Trainer, text: str, total: int) -> None:
        self._open()
        if self._progress is not None:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(text, total=total, budget=self._budget(trainer))

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._since = time.monotonic()

    @override
    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._show(trainer, f"round {phase.round}: scoring and picking", total=1)

    @override
    def on_scored(self, trainer: Trainer, pl_module: LightningModule, images: int, total: int) -> None:
        if self._progress is not None and self._task is not None:
            advance = images * trainer.world_size  # the other ranks are as far
            self._progress.update(self._task, advance=advance, total=total, budget=self._budget(trainer))

    @override
    def on_purchase(self, trainer: Trainer, pl_module: LightningModule, record: PurchaseRecord) -> None:
        clean = int((record.labels.sum(axis=1) == 0).sum())
        again = " (as decided by an earlier start)" if record.replayed else ""
        self.print(
            f"round {record.round}: bought {len(record.indices)} labels{again}, {clean} of them clean; "
            f"{record.labels_left} left; scoring {record.score_seconds:.1f} s, picking {record.pick_seconds:.2f} s"
        )

    @override
    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs = trainer.max_epochs
        self._show(
            trainer,
            f"{_spoken(pl_module)}: epoch {trainer.current_epoch + 1} of {epochs}",
            total=int(trainer.num_training_batches),
        )

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=1, budget=self._budget(trainer))

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        metrics = trainer.callback_metrics
        quality = f", validation macro-F1 {float(metrics['val/f1_macro']):.3f}" if "val/f1_macro" in metrics else ""
        self.print(
            f"{phase.name.replace('_', ' ')}: {trainer.current_epoch} epochs in {time.monotonic() - self._since:.1f} s"
            f"{quality}; {self._budget(trainer)}"
        )

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._since = time.monotonic()  # a resumed phase is not announced again

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._close()

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._close()


def _spoken(module: LightningModule) -> str:
    return cast("MultiLabelClassifier", module).phase.replace("_", " ")
