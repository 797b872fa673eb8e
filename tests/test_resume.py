"""The same command with the same folder goes on where the run stopped, and ends as a run that was not stopped."""

import subprocess
import sys
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.acquisition.expected_gain import ExpectedGain
from dpc_lightning.loops import buyer
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.oracle import HiddenLabels
from dpc_lightning.run_dir import RunDir
from tests.run_dir_holder import held_by_another_process
from tests.small_run import fit, metrics, purchases, weights, words

PHASES = ("pretrain", "round_1", "round_2", "evaluate")


class Stop(BaseException):
    """Ends a run at a chosen place, as a kill would, but within this process."""


def stop_at_call(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    """Wrap a function so that its n-th call, from 0, stops the run."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            raise Stop
        return function(*args, **kwargs)

    return wrapped


def same_as(run_dir: Path, whole: Path) -> None:
    """Compare purchases, weights at the end of every phase, and metrics with an uninterrupted run."""
    assert purchases(run_dir) == purchases(whole)
    assert [weights(run_dir, phase) for phase in PHASES] == [weights(whole, phase) for phase in PHASES]
    timeless = [{key: value for key, value in row.items() if "second" not in key} for row in metrics(run_dir)]
    assert timeless == [{key: value for key, value in row.items() if "second" not in key} for row in metrics(whole)]


PLACES = {
    "first epoch of pretraining": (MultiLabelClassifier, "training_step", 1),
    "second epoch of pretraining": (MultiLabelClassifier, "training_step", 3),
    "validation": (MultiLabelClassifier, "validation_step", 0),
    "scoring of round 1": (MultiLabelClassifier, "score_batch", 0),
    "picking of round 2": (ExpectedGain, "_pick", 1),
    "asking the oracle in round 1": (HiddenLabels, "label", 1),
    "between buying and training": (buyer, "write_purchases", 0),
    "evaluation": (MultiLabelClassifier, "training_step", 10),
    "test": (MultiLabelClassifier, "test_step", 0),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_run_stopped_anywhere_ends_as_one_that_was_not(
    finished_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    root, whole = finished_run
    owner, name, number = PLACES[place]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop_at_call(getattr(owner, name), number))
        with pytest.raises(Stop):
            main(words(root, tmp_path / "run"))
    assert not (tmp_path / "run" / "summary.json").exists()
    fit(root, tmp_path / "run")
    same_as(tmp_path / "run", whole)


@pytest.mark.parametrize("step", [1, 3, 9])
def test_a_run_stopped_within_an_epoch_goes_on_from_its_last_step(
    finished_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    root, whole = finished_run
    trained: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, step))
        with pytest.raises(Stop):
            main(words(root, tmp_path / "run", "--checkpoint_every=1"))
    original = MultiLabelClassifier.training_step

    @wraps(original)
    def noted(module: MultiLabelClassifier, *args: Any) -> Any:
        trained.append(module.trainer.global_step)
        return original(module, *args)

    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", noted)
        fit(root, tmp_path / "run")
    assert trained[0] == step  # nothing is trained twice
    same_as(tmp_path / "run", whole)


@pytest.mark.parametrize("until", ["pretrain.ckpt", "round_1.ckpt"])
def test_a_killed_process_ends_as_one_that_was_not(finished_run: tuple[Path, Path], tmp_path: Path, until: str) -> None:
    root, whole = finished_run
    run_dir = tmp_path / "run"
    command = [sys.executable, "-m", "dpc_lightning", *words(root, run_dir)]
    with (tmp_path / "stderr").open("w") as errors, subprocess.Popen(command, stderr=errors) as process:
        deadline = time.monotonic() + 120
        while not (run_dir / "checkpoints" / until).exists():
            assert process.poll() is None, (tmp_path / "stderr").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
    assert not (run_dir / "summary.json").exists()
    fit(root, run_dir)
    same_as(run_dir, whole)


def test_another_configuration_in_the_same_folder_is_refused(
    finished_run: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    root, run_dir = finished_run
    assert main(words(root, run_dir, "--purchase.labels=13")) == 2
    assert "purchase.labels: 12 -> 13" in capfd.readouterr().err


def test_a_folder_in_use_is_refused(small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    with held_by_another_process(run_dir):
        assert main(words(small_root, run_dir.path)) == 2
    assert "is in use by process" in capfd.readouterr().err
