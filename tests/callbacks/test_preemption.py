"""A run that is asked to go saves its state, ends with status 75, and goes on as if nothing had been."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning.pytorch import LightningModule

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks.preemption import Preemption
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.data.synthetic import writer
from dpc_lightning.data.whole_folder import write_description
from dpc_lightning.errors import PreemptedError
from dpc_lightning.loops.purchase_loop import PurchaseLoop
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.small_run import fit, purchases, weights, words

MODULE = cast("LightningModule", None)
PHASES = ("pretrain", "round_1", "round_2", "evaluate")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_process_that_is_asked_to_go_ends_with_75_and_goes_on(
    finished_run: tuple[Path, Path], tmp_path: Path, number: signal.Signals
) -> None:
    root, whole = finished_run
    run_dir = tmp_path / "run"
    command = [sys.executable, "-m", "dpc_lightning", *words(root, run_dir)]
    with (tmp_path / "stderr").open("w") as errors, subprocess.Popen(command, stderr=errors) as process:
        deadline = time.monotonic() + 120
        while not (run_dir / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, (tmp_path / "stderr").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        time.sleep(0.1)  # the first phase is announced and checkpointed before its training starts
        process.send_signal(number)
        assert process.wait(60) == 75, (tmp_path / "stderr").read_text()
    assert f"{number.name} asked for it" in (tmp_path / "stderr").read_text()
    assert not (run_dir / "summary.json").exists()
    fit(root, run_dir)
    assert purchases(run_dir) == purchases(whole)
    assert [weights(run_dir, phase) for phase in PHASES] == [weights(whole, phase) for phase in PHASES]


def signalled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that the process is asked to go when it is called."""

    @wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        os.kill(os.getpid(), signal.SIGUSR1)
        return function(*args, **kwargs)

    return asked


def test_a_signal_while_data_are_made_ends_the_run_at_once_and_leaves_nothing_half_made(
    finished_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(writer, "write_description", signalled(write_description))
        assert main(words(tmp_path / "data", tmp_path / "run")) == 75
    assert not (tmp_path / "data").exists()
    fit(tmp_path / "data", tmp_path / "run")
    assert purchases(tmp_path / "run") == purchases(finished_run[1])


def test_lightnings_requeueing_is_off_from_the_first_moment(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under SLURM Lightning would call `scontrol requeue` and write a checkpoint of its own."""
    command = tmp_path / "bin" / "scontrol"
    command.parent.mkdir()
    command.write_text(f"#!/bin/sh\ntouch {tmp_path}/requeued\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(command.parent), prepend=os.pathsep)
    slurm = {"NTASKS": "1", "JOB_ID": "7", "JOB_NAME": "train", "NODELIST": "here", "PROCID": "0", "LOCALID": "0"}
    slurm |= {"NODEID": "0", "NTASKS_PER_NODE": "1", "JOB_NUM_NODES": "1"}
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for place in (PurchaseDataModule.setup, PurchaseLoop.first_phase, MultiLabelClassifier.training_step):
        owner = {"setup": PurchaseDataModule, "first_phase": PurchaseLoop}.get(place.__name__, MultiLabelClassifier)
        with monkeypatch.context() as patch:
            patch.setattr(owner, place.__name__, signalled(place))
            assert main(words(small_root, tmp_path / "run")) == 75
    assert not (tmp_path / "requeued").exists()
    assert not list(tmp_path.rglob("hpc_ckpt*"))


def test_a_worker_that_was_forked_off_ends_as_if_nobody_listened() -> None:
    callback = Preemption(Path("folder"))
    with callback.listening():
        child = os.fork()
        if child == 0:
            signal.pause()
            os._exit(0)
        time.sleep(0.05)
        os.kill(child, signal.SIGTERM)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize(("place", "number"), [("training_step", 2), ("score_batch", 0), ("test_step", 0)])
def test_wherever_the_signal_comes_the_rest_is_the_same(
    finished_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    root, whole = finished_run
    function = getattr(MultiLabelClassifier, place)
    calls = 0

    @wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return function(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, place, asked)
        assert main(words(root, tmp_path / "run")) == 75
    fit(root, tmp_path / "run")
    assert purchases(tmp_path / "run") == purchases(whole)
    assert [weights(tmp_path / "run", phase) for phase in PHASES] == [weights(whole, phase) for phase in PHASES]


def test_a_rank_that_was_not_asked_goes_along() -> None:
    saved: list[Path] = []
    decision = {"reduce_boolean_decision": lambda mine, **_: True}
    trainer: Any = SimpleNamespace(
        world_size=2,
        should_stop=False,
        is_last_batch=False,
        strategy=SimpleNamespace(**decision),
        save_checkpoint=lambda path, weights_only: saved.append(path),
    )
    with pytest.raises(PreemptedError, match="another rank"):
        Preemption(Path("folder")).on_train_batch_end(trainer, MODULE)
    assert saved == [Path("folder/last.ckpt")]


def test_nothing_happens_without_a_signal_or_outside_the_main_thread() -> None:
    trainer: Any = SimpleNamespace(world_size=1, should_stop=False, is_last_batch=False)
    callback = Preemption(Path("folder"))
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=callback.on_loop_start, args=(trainer, MODULE))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before
    callback.on_train_batch_end(trainer, MODULE)
