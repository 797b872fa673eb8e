"""Whatever is missing or constant: an error of ours or finite numbers, never a silent NaN."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.agreement import agree
from dpc_lightning.evaluation.noise import noise
from dpc_lightning.evaluation.ranking import rank
from dpc_lightning.evaluation.result import Result
from tests.evaluation.simulated_rows import crossed, grid


def numbers(value: Any) -> list[float]:
    """All numbers in an answer, however deep."""
    if is_dataclass(value):
        return [x for field in fields(value) for x in numbers(getattr(value, field.name))]
    if isinstance(value, Mapping):
        return [x for entry in value.values() for x in numbers(entry)]
    if isinstance(value, (tuple, list)):
        return [x for entry in value for x in numbers(entry)]
    return [value] if isinstance(value, float) else []


def damaged(rng: np.random.Generator, lost: float, flat: float, digits: int) -> list[Result]:
    """A benchmark with lost, failed and undefined rows, groups of one score, and ties by rounding."""
    rows = grid({"random": 0.0, "badge": 0.02, "hard": 0.01}, seeds=5, draw=int(rng.integers(1000)))
    for pipeline in ("b0", "b4"):
        rows += crossed(rng.random((3, 2, 2)), pipeline=pipeline, labels=70)
    rows = [replace(r, facts={"buyer": r.arm}, evaluate_seconds=float(rng.integers(3))) for r in rows]
    groups = {(r.arm, r.labels, r.pipeline): rng.random() < flat for r in rows}
    kept = []
    for r in rows:
        score = 0.0 if groups[r.arm, r.labels, r.pipeline] else round(r.scores["f1_macro"] or 0.0, digits)
        fate = rng.random()
        if fate < lost / 3:
            kept.append(replace(r, status="failed", error="disk full", scores={}))
        elif fate < lost / 3 * 2:
            kept.append(replace(r, scores={"f1_macro": None}))
        elif fate > lost:
            kept.append(replace(r, scores={"f1_macro": score, "f1_macro_at_half": round(score / 3, digits)}))
    return kept


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.3, 0.8]), st.sampled_from([0.0, 0.3, 1.0]), st.integers(1, 6))
def test_answers_are_finite_or_errors_are_ours(draw: int, lost: float, flat: float, digits: int) -> None:
    rows = damaged(np.random.default_rng(draw), lost, flat, digits)
    answers: list[Any] = []
    errors: list[str] = []
    for ask in (lambda: rank(rows, resamples=50), lambda: agree(rows, resamples=20), lambda: noise(rows)):
        try:
            answers.append(ask())
        except EvaluationError as error:
            errors.append(str(error))
    assert len(answers) + len(errors) == 3
    assert all("nan" not in error for error in errors)
    assert all(math.isfinite(number) for number in numbers(answers))
    for answer in answers:
        assert answer is None or answer.problems or lost < 0.3
