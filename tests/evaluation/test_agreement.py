"""What is compared under two judges, what is left out, and that names and order do not matter."""

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.agreement import agree
from dpc_lightning.evaluation.result import Result
from tests.evaluation.simulated_rows import grid, row, table

EFFECTS = {"random": 0.0, "badge": 0.02, "entropy": 0.05, "hard": 0.01}


def test_tau_is_of_the_mean_scores_by_study_and_budget() -> None:
    rows = grid(EFFECTS, studies=("default", "hard"), noise=0.05, draw=5)
    found = agree(rows, resamples=20)
    assert [(tau.study, tau.labels) for tau in found.taus] == [
        ("default", 50),
        ("default", 100),
        ("hard", 50),
        ("hard", 100),
    ]
    for tau in found.taus:
        means = [
            [np.mean(scores(rows, tau.study, tau.labels, pipeline, arm)) for arm in EFFECTS]
            for pipeline in (tau.first, tau.second)
        ]
        assert tau.tau == pytest.approx(stats.kendalltau(*means).statistic)
        assert tau.low <= tau.high
        assert (tau.arms, tau.seeds) == (4, 8)
    assert len({tau.tau for tau in found.taus}) > 1
    (overall,) = found.overall
    assert overall.tau == pytest.approx(np.mean([tau.tau for tau in found.taus]))
    assert overall.study is None
    assert not found.problems


def scores(rows: list[Result], *where: str | int | None) -> list[float]:
    return [r.scores["f1_macro"] or 0 for r in rows if (r.study, r.labels, r.pipeline, r.arm) == where]


def test_all_pairs_are_compared_unless_one_is_named() -> None:
    rows = grid(EFFECTS, pipelines=("ten", "forty", "b0"), seeds=4)
    assert [(tau.first, tau.second) for tau in agree(rows, resamples=5).overall] == [
        ("b0", "forty"),
        ("b0", "ten"),
        ("forty", "ten"),
    ]
    named = agree(rows, pipelines=("ten", "forty"), resamples=5)
    assert [(tau.first, tau.second) for tau in named.overall] == [("ten", "forty")]
    assert {gain.case.pipeline for gain in named.gains} == {"ten", "forty"}


def test_gains_are_paired_differences_to_random_under_each_judge() -> None:
    rows = grid(EFFECTS, draw=2)
    found = agree(rows, resamples=5)
    assert len(found.gains) == 2 * 2 * 3
    gain = next(g for g in found.gains if (g.arm, g.case.labels, g.case.pipeline) == ("hard", 100, "b4"))
    one, other = (scores(rows, "default", 100, "b4", arm) for arm in ("hard", "random"))
    interval = stats.ttest_rel(one, other).confidence_interval()
    assert (gain.low, gain.high) == pytest.approx((interval.low, interval.high))
    assert gain.seeds == 8


def test_budgets_that_only_one_judged_are_left_out() -> None:
    rows = [r for r in grid(EFFECTS) if r.pipeline == "b0" or r.labels == 100]
    found = agree(rows, resamples=5)
    assert [tau.labels for tau in found.taus] == [100]
    assert {gain.case.labels for gain in found.gains} == {100}


def test_what_one_of_the_two_lacks_is_left_out_and_said() -> None:
    rows = [r for r in grid(EFFECTS, budgets=(100,)) if not (r.pipeline == "b4" and (r.arm == "hard" or r.seed == 3))]
    found = agree(rows, resamples=5)
    assert (found.taus[0].arms, found.taus[0].seeds) == (3, 7)
    assert found.problems == (
        "default, 100 labels, b0 against b4: arm hard has no seed under both, left out",
        "default, 100 labels, b0 against b4: seeds 3 lack an arm under one of the two, left out",
    )


def test_a_judge_to_whom_all_are_alike_gives_no_tau() -> None:
    rows = [
        *grid(EFFECTS, budgets=(100, 50), pipelines=("b0",), seeds=4),
        *grid(EFFECTS, budgets=(100,), pipelines=("b4",), seeds=4),
        *table({arm: [0.0] * 4 for arm in EFFECTS}, labels=50, pipeline="b4"),
    ]
    found = agree(rows, resamples=5)
    assert [tau.labels for tau in found.taus] == [100]
    assert any(problem.startswith("default, 50 labels: tau between b0 and b4 is not") for problem in found.problems)
    assert sum("the score is 0 with all 4 seeds" in problem for problem in found.problems) == 4
    assert all(np.isfinite((gain.mean, gain.low, gain.high)).all() for gain in found.gains)


@pytest.mark.parametrize(
    ("rows", "pipelines", "message"),
    [
        (grid(EFFECTS, pipelines=("b0",)), None, "expected at least two pipelines to compare, got b0"),
        (grid(EFFECTS), ("b0", "b7"), "no results of pipeline 'b7': expected two of b0, b4"),
        (grid(EFFECTS), ("b0", "b0"), "expected two different pipelines"),
        (grid(EFFECTS, seeds=1), None, "no budget has two arms and two seeds in common .*1 seeds in common"),
        (
            [r for r in grid(EFFECTS) if (r.labels == 50) == (r.pipeline == "b0")],
            None,
            "no budget was judged by two pipelines",
        ),
    ],
)
def test_what_cannot_be_compared_is_an_error(
    rows: list[Result], pipelines: tuple[str, str] | None, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        agree(rows, pipelines=pipelines, resamples=5)


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 100), st.permutations(sorted(EFFECTS)[:-1]))
def test_names_and_the_order_of_rows_change_nothing(shuffle: random.Random, draw: int, names: list[str]) -> None:
    rows = grid(EFFECTS, seeds=4, noise=0.05, draw=draw)
    first = agree(rows, resamples=20)
    shuffled = list(rows)
    shuffle.shuffle(shuffled)
    assert agree(shuffled, resamples=20) == first
    to = dict(zip(sorted(EFFECTS)[:-1], names, strict=True)) | {"random": "random"}
    other = agree([row(to[r.arm], r.seed, r.scores["f1_macro"], **where(r)) for r in rows], resamples=20)
    for one, renamed in zip(first.taus, other.taus, strict=True):
        assert (renamed.tau, renamed.low, renamed.high) == pytest.approx((one.tau, one.low, one.high))
        assert renamed.ceiling == pytest.approx(one.ceiling)
    gains = {(gain.case, gain.arm): gain for gain in other.gains}
    assert all(gains[gain.case, to[gain.arm]] == replace(gain, arm=to[gain.arm]) for gain in first.gains)


def where(r: Result) -> dict[str, Any]:
    return {"labels": r.labels, "pipeline": r.pipeline}
