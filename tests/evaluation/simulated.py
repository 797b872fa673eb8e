"""Simulated results: what a benchmark would have measured if the truth were known."""

from collections.abc import Mapping, Sequence

import numpy as np

from dpc_lightning.evaluation.result import Result

OWN_SD = 0.018
SHARED_SD = 0.04


def row(arm: str, labels: int, seed: int, score: float | None, **changes: object) -> Result:
    """One finished row; the key says what it is."""
    fields: dict[str, object] = {
        "key": f"{arm}-{labels}-{seed}-{changes.get('study', '')}-{changes.get('pipeline', '')}",
        "study": "default",
        "arm": arm,
        "labels": labels,
        "seconds": None,
        "pipeline": "b0",
        "seed": seed,
        "purchase_seed": seed,
        "judge_seed": seed,
        "scores": {"f1_macro": score, "map": None},
        "spent": {"pretrain": 4.0, "pick": float(labels) / 100},
        "evaluate_seconds": 10.0,
    }
    return Result(**(fields | changes))  # type: ignore[arg-type]


def benchmark(
    effects: Mapping[str, float], budgets: Sequence[int] = (100,), seeds: int = 10, draw: int = 0, doubles: bool = True
) -> list[Result]:
    """A whole benchmark: references and arms, paired by an effect of the seed that all share.

    Random gains .04 at each doubling from .50 at 100 labels; an arm is better by its effect at every budget. Nothing
    bought gives .40, a pool of 3,200 labels .80.
    """
    rng = np.random.default_rng(draw)
    shared = SHARED_SD * rng.standard_normal(seeds)
    means: dict[tuple[str, int], float] = {("none", 0): 0.40, ("all", 3200): 0.80}
    for labels in sorted({*budgets, *(2 * labels for labels in budgets if doubles)}):
        means["random", labels] = 0.50 + 0.04 * float(np.log2(labels / 100))
    for labels in budgets:
        for arm, effect in effects.items():
            means[arm, labels] = means["random", labels] + effect
    return [
        row(arm, labels, seed, float(mean + shared[seed] + OWN_SD * rng.standard_normal()))
        for (arm, labels), mean in means.items()
        for seed in range(seeds)
    ]
