"""Rows are checked before anything is said of them, and what is left out is said."""

import re
from dataclasses import replace

import pytest

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case, constant_arms, is_plain, scored_rows, scores_by_case
from tests.evaluation.simulated_rows import row, table


def test_no_rows_are_an_error() -> None:
    with pytest.raises(EvaluationError, match="got none: run `benchmark` first"):
        scored_rows([], "f1_macro")


def test_versions_of_the_protocol_are_never_mixed() -> None:
    rows = [row("random", 1, 0.5), row("random", 2, 0.5, protocol=7)]
    with pytest.raises(EvaluationError, match=re.escape("1 of version 1, 1 of version 7")):
        scored_rows(rows, "f1_macro")


def test_one_job_twice_is_named_with_both_keys() -> None:
    rows = [row("badge", 3, 0.5), row("badge", 3, 0.6, key="other")]
    with pytest.raises(
        EvaluationError, match=r"default, 100 labels, judged by b0, arm badge, seed 3: two rows .*other"
    ):
        scored_rows(rows, "f1_macro")


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_named(score: float) -> None:
    rows = [row("badge", 3, 0.5), row("badge", 4, score, purchase_seed=5)]
    with pytest.raises(
        EvaluationError, match=r"arm badge, seed 4, purchase seed 5, judge seed 4: f1_macro is (nan|inf)"
    ):
        scored_rows(rows, "f1_macro")


def test_an_unknown_metric_is_answered_with_those_that_are_there() -> None:
    with pytest.raises(EvaluationError, match=r"no result has the metric 'auc': expected one of f1_macro"):
        scored_rows([row("badge", 3, 0.5)], "auc")


def test_a_metric_that_is_defined_nowhere_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="f1_macro is defined in none of 1 results"):
        scored_rows([row("badge", 3, None)], "f1_macro")


def test_only_failures_are_an_error_that_shows_the_first() -> None:
    with pytest.raises(EvaluationError, match="all 1 results are failures .*seed 3: disk full"):
        scored_rows([row("badge", 3, None, status="failed", error="disk full", scores={})], "f1_macro")


def test_failures_and_undefined_scores_are_listed_once_for_each_arm() -> None:
    failed = [row("badge", seed, None, status="failed", error="disk full", scores={}) for seed in (4, 5)]
    checked = scored_rows([*failed, row("badge", 6, None), row("badge", 7, 0.5)], "f1_macro")
    assert [scored.row.seed for scored in checked.rows] == [7]
    assert checked.problems == (
        "default, 100 labels, judged by b0, arm badge: failed and left out: seeds 4, 5 (disk full)",
        "default, 100 labels, judged by b0, arm badge: no f1_macro defined, left out: seed 6",
    )


def test_references_and_studies_of_noise_are_no_cases() -> None:
    rows = [
        *table({"badge": [0.5], "random": [0.4]}),
        *table({"none": [0.1]}, labels=0),
        *table({"all": [0.9]}, labels=900),
        *table({"random": [0.5]}, labels=200),
        row("badge", 0, 0.6, purchase_seed=3),
    ]
    assert scores_by_case(scored_rows(rows, "f1_macro").rows) == {
        Case("default", 100, None, "b0"): {"badge": {0: 0.5}, "random": {0: 0.4}}
    }


def test_random_without_a_compute_budget_serves_the_cases_with_one() -> None:
    rows = [
        *table({"badge": [0.5]}, seconds=60.0),
        *table({"random": [0.4]}),
        *table({"random": [0.3]}, seconds=30.0),
        *table({"random": [0.2]}, labels=200),
    ]
    assert scores_by_case(scored_rows(rows, "f1_macro").rows) == {
        Case("default", 100, 60.0, "b0"): {"badge": {0: 0.5}, "random": {0: 0.4}}
    }


def test_constant_scores_are_said() -> None:
    grouped = scores_by_case(scored_rows(table({"badge": [0.0, 0.0, 0.0], "hard": [0.1, 0.2]}), "f1_macro").rows)
    (problem,) = constant_arms(grouped)
    assert problem.startswith("default, 100 labels, judged by b0, arm badge: the score is 0 with all 3 seeds; look")


def test_a_case_is_written_as_it_is_read() -> None:
    assert str(Case("hard", 50, 60.5, "b4")) == "hard, 50 labels in 60.5 s, judged by b4"
    assert Case("hard", 50, 60.5, "b4").budget == ("hard", 50, 60.5)
    cases = [Case("hard", 50, None, "b0"), Case("hard", 50, 60.0, "b0"), Case("hard", 6, None, "b0")]
    assert [(case.labels, case.seconds) for case in sorted(cases, key=lambda case: case.order)] == [
        (6, None),
        (50, 60.0),
        (50, None),
    ]


def test_a_row_with_another_seed_anywhere_is_of_a_study_of_noise() -> None:
    plain = row("badge", 3, 0.5)
    assert is_plain(plain)
    assert not is_plain(replace(plain, purchase_seed=4))
    assert not is_plain(replace(plain, judge_seed=4))
