"""Loggers by their short names, read back from disk: what they are told, and `metrics.csv` beside them."""

import csv
from pathlib import Path

import numpy as np
import pytest
import wandb
import yaml
from lightning.pytorch.loggers import WandbLogger
from numpy.typing import NDArray
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from dpc_lightning.__main__ import main
from dpc_lightning.report import report_tables
from tests.small_run import fit, metrics, purchases, words
from tests.wandb_files import check_report, offline_runs

SHORT = ("--purchase.pretrain_epochs=1", "--evaluate.epochs=1")
SOME = {
    "train/loss",
    "val/f1_macro",
    "test/map",
    "purchase/labels_left",
    "phase_number",
    "purchase/positives/dent_small",
}
"""Metrics of each kind: of epochs, validation, test, purchases and phases."""


def logger_words(name: str, folder: Path) -> tuple[str, str]:
    """Name a logger on the command line."""
    return f"--trainer.logger={name}", f"--trainer.logger.save_dir={folder}"


def metrics_of(run_dir: Path) -> dict[str, list[tuple[int, float]]]:
    """Read `metrics.csv`: steps and values of each metric."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in metrics(run_dir):
        for name, value in row.items():
            if value and name not in {"phase", "step"}:
                found.setdefault(name, []).append((int(row["step"]), float(value)))
    return found


def pixels(file: Path) -> NDArray[np.uint8]:
    """Read an image."""
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"), dtype=np.uint8)


@pytest.mark.usefixtures("wandb_offline")
def test_weights_and_biases_gets_the_metrics_the_bought_images_and_the_report(small_root: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    wanted = (*SHORT, *logger_words(WandbLogger.__name__, run_dir))
    fit(small_root, run_dir, *wanted)
    page = (run_dir / "report.html").stat()
    fit(small_root, run_dir, *wanted)  # it is finished: nothing is logged again
    wandb.finish()
    (run,) = offline_runs(run_dir)
    assert run.logged >= SOME
    beside = metrics_of(run_dir)
    for name in SOME:
        assert [row[name] for row in run.history if name in row] == pytest.approx([value for _, value in beside[name]])
    for number in (1, 2):
        rows = [row for row in purchases(run_dir) if row["round"] == str(number)]
        assert sum(row.get(f"purchase/round_{number}/nrows", 0) for row in run.history) == 6
        table = run.table(f"purchase/round_{number}")
        assert table["columns"] == ["index", "image", "score", "labels"]
        for (index, picture, score, labels), row in zip(table["data"], rows, strict=True):
            assert index == int(row["index"])
            assert score == pytest.approx(float(row["score"]), rel=1e-4)
            assert labels == (", ".join(name for name in list(row)[5:] if row[name] == "1") or "clean")
            assert np.array_equal(
                pixels(run.files[picture["path"]]), pixels(small_root / "unlabelled" / "images" / row["image"])
            )
    assert (run_dir / "report.html").stat() == page
    tables = report_tables(run_dir)
    check_report(run, tables)
    for name in tables:
        assert sum(row.get(f"report/{name}/_type") == "table-file" for row in run.history) == 1


def test_tensorboard_by_its_short_name_in_yaml(small_root: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    config = tmp_path / "logger.yaml"
    logger = {"class_path": "TensorBoardLogger", "init_args": {"save_dir": str(run_dir), "name": "tensorboard"}}
    config.write_text(yaml.safe_dump({"trainer": {"logger": logger}}))
    assert main(words(small_root, run_dir, *SHORT, "--config", str(config))) == 0
    found: dict[str, list[tuple[int, float]]] = {}
    for file in sorted((run_dir / "tensorboard" / "version_0").glob("events.out.tfevents.*")):
        events = EventAccumulator(str(file)).Reload()
        for name in events.Tags()["scalars"]:
            found.setdefault(name, []).extend((each.step, each.value) for each in events.Scalars(name))
    beside = metrics_of(run_dir)
    assert set(found) >= SOME
    for name in SOME:
        assert [step for step, _ in found[name]] == [step for step, _ in beside[name]]
        assert [value for _, value in found[name]] == pytest.approx([value for _, value in beside[name]])


def test_lightnings_csv_logger_by_its_short_name(small_root: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    fit(small_root, run_dir, *SHORT, *logger_words("CSVLogger", run_dir))
    with (run_dir / "lightning_logs" / "version_0" / "metrics.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    beside = metrics_of(run_dir)
    for name in SOME:
        found = [(int(row["step"]), float(row[name])) for row in rows if row[name]]
        assert [value for _, value in found] == pytest.approx([value for _, value in beside[name]])


def test_several_loggers_and_none(small_root: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    config = tmp_path / "loggers.yaml"
    loggers = [
        {"class_path": name, "init_args": {"save_dir": str(run_dir), "name": name}}
        for name in ("CSVLogger", "TensorBoardLogger")
    ]
    config.write_text(yaml.safe_dump({"trainer": {"logger": loggers}}))
    assert main(words(small_root, run_dir, *SHORT, "--config", str(config))) == 0
    assert (run_dir / "CSVLogger" / "version_0" / "metrics.csv").is_file()
    assert list((run_dir / "TensorBoardLogger" / "version_0").glob("events.*"))
    fit(small_root, tmp_path / "none", *SHORT, "--trainer.logger=false")
    assert set(metrics_of(tmp_path / "none")) == set(metrics_of(run_dir)) >= SOME
    assert not list((tmp_path / "none").rglob("events.*"))
