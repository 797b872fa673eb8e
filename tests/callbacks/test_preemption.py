"""A run that is asked to go saves its state, ends with status 75, and goes on as if nothing had been."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import wraps
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning.pytorch import LightningModule

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks.preemption import Preemption
from dpc_lightning.errors import PreemptedError
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
        strategy=SimpleNamespace(**decision),
        save_checkpoint=lambda path, weights_only: saved.append(path),
    )
    with pytest.raises(PreemptedError, match="another rank"):
        Preemption(Path("folder")).on_train_batch_end(trainer, MODULE)
    assert saved == [Path("folder/last.ckpt")]


def test_nothing_happens_without_a_signal_or_outside_the_main_thread() -> None:
    trainer: Any = SimpleNamespace(world_size=1)
    callback = Preemption(Path("folder"))
    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=callback.on_train_start, args=(trainer, MODULE))
    thread.start()
    thread.join()
    assert signal.getsignal(signal.SIGTERM) == before
    callback.on_train_batch_end(trainer, MODULE)
