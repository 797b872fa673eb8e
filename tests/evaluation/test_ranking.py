"""The ranking against published examples, scipy, and itself under renaming and shuffling."""

import random
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.ranking import Ranking, rank
from dpc_lightning.evaluation.result import Result
from tests.evaluation.simulated_rows import grid, row, table

# AUC of four classifiers on 14 data sets: Demšar, Statistical comparisons of classifiers over multiple data sets,
# JMLR 7 (2006), table 6. It prints 0.975 twice for the voting records and ranks them 2 and 3: they are told apart
DEMSAR = {
    "c45": (0.763, 0.599, 0.954, 0.628, 0.882, 0.936, 0.661, 0.583, 0.775, 1.0, 0.940, 0.619, 0.972, 0.957),
    "m": (0.768, 0.591, 0.971, 0.661, 0.888, 0.931, 0.668, 0.583, 0.838, 1.0, 0.962, 0.666, 0.981, 0.978),
    "cf": (0.771, 0.590, 0.968, 0.654, 0.886, 0.916, 0.609, 0.563, 0.866, 1.0, 0.965, 0.614, 0.9751, 0.946),
    "mcf": (0.798, 0.569, 0.967, 0.657, 0.898, 0.931, 0.685, 0.625, 0.875, 1.0, 0.962, 0.669, 0.9749, 0.970),
}
EFFECTS = {"random": 0.0, "badge": 0.02, "entropy": 0.05, "hard": 0.01}


def renamed(rows: list[Result], names: dict[str, str]) -> list[Result]:
    return [row(names[r.arm], r.seed, r.scores["f1_macro"], labels=r.labels, pipeline=r.pipeline) for r in rows]


def test_mean_ranks_are_those_of_the_published_example() -> None:
    found = rank(table(DEMSAR)).mean_ranks
    assert found is not None
    assert found.blocks == 14
    # the paper gives 3.143, 2.000, 2.893, 1.964 and, by rounded quantiles, 1.25
    assert found.mean == pytest.approx({"mcf": 1.964, "m": 2.000, "cf": 2.893, "c45": 3.143}, abs=5e-4)
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=5e-4)
    # the paper gives 9.28 without the correction for ties, which makes it larger
    assert (found.statistic, found.p) == pytest.approx(tuple(stats.friedmanchisquare(*DEMSAR.values())))
    assert found.statistic > 9.28
    assert found.cliques == (("mcf", "m", "cf", "c45"),)


def test_groups_that_are_told_apart_share_no_line() -> None:
    scores = {
        name: (np.linspace(0.2, 0.4, 12) + better).tolist() for name, better in zip("dcba", (0, 1, 2, 3), strict=True)
    }
    found = rank(table(scores)).mean_ranks
    assert found is not None
    assert list(found.mean.items()) == [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)]
    assert 1 < found.critical_difference < 2
    assert found.cliques == (("a", "b"), ("b", "c"), ("c", "d"))


def test_two_arms_are_ranked_by_the_chi_square_of_the_sign_test() -> None:
    found = rank(table({"badge": [0.5, 0.6, 0.7, 0.8, 0.2], "random": [0.4, 0.5, 0.6, 0.7, 0.3]})).mean_ranks
    assert found is not None
    assert found.statistic == pytest.approx((4 - 1) ** 2 / 5)
    assert found.p == pytest.approx(stats.chi2.sf(9 / 5, 1))


