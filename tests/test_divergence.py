"""A loss that becomes NaN: where it is said, and how a run goes back and lowers its rate."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.cli import _without_checkpoint
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, purchases, weights, words
from tests.test_resume import PHASES, Stop, stop_at_call

RETRY = ("--model.retries_after_nan=1", "--model.rate_after_nan=0.25")
STEP = 3  # the last of pretraining; the checkpoint before it is of step 2


def spoilt(rates: list[float], *, times: int = 1) -> Callable[..., Any]:
    """Wrap `training_step`: note the learning rate, and give step 3 labels that are NaN, so many times."""
    original = MultiLabelClassifier.training_step
    left = times

    def training_step(module: MultiLabelClassifier, batch: Any, batch_idx: int) -> Any:
        nonlocal left
        optimizer: Any = module.optimizers()
        rates.append(float(optimizer.param_groups[0]["lr"]))
        if module.trainer.global_step == STEP and left:
            left -= 1
            batch = {**batch, "label": batch["label"] * float("nan")}
        return original(module, batch, batch_idx)

    return training_step


def lowered(run_dir: Path) -> list[dict[str, Any]]:
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        ledger.verify()
        return ledger.events("lowered_rate")


def test_it_ends_the_run_with_phase_epoch_and_batch(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultiLabelClassifier, "training_step", spoilt([]))
    assert main(words(small_root, tmp_path / "run")) == 2
    said = capfd.readouterr().err
    assert "The training loss is NaN or infinite in phase pretrain, epoch 1, seen at batch 1." in said
    assert "`model.retries_after_nan: 2`" in said
    assert "Traceback" not in said
    assert lowered(tmp_path / "run") == []


def test_it_goes_back_once_and_lowers_the_rate_of_the_rest_of_the_phase(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    monkeypatch.chdir(tmp_path)
    command = [word for word in words(small_root, tmp_path, *RETRY) if not word.startswith("--run_dir")]
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", spoilt(rates))
        assert main(command) == 0
    (run_dir,) = (tmp_path / "runs" / "quickstart").iterdir()  # and not a second one for the second attempt
    assert lowered(run_dir) == [{"phase": "pretrain", "from_step": 2, "factor": 0.25}]
    assert "Retry 1 of 1: the run goes back to its last checkpoint, of step 2" in capfd.readouterr().err
    assert rates[4:6] == [0.25 * rate for rate in rates[2:4]]
    assert max(rates[6:8]) == max(rates[:4])  # round 1 has its own rate again

    # whatever is lost, the same happens again: the rate is a function of the ledger and the step
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", spoilt([]))
        patch.setattr(
            MultiLabelClassifier, "on_train_epoch_end", stop_at_call(MultiLabelClassifier.on_train_epoch_end, 1)
        )
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "stopped", *RETRY))
    assert len(lowered(tmp_path / "stopped")) == 1
    fit(small_root, tmp_path / "stopped", *RETRY)
    assert [weights(tmp_path / "stopped", phase) for phase in PHASES] == [weights(run_dir, phase) for phase in PHASES]
    assert purchases(tmp_path / "stopped") == purchases(run_dir)

    before = weights(run_dir, "pretrain")
    (run_dir / "summary.json").unlink()
    shutil.rmtree(run_dir / "checkpoints")
    monkeypatch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, 4))
    with pytest.raises(Stop):
        main(words(small_root, run_dir, *RETRY))
    assert weights(run_dir, "pretrain") == before


def test_it_ends_the_run_when_the_retries_are_used_up(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultiLabelClassifier, "training_step", spoilt([], times=3))
    assert main(words(small_root, tmp_path / "run", *RETRY)) == 2
    assert len(lowered(tmp_path / "run")) == 1
    said = capfd.readouterr().err
    assert "Retry 1 of 1" in said
    assert said.rstrip().splitlines()[-1].startswith("error: The training loss is NaN or infinite in phase pretrain")
    assert "lowered 1 times already" in said
    assert main(words(small_root, tmp_path / "run", *RETRY)) == 2  # a new start has no more of them
    fit(small_root, tmp_path / "run", *RETRY)  # by now the loss is finite


@pytest.mark.parametrize("words", [["--ckpt_path", "a.ckpt"], ["--ckpt_path=a.ckpt"]])
def test_a_retry_goes_on_from_the_runs_own_checkpoint(words: list[str]) -> None:
    assert _without_checkpoint(["fit", *words, "--threads", "1"]) == ["fit", "--threads", "1"]
