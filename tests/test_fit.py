"""The main job through the real command line: what it buys, what it leaves, and that buying changes training."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.data.manifest import read_hidden_labels, read_labelled, read_pool
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, metrics, purchases, weights, words


def test_a_run_leaves_what_it_promises(finished_run: tuple[Path, Path]) -> None:
    _, run_dir = finished_run
    left = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    assert left >= {
        "config.yaml",
        "ledger.sqlite",
        "purchases.csv",
        "purchases.png",
        "metrics.csv",
        "summary.json",
        "checkpoints/last.ckpt",
        "checkpoints/pretrain.ckpt",
        "checkpoints/round_1.ckpt",
        "checkpoints/round_2.ckpt",
        "checkpoints/evaluate.ckpt",
    }
    assert not [name for name in left if name.endswith(".tmp")]


def test_the_summary_says_what_was_bought_trained_and_reached(finished_run: tuple[Path, Path]) -> None:
    summary = json.loads((finished_run[1] / "summary.json").read_text())
    assert (summary["label_budget"], summary["labels_bought"], summary["rounds"]) == (12, 12, 2)
    assert summary["compute_budget_s"] is None
    assert 0 < summary["compute_spent_s"] < 600
    phases = [(phase["name"], phase["epochs"], phase["train_images"]) for phase in summary["phases"]]
    assert phases == [("pretrain", 2, 40), ("round_1", 1, 46), ("round_2", 1, 52), ("evaluate", 2, 52)]
    assert sum(phase["seconds"] for phase in summary["phases"][:3]) == pytest.approx(summary["compute_spent_s"], abs=2)
    test = summary["test"]
    assert set(test["f1_per_class"]) == set(summary["classes"])
    scored = [value for value in test["f1_per_class"].values() if value is not None]
    assert test["f1_macro"] == pytest.approx(float(np.mean(scored)))
    assert all(0 <= test[name] <= 1 for name in ("f1_macro", "f1_macro_at_half", "map", "exact_match"))
    assert summary["seed"] == 0
    assert {"python", "torch", "lightning", "dpc_lightning"} <= set(summary["versions"])


def test_csv_ledger_and_the_hidden_labels_agree_row_for_row(finished_run: tuple[Path, Path]) -> None:
    root, run_dir = finished_run
    summary = json.loads((run_dir / "summary.json").read_text())
    pool = read_pool(root / "unlabelled")
    hidden = read_hidden_labels(root / "unlabelled", summary["classes"], pool)
    assert hidden is not None
    rows = purchases(run_dir)
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        bought = ledger.purchases()
        assert ledger.head == summary["ledger_head"]
        ledger.verify()
    assert len(rows) == summary["labels_bought"] == len(bought.index)
    for place, row in enumerate(rows):
        index = int(row["index"])
        assert index == bought.index[place]
        assert int(row["order"]) == bought.order[place]
        assert int(row["round"]) == bought.round[place]
        assert row["image"] == pool.images[index]
        labels = [int(row[name]) for name in summary["classes"]]
        assert labels == bought.labels[place].tolist() == hidden[index].tolist()
        assert float(row["score"]) == pytest.approx(float(bought.score[place]), rel=1e-4)
    assert len({row["index"] for row in rows}) == len(rows)


def test_metrics_are_kept_by_phase_and_step(finished_run: tuple[Path, Path]) -> None:
    rows = metrics(finished_run[1])
    assert list(dict.fromkeys(row["phase"] for row in rows if row["phase"])) == [
        "pretrain",
        "round_1",
        "round_2",
        "evaluate",
    ]
    steps = [int(row["step"]) for row in rows]
    assert steps == sorted(steps)
    assert {row["purchase/labels_left"] for row in rows if row["purchase/labels_left"]} == {"6.0", "0.0"}
    assert any(row["val/f1_macro"] for row in rows)
    assert any(row["test/map"] for row in rows)


def test_the_saved_configuration_runs_as_it_is(finished_run: tuple[Path, Path], tmp_path: Path) -> None:
    _, run_dir = finished_run
    config = yaml.safe_load((run_dir / "config.yaml").read_text())
    assert {"data", "model", "trainer", "purchase", "evaluate"} <= set(config)
    assert main(["fit", "--config", str(run_dir / "config.yaml"), f"--run_dir={tmp_path / 'again'}"]) == 0
    assert purchases(tmp_path / "again") == purchases(run_dir)
    assert weights(tmp_path / "again", "evaluate") == weights(run_dir, "evaluate")


def test_a_finished_run_says_so_and_does_nothing(
    finished_run: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root, run_dir = finished_run
    copy = tmp_path / "run"
    shutil.copytree(run_dir, copy)
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*") if path.is_file()}
    with caplog.at_level("INFO"):
        fit(root, copy)
    assert "is finished" in caplog.text
    changed = {path.name for path, when in before.items() if path.stat().st_mtime_ns != when}
    assert changed <= {".lock", "purchases.png"}


def test_bought_labels_change_training_and_nothing_before(small_root: Path, tmp_path: Path) -> None:
    """N1: the challenge's kit never trained on what was bought."""
    flipped = tmp_path / "flipped"
    shutil.copytree(small_root, flipped, ignore=shutil.ignore_patterns(".cache"))
    file = flipped / "unlabelled" / "labels.csv"
    with file.open(newline="") as stream:
        rows = list(csv.reader(stream))
    classes = read_labelled(flipped / "training").classes
    columns = [rows[0].index(name) for name in classes]
    for row in rows[1:]:
        for column in columns:
            row[column] = str(1 - int(row[column]))
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    (flipped / "sheets.json").unlink(missing_ok=True)
    settings = ("--purchase.acquisition=Random", "--data.generator=null")
    plain = [word for word in words(small_root, tmp_path / "a", *settings) if "--data.generator." not in word]
    other = [word for word in words(flipped, tmp_path / "b", *settings) if "--data.generator." not in word]
    assert main(plain) == 0
    assert main(other) == 0
    assert [row["index"] for row in purchases(tmp_path / "a")] == [row["index"] for row in purchases(tmp_path / "b")]
    assert weights(tmp_path / "a", "pretrain") == weights(tmp_path / "b", "pretrain")
    assert weights(tmp_path / "a", "round_1") != weights(tmp_path / "b", "round_1")
    assert weights(tmp_path / "a", "evaluate") != weights(tmp_path / "b", "evaluate")


