"""The tables at the end of a run, also for runs that are odd."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dpc_lightning.report.run_table import print_run
from dpc_lightning.run_dir import RunDir

SUMMARY: dict[str, Any] = {
    "label_budget": 10,
    "labels_bought": 3,
    "compute_budget_s": None,
    "compute_spent_s": 12.34,
    "acquisition": "Badge",
    "start_model_informed": True,
    "cut_short_by": [],
    "classes": ["dent", "[red]hole[/]"],
    "images": {"test": 7},
    "test": {
        "f1_macro": 0.5,
        "f1_macro_at_half": 0.25,
        "map": 0.75,
        "exact_match": 0.125,
        "f1_per_class": {"dent": 0.5, "[red]hole[/]": None},
        "classes_without_positives": ["[red]hole[/]"],
    },
    "phases": [
        {"name": "pretrain", "epochs": 2, "train_images": 4, "seconds": 1.0},
        {"name": "round_1", "epochs": 1, "train_images": 7, "seconds": 0.5},
        {"name": "evaluate", "epochs": 3, "train_images": 7, "seconds": 2.0},
    ],
}


def printed(folder: Path, rows: int = 3, **changes: Any) -> str:
    run_dir = RunDir(folder)
    run_dir.summary.write_text(json.dumps(SUMMARY | changes))
    run_dir.purchases.write_text("order,round,index\n" + "".join(f"{n},1,{n}\n" for n in range(rows)))
    out = io.StringIO()
    print_run(run_dir, Console(file=out, width=120))
    return out.getvalue()


def row(text: str, name: str) -> list[str]:
    line = next(line for line in text.splitlines() if name in line)
    return [cell.strip() for cell in line.replace("│", "┃").split("┃") if cell.strip()]


def test_scores_phases_and_the_budget_are_said(tmp_path: Path) -> None:
    text = printed(tmp_path)
    assert "Test set, 7 images" in text
    assert row(text, "macro-F1, tuned") == ["macro-F1, tuned thresholds", "0.500"]
    assert row(text, "mAP") == ["mAP", "0.750"]
    assert row(text, "round_1") == ["round_1", "3", "7", "1", "0.5"]
    assert row(text, "pretrain") == ["pretrain", "4", "2", "1.0"]
    assert "Bought 3 of 10 labels by Badge; pretraining and buying took 12 s." in text
    assert f"Everything is in {tmp_path}" in text.replace("\n", "")
    assert "knew next to nothing" not in text


def test_a_class_that_cannot_be_scored_says_so_by_its_name_as_it_is(tmp_path: Path) -> None:
    assert row(printed(tmp_path), "hole") == ["F1 [red]hole[/]", "no positive in test"]


def test_a_run_without_purchases_or_scores_has_a_table_too(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("f1_macro", "f1_macro_at_half", "map"))
    empty = SUMMARY["test"] | nothing | {"f1_per_class": dict.fromkeys(SUMMARY["classes"])}
    text = printed(tmp_path, rows=0, test=empty, labels_bought=0, phases=SUMMARY["phases"][::2])
    assert row(text, "mAP") == ["mAP", "-"]
    assert "Bought 0 of 10" in text


@pytest.mark.parametrize(("informed", "said"), [(True, False), (None, False), (False, True)])
def test_a_start_model_that_knows_nothing_is_named(tmp_path: Path, informed: bool | None, said: bool) -> None:
    assert ("knew next to nothing" in printed(tmp_path, start_model_informed=informed)) is said


def test_the_compute_budget_stands_beside_what_was_spent(tmp_path: Path) -> None:
    assert "took 12.3 of 60 s" in printed(tmp_path, compute_budget_s=60.0)


def test_a_trial_that_left_images_out_is_no_result(tmp_path: Path) -> None:
    assert "A trial, not a result: trainer.fast_dev_run" in printed(tmp_path, cut_short_by=["trainer.fast_dev_run"])
    assert "A trial" not in printed(tmp_path)
