"""What a round tells the loggers, against the ledger; and the table of images for Weights & Biases."""

import csv
import json
import re
from pathlib import Path

import pytest
import wandb

from dpc_lightning.__main__ import main
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, metrics, words

CLEAN_SHARE, LEFT = "purchase/clean_share", "purchase/labels_left"


def test_the_numbers_are_those_of_the_ledger(finished_run: tuple[Path, Path]) -> None:
    _, run_dir = finished_run
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        bought = ledger.purchases()
    classes = json.loads((run_dir / "summary.json").read_text())["classes"]
    rows = [row for row in metrics(run_dir) if row["purchase/round"]]
    assert [float(row["purchase/round"]) for row in rows] == [1, 2]
    for number, row in enumerate(rows, start=1):
        labels = bought.labels[bought.round == number]
        assert float(row["purchase/bought"]) == len(labels) == 6
        assert float(row[LEFT]) == 12 - (bought.round <= number).sum()
        assert float(row[CLEAN_SHARE]) == pytest.approx((labels.max(axis=1) == 0).mean())
        positives = [float(row[f"purchase/positives/{name}"]) for name in classes]
        assert positives == labels.sum(axis=0).tolist()
        assert float(row["purchase/score_seconds"]) > 0
        assert float(row["purchase/pick_seconds"]) >= 0
        assert row["phase"] == f"round_{number}" or row["phase"] == "pretrain"


def test_a_log_named_in_yaml_takes_the_place_of_the_usual_one(small_root: Path, tmp_path: Path) -> None:
    more = ("--trainer.callbacks+=dpc_lightning.callbacks.PurchaseLog", "--trainer.callbacks.table_images=3")
    logger = ("--trainer.logger=CSVLogger", f"--trainer.logger.save_dir={tmp_path / 'csv'}")
    fit(small_root, tmp_path / "run", *more, *logger)
    assert len([row for row in metrics(tmp_path / "run") if row[LEFT]]) == 2
    (file,) = (tmp_path / "csv").rglob("metrics.csv")
    with file.open(newline="") as stream:
        assert [row[LEFT] for row in csv.DictReader(stream) if row[LEFT]] == ["6.0", "0.0"]


def test_weights_and_biases_gets_a_table_with_the_bought_images(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline: everything lies in the logger's folder, and the images where W&B keeps its data."""
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "wandb_data"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "wandb_cache"))
    logger = ("--trainer.logger=WandbLogger", f"--trainer.logger.save_dir={tmp_path}", "--trainer.logger.offline=true")
    log = ("--trainer.callbacks+=dpc_lightning.callbacks.PurchaseLog", "--trainer.callbacks.table_images=4")
    assert main(words(small_root, tmp_path / "run", *logger, *log)) == 0
    wandb.finish()  # as the end of the process does
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    tables = sorted((folder / "files" / "media" / "table" / "purchase").glob("round_*.json"))
    assert len(tables) == 2
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        bought = ledger.purchases()
    for number, file in enumerate(tables, start=1):
        table = json.loads(file.read_text())
        assert table["columns"] == ["index", "image", "score", "labels"]
        assert [row[0] for row in table["data"]] == bought.index[bought.round == number][:4].tolist()
        shown = [[name for name in row[3].split(", ") if name != "clean"] for row in table["data"]]
        assert [len(names) for names in shown] == bought.labels[bought.round == number][:4].sum(axis=1).tolist()
    (file,) = folder.glob("run-*.wandb")
    content = file.read_bytes()
    named = len(set(re.findall(rb"media/images/\w+\.png", content)))
    assert 8 - len(content) // 2**15 <= named <= 8  # the log is written in blocks, whose edges may cut a name
