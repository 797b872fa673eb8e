"""Benchmarks that are small, broken or not finished: every section says why it is empty."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.result import Result
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.benchmark_report import benchmark_page
from dpc_lightning.report.class_section import class_section
from dpc_lightning.report.curve_section import learning_curve_section
from dpc_lightning.report.gap_section import gap_section
from dpc_lightning.report.page import Drawing, Text, render
from dpc_lightning.report.ranking_section import ranking_section
from dpc_lightning.report.table import Table
from tests.report.simulated_results import EFFECTS, simulated


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


def many_arms(count: int) -> list[Result]:
    """Beside the references so many arms; the later one scores more in every class."""
    rows = some({"random", "none", "all"}, 3, {0, 200, 2000})
    model = some({"badge"}, 3, {200})
    for number in range(count):
        rows += [
            replace(
                row,
                key=f"{row.key}-{number}",
                arm=f"arm_{number:02d}",
                f1_per_class={"scratch": 0.3 + number / 100, "dent": 0.2 + number / 100},
            )
            for row in model
        ]
    return rows


@pytest.mark.parametrize("count", [1, 7, 8, 40])
def test_arms_of_a_picture_with_a_legend_look_different(count: int) -> None:
    data = BenchmarkData(Path("nowhere"), many_arms(count), "f1_macro")
    colours = data.told_apart({arm: float(arm[-2:]) for arm in data.arms} | {"none": 1.0, "random": 0.0})
    assert len(set(colours.values())) == len(colours) == min(count, 7) + 1
    assert set(colours) == {*data.arms[-7:], "random"}
    if count <= 7:
        assert all(colours[arm] == data.series(arm) for arm in colours)
    assert "random" not in data.told_apart({data.arms[0]: 1.0})


@pytest.mark.filterwarnings("error:constrained_layout")
def test_forty_arms_leave_room_for_the_picture_of_classes() -> None:
    data = BenchmarkData(Path("nowhere"), many_arms(40), "f1_macro")
    (drawing,) = (block for block in class_section(data) if isinstance(block, Drawing))
    assert "leaves out the 33 arms that score lowest" in drawing.description
    shown = [arm for arm in data.arms if f">{arm}<" in drawing.svg]
    assert shown == [f"arm_{number}" for number in range(33, 40)]
    assert drawing.table is not None
    assert {row[0] for row in drawing.table.rows} == {*data.arms, "none", "random", "all"}
    (few,) = (block for block in class_section(replace(data, results=many_arms(3))) if isinstance(block, Drawing))
    assert "leaves out" not in few.description


def test_curves_of_many_arms_show_the_highest() -> None:
    rows = many_arms(9)
    rows += [replace(row, key=f"{row.key}-more", labels=400) for row in rows if row.labels == 200]
    data = BenchmarkData(Path("nowhere"), rows, "f1_macro")
    first, second = (block for block in learning_curve_section(data) if isinstance(block, Drawing))
    assert "leaves out the 2 arms that score lowest" in first.description
    assert first.description == second.description
    assert sum(f">{arm}<" in first.svg for arm in data.arms) == 7


def test_a_caption_does_not_list_forty_arms() -> None:
    rows = [row for row in many_arms(40) if row.arm not in {"none", "all"}]
    drawings = {
        block.name: block
        for block in ranking_section(BenchmarkData(Path("nowhere"), rows, "map"))
        if isinstance(block, Drawing)
    }
    about = drawings["critical-difference"].description
    assert "not told apart: the table has their names." in about


def test_shares_of_the_gap_come_budget_by_budget_the_largest_first() -> None:
    data = BenchmarkData(Path("nowhere"), simulated(), "f1_macro")
    for block in gap_section(data):
        assert isinstance(block, Drawing)
        assert block.table is not None
        shares: dict[Any, list[Any]] = {}
        for _, labels, _, _, share, *_ in block.table.rows:
            shares.setdefault(labels, []).append(share)
        assert list(shares) == sorted(shares)
        assert all(len(found) >= 3 and found == sorted(found, reverse=True) for found in shares.values())


def test_an_arm_that_is_asked_for_is_compared_with_all_others() -> None:
    rows = simulated(range(9))
    page = benchmark_page(BenchmarkData(Path("nowhere"), rows, "f1_macro", against="badge"))
    [section] = [part for part in page.sections if part.name == "against"]
    render(page)
    tables = {block.name: block for block in section.blocks if isinstance(block, Table)}
    assert len(tables) == 6
    mean = tables["against_mean_small_unfrozen"]
    assert {row[:2] for row in mean.rows} == {(arm, 4) for arm in {*EFFECTS} - {"badge"}}
    differences = [float(row[3] or 0) for row in mean.rows]
    assert differences == sorted(differences, reverse=True)
    assert all(difference < 0 for difference in differences)
    without = benchmark_page(BenchmarkData(Path("nowhere"), rows, "f1_macro"))
    assert "against" not in [part.name for part in without.sections]


def test_an_arm_that_is_not_there_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"Expected `--against` to be one of .*badge.*, random in nowhere"):
        BenchmarkData(Path("nowhere"), simulated(range(3)), "f1_macro", against="badger")


def test_without_a_score_of_the_arm_the_section_says_why() -> None:
    rows = [replace(row, status="failed", error="no room", scores={}) for row in some({"random", "badge"}, 3, {200})]
    page = benchmark_page(BenchmarkData(Path("nowhere"), rows, "f1_macro", against="badge"))
    [section] = [part for part in page.sections if part.name == "against"]
    assert next(block.text for block in section.blocks if isinstance(block, Text)).startswith(
        "There is no comparison with badge: all 6 results are failures"
    )
