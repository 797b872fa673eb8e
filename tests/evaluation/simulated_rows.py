"""Rows of results with known scores, for the tests of this room."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dpc_lightning.evaluation.result import Result


def row(
    arm: str,
    seed: int,
    score: float | None,
    *,
    study: str = "default",
    labels: int = 100,
    seconds: float | None = None,
    pipeline: str = "b0",
    purchase_seed: int | None = None,
    judge_seed: int | None = None,
    **more: Any,
) -> Result:
    """One finished row with `f1_macro`."""
    purchase_seed = seed if purchase_seed is None else purchase_seed
    judge_seed = seed if judge_seed is None else judge_seed
    made = Result(
        key=f"{study}-{arm}-{labels}-{seconds}-{pipeline}-{seed}-{purchase_seed}-{judge_seed}",
        study=study,
        arm=arm,
        labels=labels,
        seconds=seconds,
        pipeline=pipeline,
        seed=seed,
        purchase_seed=purchase_seed,
        judge_seed=judge_seed,
        scores={"f1_macro": score},
        evaluate_seconds=10.0,
    )
    return replace(made, **more)


def table(scores: Mapping[str, Sequence[float | None]], **where: Any) -> list[Result]:
    """Rows of one case: arm -> scores by seed 0, 1, ..."""
    return [row(arm, seed, score, **where) for arm, of in scores.items() for seed, score in enumerate(of)]


def grid(
    effects: Mapping[str, float],
    *,
    seeds: int = 8,
    noise: float = 0.02,
    studies: Sequence[str] = ("default",),
    budgets: Sequence[int] = (50, 100),
    pipelines: Sequence[str] = ("b0", "b4"),
    draw: int = 0,
) -> list[Result]:
    """A whole benchmark: a start set's own level, an effect of the arm, noise."""
    rng = np.random.default_rng(draw)
    rows = []
    for study in studies:
        level = rng.normal(0.5, 0.05, seeds)
        for labels in budgets:
            for pipeline in pipelines:
                for arm, effect in effects.items():
                    scores = level + effect + rng.normal(0, noise, seeds)
                    rows += table({arm: scores.tolist()}, study=study, labels=labels, pipeline=pipeline)
    return rows


def crossed(scores: Any, *, arm: str = "random", nested: bool = False, **where: Any) -> list[Result]:
    """Rows of a study of noise from `(start sets, purchases, trainings)` scores."""
    return [
        row(arm, s, float(score), purchase_seed=p, judge_seed=100 * (3 * s + p) + j if nested else j, **where)
        for (s, p, j), score in np.ndenumerate(np.asarray(scores))
    ]
