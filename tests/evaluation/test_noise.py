"""The whole of the noise out of one table of rows."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.noise import noise
from dpc_lightning.evaluation.result import Result
from tests.evaluation.simulated_rows import crossed, grid, row, table

EFFECTS = {"random": 0.0, "badge": 0.02, "entropy": 0.05}


def study(draw: int = 0, budgets: tuple[int, ...] = (50, 100)) -> list[Result]:
    """A study of noise under two pipelines, beside a main grid with seeds of its own."""
    rng = np.random.default_rng(draw)
    bought = 0.4 + rng.normal(0, 0.03, (4, 1, 1)) + rng.normal(0, 0.02, (4, 3, 1))
    rows = []
    for pipeline, sd in (("b0", 0.02), ("calm", 0.005)):
        for r in crossed(bought + rng.normal(0, sd, (4, 3, 3)), pipeline=pipeline, labels=70):
            score = r.scores["f1_macro"] or 0
            rows.append(replace(r, scores={"f1_macro": score, "f1_macro_at_half": score + rng.normal(0, 0.02)}))
    return [*rows, *grid(EFFECTS, pipelines=("b0",), budgets=budgets, draw=draw)]


def test_every_question_is_answered() -> None:
    found = noise(study())
    assert found is not None
    assert [(one.case.pipeline, one.arm) for one in found.splits] == [("b0", "random"), ("calm", "random")]
    assert found.splits[0].components[-1].sd > 2 * found.splits[1].components[-1].sd
    assert [(one.pipeline, one.metric, one.base_pipeline, one.base_metric) for one in found.remedies] == [
        ("calm", "f1_macro", "b0", "f1_macro"),
        ("b0", "f1_macro", "b0", "f1_macro_at_half"),
        ("calm", "f1_macro", "calm", "f1_macro_at_half"),
    ]
    assert found.remedies[0].ratio < 0.3
    assert {(one.case.labels, one.arm) for one in found.seeds_needed} == {
        (labels, arm) for labels in (50, 100) for arm in ("badge", "entropy")
    }
    assert [(one.case, one.experiments) for one in found.chance][-1] == (None, 18)
    assert not found.problems


def test_a_main_grid_alone_tells_how_many_seeds_are_needed() -> None:
    found = noise(grid(EFFECTS))
    assert found is not None
    assert len(found.seeds_needed) == 8
    assert (found.splits, found.remedies, found.chance) == ((), (), ())


def test_there_is_no_noise_to_speak_of_without_pairs_or_crossed_seeds() -> None:
    assert noise(table({"random": [0.4, 0.5]})) is None
    assert noise(table({"badge": [0.4, 0.5]}, labels=20) + table({"none": [0.4, 0.5]}, labels=0)) is None


def test_failures_and_gaps_are_said() -> None:
    rows = study()
    for i, r in enumerate(rows):
        if (r.labels, r.seed, r.judge_seed) == (70, 2, 1):
            rows[i] = replace(r, status="failed", error="disk full", scores={})
    found = noise(rows)
    assert found is not None
    assert any("failed and left out" in problem and "disk full" in problem for problem in found.problems)
    assert any("start set 2 left out of the noise" in problem for problem in found.problems)
    assert {one.start_sets for one in found.splits} == {3}


def test_another_base_can_be_named() -> None:
    found = noise(study(), base="calm")
    assert found is not None
    assert found.remedies[0].base_pipeline == "calm"
    assert found.remedies[0].ratio > 3
    with pytest.raises(EvaluationError, match="no results of pipeline 'b7'"):
        noise(study(), base="b7")


@pytest.mark.parametrize("score", [float("nan"), float("-inf")])
def test_a_score_that_is_no_number_is_an_error_in_either_metric(score: float) -> None:
    with pytest.raises(EvaluationError, match="f1_macro is"):
        noise([*study(), row("random", 50, score)])
    with pytest.raises(EvaluationError, match="f1_macro_at_half is"):
        noise([*study(), row("random", 50, 0.5, scores={"f1_macro": 0.5, "f1_macro_at_half": score})])


@settings(max_examples=3, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(0, 50))
def test_the_order_of_rows_and_the_names_of_arms_change_nothing(shuffle: random.Random, draw: int) -> None:
    rows = study(draw, budgets=(50,))
    first = noise(rows)
    shuffle.shuffle(rows)
    assert noise(rows) == first
    other = noise([replace(r, arm={"badge": "zebra"}.get(r.arm, r.arm)) for r in rows])
    assert first is not None
    assert other is not None
    assert (other.splits, other.remedies, other.chance) == (first.splits, first.remedies, first.chance)
    renamed = {(one.case, {"badge": "zebra"}.get(one.arm, one.arm)): one for one in first.seeds_needed}
    assert all(replace(renamed[one.case, one.arm], arm=one.arm) == one for one in other.seeds_needed)
