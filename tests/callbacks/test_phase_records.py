"""What is kept of each phase, over one start and over two."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lightning.pytorch import LightningModule

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks import phase_records
from dpc_lightning.callbacks.phase_records import PhaseRecord, PhaseRecords
from dpc_lightning.metrics_file import MetricsFile
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.plan import Phase
from tests.small_run import fit, words
from tests.test_resume import Stop, stop_at_call

MODULE = cast("LightningModule", None)
PRETRAIN, ROUND = Phase(0, "pretrain", 2), Phase(1, "round", 1, 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    watch = SimpleNamespace(now=100.0)
    monkeypatch.setattr(phase_records, "time", SimpleNamespace(monotonic=lambda: watch.now))
    return watch


def stage(images: int = 7) -> Any:
    loader = SimpleNamespace(dataset=range(images))
    return SimpleNamespace(loggers=[], global_step=4, train_dataloader=loader, state=SimpleNamespace(fn="fit"))


def test_seconds_belong_to_their_phase_and_buying_to_the_round(tmp_path: Path, clock: SimpleNamespace) -> None:
    records = PhaseRecords(MetricsFile(tmp_path / "metrics.csv"))
    records.on_fit_start(stage(), MODULE)
    records.on_phase_start(stage(), MODULE, PRETRAIN)
    records.on_train_start(stage(), MODULE)
    clock.now += 5
    records.on_train_epoch_end(stage(), MODULE)
    clock.now += 1
    records.on_phase_end(stage(), MODULE, PRETRAIN)
    records.on_round_start(stage(), MODULE, ROUND)
    clock.now += 20  # scoring and buying
    records.on_phase_start(stage(), MODULE, ROUND)
    records.on_train_start(stage(9), MODULE)
    clock.now += 3
    records.on_train_epoch_end(stage(), MODULE)
    assert records.records == [PhaseRecord("pretrain", 1, 7, 6.0), PhaseRecord("round_1", 1, 9, 23.0)]
    assert records.metrics.phase == "round_1"


def test_a_checkpoint_carries_the_records_to_another_start(tmp_path: Path, clock: SimpleNamespace) -> None:
    first = PhaseRecords(MetricsFile(tmp_path / "metrics.csv"))
    first.on_phase_start(stage(), MODULE, PRETRAIN)
    first.on_train_start(stage(), MODULE)
    clock.now += 5
    first.on_train_epoch_end(stage(), MODULE)
    checkpoint: dict[str, Any] = {}
    first.on_save_checkpoint(stage(), MODULE, checkpoint)
    clock.now = 3.0  # another process has another clock
    second = PhaseRecords(MetricsFile(tmp_path / "metrics.csv"))
    second.on_load_checkpoint(stage(), MODULE, json.loads(json.dumps(checkpoint)))
    second.on_fit_start(stage(), MODULE)
    clock.now += 2
    second.on_train_epoch_end(stage(), MODULE)
    assert second.records == [PhaseRecord("pretrain", 2, 7, 7.0)]
    assert second.metrics.phase == "pretrain"


def test_a_resumed_run_counts_each_epoch_once(
    finished_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, whole = finished_run
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, 3))
        with pytest.raises(Stop):
            main(words(root, tmp_path / "run"))
    summary = fit(root, tmp_path / "run")
    counts = [(phase["name"], phase["epochs"], phase["train_images"]) for phase in summary["phases"]]
    expected = json.loads((whole / "summary.json").read_text())["phases"]
    assert counts == [(phase["name"], phase["epochs"], phase["train_images"]) for phase in expected]
    assert all(phase["seconds"] > 0 for phase in summary["phases"])
