"""Learning curves and the area under them."""

import gc
from collections.abc import Iterator

import numpy as np
import pytest

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.comparison import Comparison, compare
from dpc_lightning.evaluation.curves import LearningCurve, budget_area
from tests.evaluation.simulated import benchmark, row


@pytest.fixture(autouse=True, scope="module")
def _no_collection() -> Iterator[None]:
    """statsmodels collects garbage at each correction: a tenth of a second, again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)
        yield


def curve(comparison: Comparison, arm: str) -> LearningCurve:
    (found,) = [each for each in comparison.curves if each.arm == arm]
    return found


def test_an_area_is_the_mean_score_over_log_labels() -> None:
    assert budget_area({100: {1: 0.5}, 400: {1: 0.7}}) == pytest.approx({1: 0.6})
    doubling = budget_area({100: {1: 0.5, 2: 0.1}, 200: {1: 0.6, 2: 0.1}, 800: {1: 0.6, 2: 0.1}})
    assert doubling == pytest.approx({1: (0.55 + 2 * 0.6) / 3, 2: 0.1})  # one doubling, then two
    finer = budget_area({100: {1: 0.5}, 200: {1: 0.55}, 400: {1: 0.6}, 1600: {1: 0.7}})
    assert finer == pytest.approx(budget_area({100: {1: 0.5}, 1600: {1: 0.7}}))


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ({100: {1: 0.5}}, r"at least two label budgets of 1 or more for an area, but got \[100\]"),
        ({0: {1: 0.5}, 100: {1: 0.6}}, r"\[0, 100\]"),
        ({100: {1: 0.5, 2: 0.5}, 200: {1: 0.6}}, r"seeds \[1, 2\] at every budget, but at 200 labels .* \[1\]"),
    ],
)
def test_areas_that_are_not_defined_are_refused(scores: dict[int, dict[int, float]], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        budget_area(scores)


def test_curves_hold_every_budget_with_its_interval_and_seconds() -> None:
    found = compare(benchmark({"badge": 0.03}, budgets=(100, 200)))
    assert [each.arm for each in found.curves] == ["none", "random", "all", "badge"]
    random = curve(found, "random")
    assert [point.labels for point in random.points] == [100, 200, 400]  # with the double budget
    assert [point.spent for point in random.points] == pytest.approx([5.0, 6.0, 8.0])
    badge = curve(found, "badge")
    assert [point.labels for point in badge.points] == [100, 200]
    (first,) = [line for line in found.cases[0].arms if line.arm == "badge"]
    assert badge.points[0].scores == first.scores
    assert curve(found, "all").area is None
    assert random.area_difference is None


def test_the_difference_of_areas_is_paired_and_over_the_budgets_of_both() -> None:
    rows = benchmark({"badge": 0.03, "again": 0.0}, budgets=(100, 200, 400), seeds=12, draw=1)
    found = compare(rows)
    difference = curve(found, "badge").area_difference
    assert difference is not None
    assert (difference.n, difference.verdict) == (12, "better")
    assert 0.03 in difference.adjusted
    by = {(r.arm, r.labels, r.seed): r.scores["f1_macro"] or 0.0 for r in rows}
    # at the double budget of 400 there is no badge, so random's area ends at 400, too
    mine = [np.mean([by["badge", n, s] - by["random", n, s] for n in (100, 200, 200, 400)]) for s in range(12)]
    assert (difference.mean, difference.sd) == pytest.approx((np.mean(mine), np.std(mine, ddof=1)))
    again = curve(found, "again").area_difference
    assert again is not None
    assert again.verdict == "not shown"
    assert {difference.adjusted.level, again.adjusted.level} == {0.975, 0.95}  # Holm over the two arms


def test_a_seed_that_lacks_a_budget_is_left_out_of_the_area() -> None:
    rows = [r for r in benchmark({"badge": 0.03}, budgets=(100, 200)) if (r.arm, r.labels, r.seed) != ("badge", 200, 4)]
    found = compare(rows)
    badge = curve(found, "badge")
    assert badge.area is not None
    assert badge.area.n == 9
    assert [point.scores.n for point in badge.points] == [10, 9]
    assert any("`badge` at 200 labels lacks seeds 4" in problem for problem in found.problems)


def test_one_budget_has_no_area() -> None:
    badge = curve(compare(benchmark({"badge": 0.03})), "badge")
    assert badge.area is None
    assert badge.area_difference is None


def test_of_two_compute_budgets_at_one_label_budget_the_area_takes_the_larger() -> None:
    rows = benchmark({"badge": 0.03}, budgets=(100, 200))
    rows += [row("badge", 200, seed, 0.9 + 0.001 * seed, seconds=30.0) for seed in range(10)]
    badge = curve(compare(rows), "badge")
    assert [(point.labels, point.seconds) for point in badge.points] == [(100, None), (200, 30.0), (200, None)]
    assert badge.area is not None
    assert badge.area.mean is not None
    assert badge.area.mean < 0.7
