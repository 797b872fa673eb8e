"""The start model of a run, kept so that other runs can begin with it."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.atomic import write_atomically
from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.purchase.plan import Phase

__all__ = ["StartKeeper"]


class StartKeeper(PhaseCallback):
    """Copies what a run left at the end of its pretraining, before it bought anything.

    A run of the same seed, data and `model:` that finds these files in its own folder goes on from there as if it had
    pretrained itself: with the same weights, the same metrics, and the same seconds spent.

    Args:
        folder: where `checkpoints/last.ckpt`, `metrics.csv` and `weights.ckpt` (the weights alone) go.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        # the checkpoint that this phase begins with has not been written yet: the last one is of the pretraining's end
        if phase.cursor != 1 or not trainer.is_global_zero:
            return
        run = Path(trainer.default_root_dir)
        copies = {
            "weights.ckpt": run / "checkpoints" / "pretrain.ckpt",
            "metrics.csv": run / "metrics.csv",
            "checkpoints/last.ckpt": run / "checkpoints" / "last.ckpt",  # last: where it is, all are
        }
        for name, source in copies.items():
            copy = self.folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(copy, [source.read_bytes()])
