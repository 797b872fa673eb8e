"""When checkpoints are written, and what is said where they cannot be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning.pytorch import LightningModule

from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.errors import RunDirError
from dpc_lightning.purchase.plan import Phase

MODULE = cast("LightningModule", None)


class Saving:
    """A trainer that only writes down what it is asked to save."""

    def __init__(self, error: OSError | None = None) -> None:
        self.global_step = 0
        self.saved: list[tuple[str, bool]] = []
        self.error = error

    def save_checkpoint(self, path: Path, *, weights_only: bool) -> None:
        if self.error is not None:
            raise self.error
        self.saved.append((path.name, weights_only))


def test_last_after_every_epoch_and_at_every_boundary_and_the_weights_of_each_phase(tmp_path: Path) -> None:
    trainer: Any = Saving()
    callback, phase = RunCheckpoint(tmp_path), Phase(1, "round", 1, 1)
    callback.on_phase_start(trainer, MODULE, phase)
    callback.on_train_batch_end(trainer, MODULE)
    callback.on_train_epoch_end(trainer, MODULE)
    callback.on_phase_end(trainer, MODULE, phase)
    assert trainer.saved == [("last.ckpt", False), ("last.ckpt", False), ("round_1.ckpt", True)]


def test_every_n_steps(tmp_path: Path) -> None:
    trainer: Any = Saving()
    callback = RunCheckpoint(tmp_path, every_n_steps=3)
    for trainer.global_step in range(1, 8):
        callback.on_train_batch_end(trainer, MODULE)
    assert trainer.saved == [("last.ckpt", False)] * 2


def test_no_space_is_an_error_that_names_the_file_and_the_way_out(tmp_path: Path) -> None:
    trainer: Any = SimpleNamespace(save_checkpoint=Saving(OSError(28, "No space left on device")).save_checkpoint)
    with pytest.raises(RunDirError, match=r"last\.ckpt: No space left on device\. Make room .* start again"):
        RunCheckpoint(tmp_path).on_train_epoch_end(trainer, MODULE)
