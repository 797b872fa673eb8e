"""Random against random: real experiments, counted."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.chance import against_itself
from dpc_lightning.evaluation.variance import Grid

CASE = Case("default", 100, None, "b0")


def test_experiments_are_pairs_of_purchase_seeds_times_judge_seeds() -> None:
    scores = np.random.default_rng(3).normal(size=(4, 5, 6))
    (found,) = against_itself([Grid(CASE, "random", scores, "crossed")], [])
    tests = [stats.ttest_rel(scores[:, p, j], scores[:, q, j]) for p, q in combinations(range(5), 2) for j in range(6)]
    assert found.experiments == 60
    assert found.false == sum(test.pvalue < 0.05 for test in tests) > 0
    interval = stats.binomtest(found.false, 60).proportion_ci(method="exact")
    assert (found.rate, found.low, found.high) == pytest.approx((found.false / 60, interval.low, interval.high))
    gaps = [abs(np.mean(scores[:, p] - scores[:, q], axis=0)).max() for p, q in combinations(range(5), 2)]
    assert found.largest == pytest.approx(max(gaps))
    assert found.seeds == 4


def test_the_rate_is_five_per_cent_where_like_meets_like() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(size=(8, 1, 1))
    found = against_itself([Grid(CASE, "random", level + rng.normal(size=(8, 2, 2000)), "nested")], [])[0]
    assert found.experiments == 2000
    assert 0.035 < found.rate < 0.065
    assert 0.03 < found.mixed_rate < 0.07


def test_a_purchase_seed_that_is_better_everywhere_is_found() -> None:
    scores = np.random.default_rng(0).normal(size=(8, 2, 3)) * 0.01 + np.array([0.0, 1.0])[:, None]
    assert against_itself([Grid(CASE, "random", scores, "crossed")], [])[0].rate == 1


def test_cases_are_also_counted_together() -> None:
    rng = np.random.default_rng(1)
    other = Case("hard", 100, None, "b0")
    grids = [Grid(case, "random", rng.normal(size=(n, 3, 2)), "crossed") for case, n in ((CASE, 4), (other, 6))]
    found = against_itself(grids, [])
    assert [one.case for one in found] == [CASE, other, None]
    assert (found[2].experiments, found[2].false) == (12, found[0].false + found[1].false)
    assert found[2].seeds == 4
    assert found[2].largest == max(found[0].largest, found[1].largest)


def test_equal_scores_show_nothing_and_other_arms_do_not_count() -> None:
    same, other = (Grid(CASE, arm, np.full((4, 3, 2), 0.5), "crossed") for arm in ("random", "badge"))
    (found,) = against_itself([same, other], [])
    assert (found.false, found.mixed_rate, found.largest) == (0, 0.0, 0.0)


def test_one_start_set_is_no_experiment_and_said() -> None:
    problems: list[str] = []
    assert against_itself([Grid(CASE, "random", np.ones((1, 3, 2)), "crossed")], problems) == []
    assert problems == ["default, 100 labels, judged by b0: random against random needs two start sets, there is 1"]
    assert against_itself([Grid(CASE, "random", np.ones((4, 1, 2)), "crossed")], []) == []
