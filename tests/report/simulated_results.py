"""The rows of a benchmark that never ran: arms with known effects, failures, and a study of noise."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from dpc_lightning.evaluation.result import Result
from tests.report.run_folder import NASTY

EFFECTS = {"random": 0.0, "badge": 0.05, "entropy": 0.0, NASTY: 0.02, "_hard_class": -0.04}
BUDGETS = (100, 200, 400)
POOL = 2000
CLASSES = ("scratch", NASTY)
SEEDS = range(9)


def simulated(seeds: range = SEEDS) -> list[Result]:
    """Three budgets and two pipelines on one study, one budget on another, a study of noise, and failed jobs."""
    middle = BUDGETS[1:2]
    rows = [*_study("default", seeds, {"small_unfrozen": BUDGETS, "small_frozen": middle})]
    rows += _study("hard", seeds, {"small_unfrozen": middle})
    broken = [row for row in rows if row.arm == "entropy" and row.seed == 3]
    error = f"DivergedError: {NASTY} became NaN\nin step 4"
    failed = [replace(row, status="failed", error=error, scores={}, f1_per_class={}, bought=0) for row in broken]
    return [row for row in rows if row not in broken] + failed + list(_noise())


def _study(study: str, seeds: range, grid: dict[str, tuple[int, ...]]) -> Iterator[Result]:
    rng = np.random.default_rng([*study.encode()])
    for seed in seeds:
        of_seed = rng.normal(0, 0.03)
        for pipeline, budgets in grid.items():
            level = 0.45 + of_seed - (0.08 if pipeline == "small_frozen" else 0)
            yield _row(study, "none", 0, pipeline, seed, level, rng)
            yield _row(study, "all", POOL, pipeline, seed, level + 0.3, rng)
            for labels in sorted({*budgets, *(2 * labels for labels in budgets)}):
                grown = level + 0.05 * np.log2(labels / 50)
                for arm, effect in EFFECTS.items():
                    if arm == "random" or labels in budgets:
                        yield _row(study, arm, labels, pipeline, seed, grown + effect, rng)


def _noise() -> Iterator[Result]:
    rng = np.random.default_rng(7)
    for seed in range(20, 26):
        start = rng.normal(0, 0.02)
        for purchase_seed in range(3):
            bought = rng.normal(0, 0.01)
            for judge_seed in range(2):
                for pipeline, spread in (("small_unfrozen", 0.02), ("small_averaged", 0.01)):
                    score = 0.55 + start + bought + rng.normal(0, spread)
                    row = _row("default", "random", 200, pipeline, seed, score, rng)
                    key = f"{row.key}-{purchase_seed}-{judge_seed}"
                    yield replace(row, key=key, purchase_seed=purchase_seed, judge_seed=100 + judge_seed)


def _row(study: str, arm: str, labels: int, pipeline: str, seed: int, level: float, rng: np.random.Generator) -> Result:
    score = float(np.clip(level + rng.normal(0, 0.012), 0, 1))
    spent = {} if labels == 0 else {"pretrain": 20.0, "score": 3.0, "pick": 0.1, "buy": 0.2, "train": labels / 10}
    facts: dict[str, Any] = {"versions": {"python": "3.11.7", "torch": "2.15.0"}, "hardware": {"machine": "x86_64"}}
    return Result(
        key=f"{study}-{arm}-{labels}-{pipeline}-{seed}",
        study=study,
        arm=arm,
        labels=labels,
        seconds=None,
        pipeline=pipeline,
        seed=seed,
        purchase_seed=seed,
        judge_seed=seed,
        scores={"f1_macro": score, "f1_macro_at_half": score - 0.05, "map": score + 0.05, "exact_match": score / 2},
        f1_per_class={"scratch": score + 0.1, NASTY: None if study == "hard" else score - 0.1},
        bought=labels,
        indices=tuple(rng.permutation(POOL)[:labels].tolist()) if labels < POOL else (),
        spent=spent,
        evaluate_seconds=30.0 + labels / 20,
        wall_seconds=60.0,
        facts=facts | ({"buyer": "compact"} if arm not in {"none", "random", "all"} else {}),
        finished=f"2026-01-{1 + seed % 28:02d}T00:00:00+00:00",
    )
