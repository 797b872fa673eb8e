"""The checkpoints by which a run goes on where it stopped."""

from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.errors import RunDirError
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import Phase

__all__ = ["RunCheckpoint", "ends_epoch"]


def ends_epoch(trainer: Trainer) -> bool:
    """Say whether the batch that has been trained is the last of its epoch, or of an epoch that is cut off here."""
    return trainer.should_stop or trainer.is_last_batch


class RunCheckpoint(PhaseCallback, Checkpoint):
    """Writes `last.ckpt` after every epoch and at every phase boundary, and each phase's final weights by its name.

    The trainer's `CheckpointFile` writes them, so that a file is complete or absent.

    Args:
        folder: the run's folder of checkpoints.
        every_n_steps: also write `last.ckpt` after so many training steps; None for epochs and phases only.

    Attributes:
        saved_step: training steps of the run in `last.ckpt`.

    Raises:
        DivergedError: by its hooks, in place of saving weights that are NaN or infinite.
        RunDirError: likewise, if a checkpoint cannot be written, or if the ranks have read different ones.
    """

    def __init__(self, folder: Path, every_n_steps: int | None = None) -> None:
        self.folder = folder
        self.every_n_steps = every_n_steps
        self.saved_step = 0

    def _save_last(self, trainer: Trainer, module: LightningModule, place: str) -> None:
        cast("MultiLabelClassifier", module).require_finite(place)
        trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
        self.saved_step = trainer.global_step

    @override
    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        if trainer.state.fn != "fit":
            return
        self.saved_step = int(checkpoint["global_step"])
        if trainer.world_size == 1:
            return
        cursor = int(checkpoint["loops"]["fit_loop"]["state_dict"]["cursor"])
        place = [self.saved_step, int(checkpoint["epoch"]), cursor]
        if trainer.strategy.broadcast(place) != place:
            msg = (
                f"Rank {trainer.global_rank} has read another checkpoint in {self.folder} than rank 0: all ranks must "
                "see the same files. Start again when they do."
            )
            raise RunDirError(msg)

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        self._save_last(trainer, pl_module, "its start")

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if ends_epoch(trainer):
            return  # saved when the epoch has ended: a resume from here would leave out its validation and its hooks
        if self.every_n_steps and trainer.global_step % self.every_n_steps == 0:
            self._save_last(trainer, pl_module, f"step {trainer.global_step}")

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._save_last(trainer, pl_module, "the end of the epoch")

    @override
    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        trainer.save_checkpoint(self.folder / f"{phase.name}.ckpt", weights_only=True)
