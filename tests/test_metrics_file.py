"""The file of metrics: one row for a phase and step, and a resume that goes on."""

import csv
from pathlib import Path

from dpc_lightning.metrics_file import MetricsFile


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_numbers_of_one_step_share_a_row(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.phase = "pretrain"
    file.log_metrics({"train/loss": 1.5}, step=1)
    file.log_metrics({"val/loss": 0.25}, step=1)
    file.log_metrics({"train/loss": 1.0}, step=2)
    file.save()
    assert rows(file.path) == [
        {"phase": "pretrain", "step": "1", "train/loss": "1.5", "val/loss": "0.25"},
        {"phase": "pretrain", "step": "2", "train/loss": "1.0", "val/loss": ""},
    ]


def test_an_earlier_number_is_never_overwritten(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.log_metrics({"loss": 1.0}, step=1)
    file.log_metrics({"loss": 2.0}, step=1)
    file.save()
    assert [row["loss"] for row in rows(file.path)] == ["1.0", "2.0"]


def test_phases_with_the_same_step_have_rows_of_their_own(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    for file.phase in ("pretrain", "round_1"):
        file.log_metrics({"x": 0.0}, step=7)
    file.save()
    assert [row["phase"] for row in rows(file.path)] == ["pretrain", "round_1"]


def test_a_resumed_file_forgets_what_comes_after_the_checkpoint_and_goes_on(tmp_path: Path) -> None:
    first = MetricsFile(tmp_path / "metrics.csv")
    for step in range(4):
        first.log_metrics({"loss": float(step)}, step=step)
    first.save()
    second = MetricsFile(tmp_path / "metrics.csv")
    assert second.rows == 4
    second.rewind(1, "", 2)
    second.log_metrics({"loss": 20.0, "new": 1.0}, step=2)
    second.finalize("success")
    assert [(row["step"], row["loss"], row["new"]) for row in rows(second.path)] == [
        ("0", "0.0", ""),
        ("1", "1.0", ""),
        ("2", "20.0", "1.0"),
    ]


def test_a_number_added_to_a_saved_row_reaches_the_file(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.csv")
    file.log_metrics({"a": 1.0}, step=1)
    file.save()
    file.log_metrics({"b": 2.0}, step=1)
    file.save()
    assert rows(file.path) == [{"phase": "", "step": "1", "a": "1.0", "b": "2.0"}]
