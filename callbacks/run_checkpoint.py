"""The checkpoints by which a run goes on where it stopped."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.errors import RunDirError
from dpc_lightning.purchase.plan import Phase

__all__ = ["RunCheckpoint"]


class RunCheckpoint(PhaseCallback, Checkpoint):
    """Writes `last.ckpt` after every epoch and at every phase boundary, and each phase's final weights by its name.

    Lightning writes a checkpoint to a temporary file and moves it, so that the file is complete or absent.

    Args:
        folder: the run's folder of checkpoints.
        every_n_steps: also write `last.ckpt` after so many training steps; None for epochs and phases only.

    Raises:
        RunDirError: by its hooks, if a checkpoint cannot be written.
    """

    def __init__(self, folder: Path, every_n_steps: int | None = None) -> None:
        self.folder = folder
        self.every_n_steps = every_n_steps

    def _save_last(self, trainer: Trainer) -> None:
        self._save(trainer, "last", weights_only=False)

    def _save(self, trainer: Trainer, name: str, *, weights_only: bool) -> None:
        path = self.folder / f"{name}.ckpt"
        try:
            trainer.save_checkpoint(path, weights_only=weights_only)
        except OSError as error:
            msg = (
                f"Cannot write {path}: {error.strerror or error}. Make room or set permissions, then start again: "
                "the run goes on from the checkpoint before."
            )
            raise RunDirError(msg) from error

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._save_last(trainer)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self._save_last(trainer)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_last(trainer)

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._save(trainer, phase.name, weights_only=True)
