"""What a round tells the loggers, against the ledger."""

import csv
import json
from pathlib import Path

import pytest

from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, metrics

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
