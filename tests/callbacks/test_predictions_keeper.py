"""What the judging network said is kept whole, also by a run that is stopped before its test."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.evaluation.jobs.ensembles import combine
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.kept_predictions import KeptPredictions
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.small_run import fit, words

KEEPER = (
    "--trainer.callbacks+=dpc_lightning.callbacks.PredictionsKeeper",
    "--trainer.check_val_every_n_epoch=1",  # so that the last checkpoint is written after the last validation
    "--purchase.rounds=1",
)


def test_a_run_that_goes_on_with_its_test_keeps_the_validation_of_its_first_start(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "test_step", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert main(words(small_root, tmp_path / "run", *KEEPER)) == 75
    assert not (tmp_path / "run" / "predictions.npz").exists()

    def refuse(*_: Any) -> None:
        msg = "the first start has validated"
        raise AssertionError(msg)

    monkeypatch.setattr(MultiLabelClassifier, "validation_step", refuse)
    summary = fit(small_root, tmp_path / "run", *KEEPER)
    kept = KeptPredictions.read(tmp_path / "run" / "predictions.npz")
    assert list(kept.classes) == summary["classes"]
    scored = combine([Outcome()], [kept], [0])  # tunes the thresholds on validation
    assert scored.scores == {name: summary["test"][name] for name in scored.scores}
    assert scored.f1_per_class == summary["test"]["f1_per_class"]
