"""When checkpoints are written, and what is said where they cannot be."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from torch import nn

from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.errors import DivergedError, RunDirError
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.recipe import Pipeline
from dpc_lightning.purchase.plan import Phase

MODULE = MultiLabelClassifier(Pipeline())
MODULE.network = cast("Any", nn.Linear(2, 1))


class Saving:
    """A trainer that only writes down what it is asked to save."""

    def __init__(self) -> None:
        self.global_step = 0
        self.is_last_batch = self.should_stop = False
        self.saved: list[tuple[str, bool]] = []

    def save_checkpoint(self, path: Path, *, weights_only: bool) -> None:
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


@pytest.mark.parametrize("why", ["is_last_batch", "should_stop"])
def test_the_last_step_of_an_epoch_is_saved_only_with_the_end_of_the_epoch(tmp_path: Path, why: str) -> None:
    trainer: Any = Saving()
    callback = RunCheckpoint(tmp_path, every_n_steps=1)
    setattr(trainer, why, True)
    callback.on_train_batch_end(trainer, MODULE)
    assert trainer.saved == []
    callback.on_train_epoch_end(trainer, MODULE)
    assert trainer.saved == [("last.ckpt", False)]


def test_weights_that_are_nan_are_not_saved(tmp_path: Path) -> None:
    trainer: Any = Saving()
    module = MultiLabelClassifier(Pipeline())
    module.network = cast("Any", nn.Linear(2, 1))
    module.phase = "round_3"
    callback = RunCheckpoint(tmp_path)
    callback.on_train_epoch_end(trainer, module)
    nn.init.constant_(module.network.weight, float("nan"))  # type: ignore[arg-type]
    with pytest.raises(DivergedError, match=r"weight .* phase round_3, epoch 0, seen at the end of the epoch"):
        callback.on_train_epoch_end(trainer, module)
    assert trainer.saved == [("last.ckpt", False)]


def test_ranks_that_read_different_checkpoints_are_told(tmp_path: Path) -> None:
    def checkpoint(step: int) -> dict[str, Any]:
        return {"global_step": step, "epoch": 1, "loops": {"fit_loop": {"state_dict": {"cursor": 2}}}}

    strategy = SimpleNamespace(broadcast=lambda _: [4, 1, 2])  # what rank 0 has read
    trainer: Any = SimpleNamespace(state=SimpleNamespace(fn="fit"), world_size=2, global_rank=1, strategy=strategy)
    callback = RunCheckpoint(tmp_path)
    callback.on_load_checkpoint(trainer, MODULE, checkpoint(4))
    assert callback.saved_step == 4
    with pytest.raises(RunDirError, match="Rank 1 has read another checkpoint"):
        callback.on_load_checkpoint(trainer, MODULE, checkpoint(8))