def test_the_penalty_matrix_counts_t_tests_by_share_of_the_budgets() -> None:
    rows = grid(EFFECTS, studies=("default", "hard"), budgets=(50, 100, 200), draw=3)
    beaten = rank(rows).beaten
    by_hand = dict.fromkeys(((i, j) for i in EFFECTS for j in EFFECTS), 0.0)
    scores = {(r.study, r.pipeline, r.labels, r.arm, r.seed): r.scores["f1_macro"] or 0.0 for r in rows}
    for study, pipeline, labels in {key[:3] for key in scores}:
        for i, j in permutations(EFFECTS, 2):
            one, other = ([scores[study, pipeline, labels, arm, seed] for seed in range(8)] for arm in (i, j))
            test: Any = stats.ttest_rel(one, other)
            by_hand[i, j] += (test.pvalue < 0.05 and test.statistic > 0) / 3
    for k, arm in enumerate(beaten.arms):
        assert list(beaten.matrix[k]) == pytest.approx([by_hand[arm, other] for other in beaten.arms])
        assert beaten.most[k] == tuple(0 if other == arm else 4 for other in beaten.arms)
        assert beaten.column_means[arm] == pytest.approx(sum(by_hand[other, arm] for other in EFFECTS) / 3)
    assert 0 < beaten.matrix[0][1] < 4


def test_points_are_the_mean_share_of_others_beaten() -> None:
    rows = [
        *table({"badge": [0.5, 0.7], "hard": [0.4, 0.6], "random": [0.3, 0.5]}),
        *table({"badge": [0.2, 0.3], "hard": [0.4, 0.6], "random": [0.4, 0.6]}, labels=50),
    ]
    found = rank(rows)
    assert found.points == pytest.approx({"hard": (1 / 2 + 3 / 4) / 2, "badge": 1 / 2, "random": (0 + 3 / 4) / 2})
    assert found.arms == ("hard", "badge", "random")
    assert found.places == {"hard": 1.0, "badge": 2.0, "random": 3.0}
    assert found.seeds == (2, 2)


def test_arms_with_equal_points_share_their_places() -> None:
    found = rank(table({"badge": [0.5, 0.7], "hard": [0.7, 0.5], "random": [0.1, 0.2]}))
    assert found.places == {"badge": 1.5, "hard": 1.5, "random": 3.0}
    assert found.stability["random"] == (0.0, 0.0, 1.0)
    assert found.stability["badge"] == pytest.approx((0.5, 0.5, 0.0), abs=0.05)


def test_stability_is_the_share_of_resamples_over_seeds() -> None:
    gaps = [0.3, -0.1, -0.1]
    found = rank(table({"badge": [0.5 + gap for gap in gaps], "random": [0.5] * 3}), resamples=20000)
    # badge is first unless the first seed is drawn not once; with it once, the mean is 0.1 / 3 or more
    assert found.stability["badge"][0] == pytest.approx(1 - (2 / 3) ** 3, abs=0.01)
    assert [sum(shares) for shares in found.stability.values()] == pytest.approx([1, 1])


def test_an_arm_that_misses_a_case_stands_on_the_others() -> None:
    rows = [
        *table({"badge": [0.5, 0.7], "hard": [0.4, 0.6], "random": [0.3, 0.5]}),
        *table({"badge": [0.2, 0.3], "random": [0.4, 0.6]}, labels=50),
    ]
    found = rank(rows)
    assert found.points == pytest.approx({"badge": (1 + 0) / 2, "hard": 1 / 2, "random": (0 + 1) / 2})
    assert found.cases == {"badge": 2, "hard": 1, "random": 2}
    assert found.of_cases == 2
    assert found.mean_ranks is not None
    assert found.mean_ranks.blocks == 2
    assert (
        "default, 50 labels, judged by b0: no score of arm hard; its points stand on the other cases" in found.problems
    )
    most = dict(zip(found.beaten.arms, found.beaten.most, strict=True))
    assert sorted(most["hard"]) == [0, 1, 1]


def test_a_missing_seed_leaves_the_other_pairs_alone() -> None:
    found = rank(table({"badge": [0.5, 0.7, 0.6], "hard": [0.9, None, 0.1], "random": [0.4, 0.6, 0.7]}))
    # badge against random: means 0.6 and 0.567 over three seeds; hard on two seeds: 0.5 against 0.55 of both
    assert found.points == pytest.approx({"badge": 1.0, "random": 0.5, "hard": 0.0})
    assert any("arm hard: no f1_macro defined, left out: seed 1" in problem for problem in found.problems)
    assert any("arm hard: no score with seed 1; it is compared" in problem for problem in found.problems)
    assert found.seeds == (2, 3)


