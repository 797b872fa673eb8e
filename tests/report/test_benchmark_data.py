"""Benchmarks that are small, broken or not finished: every section says why it is empty."""

from dataclasses import replace
from pathlib import Path

import pytest

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.result import Result
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.benchmark_report import benchmark_page
from dpc_lightning.report.page import Text, render
from tests.report.simulated_results import simulated


def texts(rows: list[Result], metric: str = "f1_macro") -> dict[str, str]:
    """What is said in the sections of a page, by section."""
    page = benchmark_page(BenchmarkData(Path("nowhere"), rows, metric))
    render(page)
    return {
        part.name: " ".join(block.text for block in part.blocks if isinstance(block, Text)) for part in page.sections
    }


def some(arms: set[str], seeds: int, labels: set[int]) -> list[Result]:
    rows = simulated(range(seeds))
    return [
        row for row in rows if row.arm in arms and row.labels in labels and row.seed < seeds and row.study == "hard"
    ]


def test_no_results_at_all_say_so_everywhere() -> None:
    said = texts([])
    assert "There is no verdict" in said["verdicts"]
    assert all(text for text in said.values())
    for name in ("curves", "gap", "ranking", "penalty", "agreement", "classes", "bought", "time", "noise"):
        assert said[name].startswith(("There", "No", "Agreement cannot")), name


def test_all_failed_is_no_crash_and_names_the_errors() -> None:
    rows = [replace(row, status="failed", error="no room", scores={}) for row in some({"random", "badge"}, 3, {200})]
    said = texts(rows)
    assert f"{len(rows)} of {len(rows)} results failed" in said["missing"]
    assert "badge: no difference to random can be given, on 0 seeds." in said["verdicts"]
    assert "all 6 results are failures" in said["ranking"]


def test_one_arm_with_few_seeds_has_no_verdict_and_no_agreement() -> None:
    said = texts(some({"random", "badge"}, 3, {200}))
    assert "badge has 3 of the 8 seeds that a verdict needs" in said["verdicts"]
    assert "one budget only" in said["curves"]
    assert said["agreement"].startswith("Agreement cannot be said")
    assert "No share can be given" in said["gap"]
    assert "Seeds were not crossed" in said["noise"]


def test_references_alone_are_shown_without_a_verdict() -> None:
    said = texts(some({"random", "none", "all"}, 9, {0, 200, 400, 2000}))
    assert "no arm was measured" in said["verdicts"]
    assert said["ranking"].startswith("There is no ranking")


def test_rows_of_two_protocols_are_never_compared() -> None:
    rows = some({"random", "badge"}, 9, {200})
    said = texts([replace(rows[0], protocol=2), *rows[1:]])
    assert "There is no verdict" in said["verdicts"]
    assert "Protocol 1, 2." in said["settings"]


def test_another_metric_is_taken_and_an_unknown_one_named() -> None:
    rows = some({"random", "badge"}, 9, {200})
    assert "By map." in texts(rows, "map")["verdicts"]
    with pytest.raises(EvaluationError, match="one of exact_match, f1_macro, f1_macro_at_half, map .*'accuracy'"):
        texts(rows, "accuracy")


def test_colours_stay_with_their_arm() -> None:
    data = BenchmarkData(Path("nowhere"), some({"random", "badge", "entropy"}, 2, {200}), "f1_macro")
    assert [data.series(arm) for arm in ("badge", "entropy", "random")] == [0, 1, 7]
