"""One arm as the measure of the others: case by case, over cases, and where seeds are missing."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.head_to_head import head_to_head
from dpc_lightning.evaluation.result import Result
from tests.evaluation.simulated import benchmark

DEFAULT = benchmark({"badge": 0.03, "gain": 0.08, "worst": -0.04}, draw=1)
HARD = [replace(row, study="hard") for row in benchmark({"badge": 0.03, "gain": 0.05}, draw=2)]


def scores(rows: list[Result], arm: str, labels: int = 100) -> np.ndarray:
    """What an arm scored, by seed."""
    mine = sorted((row.seed, row.scores["f1_macro"]) for row in rows if (row.arm, row.labels) == (arm, labels))
    return np.array([score for _, score in mine], dtype=np.float64)


def test_each_case_is_a_paired_t_test_and_corrected_for_its_arms() -> None:
    found = head_to_head(DEFAULT + HARD, "badge")
    assert [case.study for case in found.cases] == ["default", "hard"]
    for rows, by_arm in zip((DEFAULT, HARD), found.cases.values(), strict=True):
        assert set(by_arm) == {row.arm for row in rows} - {"badge", "none", "all"}
        for arm, by in by_arm.items():
            differences = scores(rows, arm) - scores(rows, "badge")
            oracle = stats.ttest_rel(scores(rows, arm), scores(rows, "badge"))
            ends = oracle.confidence_interval()
            assert by.mean == pytest.approx(differences.mean())
            assert (by.interval.low, by.interval.high) == pytest.approx((ends.low, ends.high))
            assert by.p == pytest.approx(oracle.pvalue)
            assert by.p <= by.p_holm <= by.p * len(by_arm) * (1 + 1e-12)
            assert by.verdict == ("not shown" if by.p_holm >= 0.05 else "better" if by.mean > 0 else "worse")
    assert {by.verdict for arms in found.cases.values() for by in arms.values()} == {"worse", "not shown", "better"}


def test_over_cases_every_case_weighs_the_same_and_an_arm_of_one_case_is_left_out() -> None:
    found = head_to_head(DEFAULT + HARD, "badge")
    [means] = found.overall.values()
    assert set(means) == {"gain", "random"}
    halves = [scores(rows, "gain") - scores(rows, "badge") for rows in (DEFAULT, HARD)]
    assert means["gain"].cases == 2
    assert means["gain"].difference.mean == pytest.approx(np.mean(halves))
    assert means["gain"].difference.sd == pytest.approx(np.mean(halves, axis=0).std(ddof=1))
    assert found.problems == ()


def test_only_seeds_that_all_cases_have_are_averaged() -> None:
    lacking = [row for row in HARD if (row.arm, row.seed) not in {("gain", 3), ("badge", 4)}]
    [means] = head_to_head(DEFAULT + lacking, "badge").overall.values()
    kept = [seed for seed in range(10) if seed not in {3, 4}]
    halves = [(scores(rows, "gain") - scores(rows, "badge"))[kept] for rows in (DEFAULT, HARD)]
    assert means["gain"].difference.n == 8
    assert means["gain"].difference.mean == pytest.approx(np.mean(halves))
    assert means["random"].difference.n == 9


def test_cases_without_a_common_seed_are_named() -> None:
    later = [replace(row, seed=row.seed + 50, purchase_seed=row.seed + 50, judge_seed=row.seed + 50) for row in HARD]
    found = head_to_head(DEFAULT + later, "badge")
    assert found.overall == {}
    assert len(found.cases) == 2
    assert found.problems[0] == (
        "mean over cases, judged by b0: `gain` and badge share fewer than two seeds in all cases."
    )


def test_pipelines_are_not_averaged() -> None:
    other = [replace(row, pipeline="b4") for row in DEFAULT]
    found = head_to_head(DEFAULT + other, "badge")
    assert len(found.cases) == 2
    assert found.overall == {}


def test_a_rule_that_buys_what_the_other_bought_is_named() -> None:
    rows = DEFAULT + HARD
    twin = [replace(row, key=row.key + "t", arm="twin") for row in rows if row.arm == "badge"]
    found = head_to_head(rows + twin, "badge")
    assert all("twin" not in arms for arms in (*found.cases.values(), *found.overall.values()))
    assert [problem.partition(": `twin` minus badge")[0] for problem in found.problems] == [
        *(case.name for case in found.cases),
        "mean over cases, judged by b0",
    ]


def test_an_unknown_arm_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(EvaluationError, match=r"one of badge, gain, random, worst, but got 'bagde'"):
        head_to_head(DEFAULT, "bagde")
