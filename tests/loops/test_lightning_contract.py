"""The protected names of Lightning that `PhasedFitLoop` stands on, and the source that was read for it.

When one of these fails after an upgrade, read the named functions again, mend `phased_fit_loop.py` if needed, and
record the new digests of the version that was read.
"""

import hashlib
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import lightning
import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop

READ_IN = "2.6.6"
READ = {
    "_FitLoop.restarting": "f9b4bea1bb06",
    "_FitLoop.done": "9fdc0e16f8d7",
    "_FitLoop.run": "93956bf26623",
    "_FitLoop.setup_data": "fc7b0a74b8a9",
    "_FitLoop.update_restart_stage": "243e9506a085",
    "_FitLoop.reset": "5d95c0b633e8",
    "_FitLoop.on_run_start": "595e188339aa",
    "_FitLoop.on_advance_start": "49ecb537e035",
    "_FitLoop.on_advance_end": "d8346d574c2d",
    "_FitLoop.on_run_end": "88556ea355f0",
    "_TrainingEpochLoop.done": "dbf244d7d68d",
    "_TrainingEpochLoop.run": "f225cc90deca",
    "_TrainingEpochLoop.reset": "6b6f80f58059",
    "_TrainingEpochLoop.on_run_start": "03fc42840098",
    "_Loop.state_dict": "33570c31f304",
    "_Loop.load_state_dict": "b904818dbe5a",
    "_Loop.on_iteration_done": "22013d8ea063",
}
"""The first 12 hex digits of the sha256 of each function's source in the version that was read."""

OWNERS = {"_FitLoop": _FitLoop, "_TrainingEpochLoop": _TrainingEpochLoop, "_Loop": _Loop}


def digest(function: Callable[..., Any]) -> str:
    """Digest the text, which every Python version sees alike, but for indentation and line ends."""
    text = textwrap.dedent(inspect.getsource(function)).strip()
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def source_of(owner: type, name: str) -> Callable[..., Any]:
    member = vars(owner)[name]
    if isinstance(member, property):
        function = member.fset if name == "restarting" else member.fget
        assert function is not None
        member = function
    function = inspect.unwrap(member)
    assert inspect.isfunction(function)
    return function


@pytest.mark.parametrize("path", sorted(READ))
def test_the_functions_relied_on_are_those_that_were_read(path: str) -> None:
    owner, name = path.split(".")
    assert digest(source_of(OWNERS[owner], name)) == READ[path], (
        f"{path} changed between Lightning {READ_IN} and {lightning.__version__}: read it again"
    )


def test_the_names_are_there_on_a_fresh_trainer() -> None:
    trainer = Trainer(logger=False, enable_checkpointing=False, enable_progress_bar=False, accelerator="cpu")
    loop = trainer.fit_loop
    for name in (
        "run",
        "max_epochs",
        "epoch_progress",
        "epoch_loop",
        "_combined_loader",
        "_data_fetcher",
        "_combined_loader_states_to_load",
        "_last_train_dl_reload_epoch",
        "on_save_checkpoint",
        "on_load_checkpoint",
        "_restarting",
        "_loaded_from_state_dict",
        "_resuming_from_checkpoint",
        "reset_restart_stage",
        "setup_data",
        "max_batches",
        "restarting",
    ):
        assert hasattr(loop, name), name
    for progress in (loop.epoch_progress, loop.epoch_loop.batch_progress):
        for name in ("ready", "started", "processed", "completed"):
            assert hasattr(progress.current, name), name
            assert hasattr(progress.total, name), name
    for name in ("batch_progress", "scheduler_progress", "val_loop"):
        assert hasattr(loop.epoch_loop, name), name
    for name in ("_combined_loader", "_data_fetcher", "_last_val_dl_reload_epoch", "batch_progress"):
        assert hasattr(loop.epoch_loop.val_loop, name), name
    for name in ("reset_results", "reset_metrics"):
        assert callable(getattr(trainer._logger_connector, name))