def test_an_arm_that_meets_nobody_is_said_and_not_ranked() -> None:
    rows = [*table({"badge": [0.5, 0.7], "random": [0.3, 0.5]}), *table({"hard": [0.5, 0.4]}, study="other")]
    found = rank(rows)
    assert found.arms == ("badge", "random")
    assert found.of_cases == 1
    assert found.problems == ("arm hard: no case and seed in common with another arm, not ranked",)


def test_equal_scores_are_a_tie_and_no_test() -> None:
    found = rank(table({"badge": [0.5, 0.7], "random": [0.5, 0.7]}))
    assert found.points == {"badge": 0.5, "random": 0.5}
    assert found.beaten.matrix == ((0.0, 0.0), (0.0, 0.0))
    assert found.mean_ranks is None
    assert found.problems == ("mean ranks: all arms have the same score in each of 2 blocks, nothing to rank",)


def test_too_few_complete_blocks_are_said() -> None:
    found = rank(table({"badge": [0.5, 0.7, None], "hard": [None, 0.4, 0.6], "random": [0.5, 0.6, 0.7]}))
    assert found.mean_ranks is None
    assert any(problem.startswith("mean ranks need two blocks") for problem in found.problems)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (table({"random": [0.5, 0.6]}), "expected at least two arms to rank, got none"),
        (table({"badge": [0.5, 0.6], "all": [0.7, 0.8]}), "expected at least two arms to rank, got badge"),
        (table({"badge": [0.5], "random": [0.6]}), "no two arms have two seeds in common"),
        (
            [row("badge", 1, 0.5), row("badge", 2, 0.5), row("random", 3, 0.5), row("random", 4, 0.5)],
            "two seeds in common",
        ),
    ],
)
def test_what_cannot_be_ranked_is_an_error(rows: list[Result], message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        rank(rows)


def same(one: Ranking, other: Ranking, names: dict[str, str]) -> None:
    assert other.points == pytest.approx({names[arm]: points for arm, points in one.points.items()})
    assert other.stability.keys() == {names[arm] for arm in one.arms}
    for arm in one.arms:
        assert other.stability[names[arm]] == pytest.approx(one.stability[arm])
        assert other.beaten.column_means[names[arm]] == pytest.approx(one.beaten.column_means[arm])
    assert one.mean_ranks is not None
    assert other.mean_ranks is not None
    assert other.mean_ranks.mean == pytest.approx({names[arm]: mean for arm, mean in one.mean_ranks.mean.items()})
    assert {frozenset(clique) for clique in other.mean_ranks.cliques} == {
        frozenset(names[arm] for arm in clique) for clique in one.mean_ranks.cliques
    }


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 1000), st.permutations(sorted(EFFECTS)))
def test_names_and_the_order_of_rows_change_nothing(shuffle: random.Random, draw: int, names: list[str]) -> None:
    rows = grid({arm: effect for arm, effect in EFFECTS.items() if arm != "hard"} | {"hard": 0.011}, seeds=5, draw=draw)
    first = rank(rows, resamples=200)
    shuffled = list(rows)
    shuffle.shuffle(shuffled)
    assert rank(shuffled, resamples=200) == first
    to = dict(zip(sorted(EFFECTS), names, strict=True))
    same(first, rank(renamed(rows, to), resamples=200), to)


def test_another_metric_can_rank() -> None:
    rows = [
        row(arm, seed, 0.5, scores={"map": seed + (arm == "badge")}) for arm in ("badge", "random") for seed in range(3)
    ]
    assert rank(rows, "map").arms == ("badge", "random")
