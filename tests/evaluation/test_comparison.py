"""A whole benchmark compared with random, complete, on its way, and wrong."""

import dataclasses
import gc
import random as chance
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.case_comparison import ArmResult, CaseComparison
from dpc_lightning.evaluation.comparison import Comparison, compare
from dpc_lightning.evaluation.result import Result
from dpc_lightning.evaluation.statistics import compare_families
from tests.evaluation.simulated import benchmark, row

ROWS = benchmark({"badge": 0.04, "again": 0.0, "worst": -0.04}, budgets=(100, 200), draw=4)


@pytest.fixture(autouse=True, scope="module")
def _no_collection() -> Iterator[None]:
    """statsmodels collects garbage at each correction: a tenth of a second, again and again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)
        yield


@pytest.fixture(scope="module")
def whole() -> Comparison:
    return compare(ROWS)


def line(case: CaseComparison, name: str) -> ArmResult:
    (found,) = [each for each in (*case.references, *case.arms) if each.name == name]
    return found


def test_cases_hold_references_and_arms_with_their_scores(whole: Comparison) -> None:
    assert (whole.metric, whole.protocol, whole.problems) == ("f1_macro", 1, ())
    assert [each.case.name for each in whole.cases] == [
        "default, 100 labels, judged by b0",
        "default, 200 labels, judged by b0",
    ]
    case = whole.cases[0]
    assert [(each.name, each.labels) for each in case.references] == [
        ("none", 0),
        ("random", 100),
        ("random, double budget", 200),
        ("all", 3200),
    ]
    assert [each.name for each in case.arms] == ["again", "badge", "worst"]
    badge = line(case, "badge")
    mine = [r.scores["f1_macro"] for r in ROWS if (r.arm, r.labels) == ("badge", 100)]
    assert list(badge.values) == mine
    assert badge.seeds == tuple(range(10))
    assert badge.scores.n == 10
    assert badge.scores.mean == pytest.approx(np.mean(np.array(mine, dtype=float)))
    assert (badge.spent, badge.evaluate_seconds) == (5.0, 10.0)
    # the double budget of one case is random itself in the next
    assert line(case, "random, double budget").values == line(whole.cases[1], "random").values


def test_what_is_known_of_the_simulation_is_found(whole: Comparison) -> None:
    for case in whole.cases:
        assert {each.name: each.verdict for each in case.arms} == {
            "again": "not shown",
            "badge": "better",
            "worst": "worse",
        }
        verdicts = {each.name: each.verdict for each in case.references}
        assert verdicts == {"none": "worse", "random": None, "random, double budget": "better", "all": "better"}
        badge = line(case, "badge")
        assert badge.difference is not None
        assert badge.gap is not None
        assert badge.needed is not None
        assert 0.04 in badge.difference.adjusted
        assert 0.04 / (0.80 - 0.50 - 0.04 * np.log2(case.case.labels / 100)) in badge.gap.interval
        assert 2 * case.case.labels in badge.needed.interval  # .04 is what random gains by a doubling


def test_arms_are_corrected_for_each_other_and_references_stand_alone(whole: Comparison) -> None:
    case = whole.cases[0]
    levels = sorted(each.difference.adjusted.level for each in case.arms if each.difference)
    assert levels == pytest.approx([0.95, 0.975, 1 - 0.05 / 3])
    random, badge, all_labels = (line(case, name) for name in ("random", "badge", "all"))
    assert badge.difference is not None
    assert all_labels.difference is not None
    assert badge.difference.p == pytest.approx(stats.ttest_rel(badge.values, random.values).pvalue)
    assert all_labels.difference.adjusted == all_labels.difference.interval
    assert random.difference is None


def test_verdicts_are_those_whose_error_rates_are_tested() -> None:
    studies = [benchmark(dict.fromkeys("abcd", 0.0), doubles=False, draw=draw) for draw in range(20)]
    found = compare([dataclasses.replace(r, study=f"{k:02d}") for k, rows in enumerate(studies) for r in rows])
    families = []
    for rows in studies:
        by = {
            arm: np.array([r.scores["f1_macro"] for r in rows if r.arm == arm], dtype=float)
            for arm in (*"abcd", "random")
        }
        families.append({arm: by[arm] - by["random"] for arm in "abcd"})
    for case, family in zip(found.cases, compare_families(families), strict=True):
        assert {each.name: each.difference for each in case.arms} == family


def test_other_rows_change_nothing_here(whole: Comparison) -> None:
    noise = [
        dataclasses.replace(r, key=r.key + "noise", judge_seed=r.seed + 100)
        for r in ROWS
        if r.arm in {"badge", "random"}
    ]
    assert compare([*ROWS, *noise]) == whole
    elsewhere = benchmark({"badge": 0.0}, draw=9)
    both = compare([*ROWS, *(dataclasses.replace(r, study="hard") for r in elsewhere)])
    assert both.cases[: len(whole.cases)] == whole.cases
    assert [each.case.study for each in both.cases] == ["default", "default", "hard"]
    assert {curve.study for curve in both.curves} == {"default", "hard"}


def test_the_order_of_rows_changes_nothing(whole: Comparison) -> None:
    mixed = chance.Random(1).sample(ROWS, len(ROWS))
    assert compare(mixed) == whole


@given(st.floats(-0.3, 0.15), st.permutations(["again", "badge", "worst"]))
@settings(max_examples=8)
def test_neither_a_shift_of_all_scores_nor_the_names_of_arms_matter(shift: float, names: list[str]) -> None:
    new = dict(zip(("again", "badge", "worst"), names, strict=True))
    rows = [r for r in ROWS if r.labels in {0, 100, 200, 3200} and (r.labels != 200 or r.arm == "random")]
    moved = [
        dataclasses.replace(r, arm=new.get(r.arm, r.arm), scores={"f1_macro": (r.scores["f1_macro"] or 0.0) + shift})
        for r in rows
    ]
    before, after = compare(rows).cases[0], compare(moved).cases[0]
    for name, renamed in new.items():
        old, other = line(before, name), line(after, renamed)
        assert other.verdict == old.verdict
        for part in ("difference", "gap", "needed"):
            mine, theirs = (dataclasses.astuple(getattr(each, part)) for each in (old, other))
            assert theirs[1] == pytest.approx(mine[1], abs=1e-6)
        assert old.difference is not None
        assert other.difference is not None
        assert other.difference.p_holm == pytest.approx(old.difference.p_holm, rel=1e-6)


def without(arm: str, labels: int, seeds: set[int]) -> list[Result]:
    return [r for r in ROWS if not (r.arm == arm and r.labels == labels and r.seed in seeds)]


def test_missing_seeds_are_named_and_the_rest_is_paired() -> None:
    found = compare(without("badge", 100, {3, 7}))
    assert found.problems == ("default, b0: `badge` at 100 labels lacks seeds 3, 7, which others have.",)
    badge = line(found.cases[0], "badge")
    assert badge.difference is not None
    assert (badge.difference.n, badge.verdict) == (8, "better")
    few = line(compare(without("badge", 100, {1, 3, 7})).cases[0], "badge")
    assert few.difference is not None
    assert (few.difference.n, few.verdict) == (7, "too few seeds")
    one = line(compare(without("badge", 100, set(range(1, 10)))).cases[0], "badge")
    assert (one.difference, one.gap, one.needed, one.verdict) == (None, None, None, "too few seeds")
    assert one.scores.n == 1
    assert compare([*ROWS, row("all", 3200, 10, 0.8)]).problems == ()  # references may have more
    fewer = compare(without("all", 3200, {4}))
    assert fewer.problems == ("default, b0: `all` lacks seeds 4, which others have.",)
    gap = line(fewer.cases[0], "badge").gap
    assert gap is not None
    assert gap.n == 9


def test_randoms_curve_leaves_out_a_budget_that_is_not_complete() -> None:
    found = compare(without("random", 400, {5}))
    case = found.cases[1]
    needed = line(case, "badge").needed
    assert needed is not None
    assert (needed.n, needed.smallest, needed.largest) == (10, 100, 200)
    assert line(case, "random, double budget").scores.n == 9
    assert found.problems == ("default, b0: `random` at 400 labels lacks seeds 5, which others have.",)


def test_failed_jobs_are_named_with_their_error() -> None:
    rows = without("badge", 100, {3})
    rows.append(row("badge", 100, 3, None, status="failed", error="DivergedError: loss is NaN", scores={}))
    found = compare(rows)
    assert found.problems == ("default, b0: `badge` at 100 labels failed on seed 3: DivergedError: loss is NaN.",)
    # a job that failed once and is done now is no problem any more
    done = row("badge", 100, 3, 0.61, key="second try")
    assert compare([*rows, done]).problems == ()


def test_runs_that_left_images_out_are_no_results() -> None:
    rows = [row(arm, 50, seed, 0.5 + 0.01 * seed**2) for arm in ("random", "badge") for seed in range(3)]
    cut = [dataclasses.replace(each, facts={"cut_short_by": ["trainer.limit_test_batches"]}) for each in rows]
    said = "Trials, not results: trainer.limit_test_batches left images out."
    assert compare(cut).problems[0] == said
    assert said not in compare(rows).problems


def test_a_score_that_is_not_defined_counts_as_missing() -> None:
    rows = [dataclasses.replace(r, scores={"map": None if r.seed == 2 else r.scores["f1_macro"]}) for r in ROWS]
    found = compare(rows, metric="map")
    assert "default, b0: `badge` at 100 labels has no `map` on seed 2." in found.problems
    assert line(found.cases[0], "badge").scores.n == 9


@pytest.mark.parametrize("role", ["none", "random", "all"])
def test_a_missing_reference_is_named(role: str) -> None:
    found = compare([r for r in ROWS if r.arm != role])
    assert f"default, 100 labels, judged by b0: no rows of `{role}`." in found.problems
    badge = line(found.cases[0], "badge")
    assert (badge.difference is None) == (role == "random")
    assert (badge.gap is None) == (role in {"random", "all"})
    if role == "random":
        assert badge.verdict == "too few seeds"


def test_arms_that_bought_the_same_are_no_comparison() -> None:
    twin = [
        dataclasses.replace(r, arm="twin", key="twin" + r.key) for r in ROWS if (r.arm, r.labels) == ("random", 100)
    ]
    found = compare([*ROWS, *twin])
    twin_line = line(found.cases[0], "twin")
    assert (twin_line.difference, twin_line.verdict) == (None, "not shown")
    (problem,) = found.problems
    assert problem.startswith(
        "default, 100 labels, judged by b0: `twin` minus random: Expected scores that differ between seeds"
    )
    alone = compare(ROWS).cases[0]
    assert [each.difference for each in found.cases[0].arms if each.name != "twin"] == [
        e.difference for e in alone.arms
    ]


def test_random_is_found_for_cases_with_a_compute_budget() -> None:
    timed = [dataclasses.replace(r, seconds=60.0) if r.arm in {"badge", "again", "worst"} else r for r in ROWS]
    found = compare(timed)
    assert found.cases[0].case.name == "default, 100 labels in 60 s, judged by b0"
    untimed = compare(ROWS)
    assert [each.difference for each in found.cases[0].arms] == [each.difference for each in untimed.cases[0].arms]
    slow = [
        dataclasses.replace(r, seconds=60.0, scores={"f1_macro": 0.9 + 0.001 * r.seed})
        for r in ROWS
        if (r.arm, r.labels) == ("random", 100)
    ]
    assert line(compare([*timed, *slow]).cases[0], "random").values[0] == 0.9  # random of the same budget goes first


def test_wrong_rows_are_refused() -> None:
    with pytest.raises(EvaluationError, match="there are none"):
        compare([])
    with pytest.raises(EvaluationError, match=r"one protocol version, but got \[1, 2\]"):
        compare([*ROWS, dataclasses.replace(ROWS[0], protocol=2)])
    with pytest.raises(EvaluationError, match=r"`badge` at 100 labels, seed 3: badge-100-3-- and other"):
        compare([*ROWS, row("badge", 100, 3, 0.5, key="other")])
    with pytest.raises(EvaluationError, match="one of f1_macro, map, but got `f1`"):
        compare(ROWS, metric="f1")
    with pytest.raises(EvaluationError, match="`badge` at 100 labels, seed 11 is nan: look at job bad"):
        compare([*ROWS, row("badge", 100, 11, float("nan"), key="bad")])