def test_a_budget_of_zero_buys_nothing_and_evaluates_the_start_set(small_root: Path, tmp_path: Path) -> None:
    summary = fit(small_root, tmp_path / "run", "--purchase.labels=0")
    assert (summary["labels_bought"], summary["rounds"]) == (0, 0)
    assert [(phase["name"], phase["train_images"]) for phase in summary["phases"]] == [
        ("pretrain", 40),
        ("evaluate", 40),
    ]


def test_a_budget_larger_than_the_pool_buys_all_of_it(small_root: Path, tmp_path: Path) -> None:
    summary = fit(small_root, tmp_path / "run", "--purchase.labels=1000", "--purchase.rounds=3")
    assert summary["labels_bought"] == 50
    assert sorted(int(row["index"]) for row in purchases(tmp_path / "run")) == list(range(50))
    assert summary["phases"][-1]["train_images"] == 90


@pytest.mark.filterwarnings("ignore:The plan will not fit")
def test_when_the_seconds_are_up_the_run_goes_on_to_the_evaluation(small_root: Path, tmp_path: Path) -> None:
    more = ("--purchase.seconds=0.001", "--purchase.pretrain_epochs=50")
    summary = fit(small_root, tmp_path / "run", *more)
    assert summary["compute_budget_exhausted"] is True
    assert summary["labels_bought"] == 12
    names = [(phase["name"], phase["epochs"]) for phase in summary["phases"]]
    assert names == [("pretrain", 1), ("round_1", 0), ("evaluate", 2)]
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        assert [event["phase"] for event in ledger.events("clock_stop")] == ["pretrain"]


def test_pseudo_labels_train_the_rounds_and_never_reach_ledger_or_evaluation(small_root: Path, tmp_path: Path) -> None:
    """N6: an explicit rule."""
    summary = fit(small_root, tmp_path / "run", "--purchase.pseudo_labels=0.501")
    images = {phase["name"]: phase["train_images"] for phase in summary["phases"]}
    assert images["round_1"] > 46
    assert images["evaluate"] == 52
    assert summary["labels_bought"] == 12
    with sqlite3.connect(tmp_path / "run" / "ledger.sqlite") as connection:
        assert connection.execute("select count(*) from purchases").fetchone() == (12,)
    connection.close()


@pytest.mark.parametrize("acquisition", ["Random", "MeanEntropy", "HardClass", "ClassQuota", "ExpectedGain"])
def test_every_acquisition_is_chosen_by_name(small_root: Path, tmp_path: Path, acquisition: str) -> None:
    more = (f"--purchase.acquisition={acquisition}", "--purchase.pretrain_epochs=1", "--evaluate.epochs=1")
    summary = fit(small_root, tmp_path / "run", *more)
    assert (summary["acquisition"], summary["labels_bought"]) == (acquisition, 12)


def test_one_more_image_than_full_batches_is_no_batch_of_one(small_root: Path, tmp_path: Path) -> None:
    """BatchNorm cannot learn from one image; purchases change the size of the last batch in every round."""
    more = ("--purchase.labels=1", "--purchase.rounds=1", "--model.batch_size=8", "--evaluate.batch_size=8")
    summary = fit(small_root, tmp_path / "run", *more)
    assert summary["phases"][-1]["train_images"] == 41


def test_a_plateau_schedule_goes_with_rare_validations(small_root: Path, tmp_path: Path) -> None:
    more = ("--evaluate.scheduler=torch.optim.lr_scheduler.ReduceLROnPlateau", "--trainer.check_val_every_n_epoch=3")
    summary = fit(small_root, tmp_path / "run", *more, "--evaluate.epochs=4")
    assert summary["phases"][-1]["epochs"] == 4


def test_the_saved_configuration_does_not_depend_on_the_folder_of_the_start(finished_run: tuple[Path, Path]) -> None:
    config = yaml.safe_load((finished_run[1] / "config.yaml").read_text())
    assert Path(config["data"]["root"]).is_absolute()


def test_a_typo_in_the_first_start_does_not_bind_the_second(
    small_root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(words(tmp_path / "typo" / "x", tmp_path / "run", "--model.backbone=resnet1888")) == 2
    assert "resnet18" in capfd.readouterr().err
    assert fit(small_root, tmp_path / "run")["labels_bought"] == 12
