"""Scores of many cases as arrays, with what is missing in them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.evaluation.cases import Case

__all__ = ["ArmTable", "gaps_of", "shared_seeds", "tabulate"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class ArmTable:
    """Scores as arrays.

    Attributes:
        arms: names of the columns, sorted.
        cases: one for each array.
        seeds: by study, the seeds of the rows, sorted.
        scores: one `(seeds, arms)` float64 array a case, NaN where there is no score.
    """

    arms: tuple[str, ...]
    cases: tuple[Case, ...]
    seeds: Mapping[str, tuple[int, ...]]
    scores: tuple[Doubles, ...]


def tabulate(grouped: Mapping[Case, Mapping[str, Mapping[int, float]]]) -> ArmTable:
    """Put scores into arrays.

    Args:
        grouped: case -> arm -> seed -> score.

    Example:
        >>> scores = {"badge": {1: 0.5, 2: 0.6}, "random": {2: 0.4}}
        >>> tabulate({Case("default", 100, None, "b0"): scores}).scores[0].tolist()
        [[0.5, nan], [0.6, 0.4]]
    """
    arms = tuple(sorted({arm for case in grouped.values() for arm in case}))
    seeds: dict[str, set[int]] = {}
    for case, of_case in grouped.items():
        seeds.setdefault(case.study, set()).update(seed for scores in of_case.values() for seed in scores)
    ordered = {study: tuple(sorted(found)) for study, found in seeds.items()}
    scores = tuple(
        np.array([[of_case.get(arm, {}).get(seed, np.nan) for arm in arms] for seed in ordered[case.study]])
        for case, of_case in grouped.items()
    )
    return ArmTable(arms, tuple(grouped), ordered, scores)


def shared_seeds(table: ArmTable) -> NDArray[np.int64]:
    """Seeds that each pair of arms shares: `(cases, arms, arms)` int64, 0 on the diagonal."""
    there = [np.isfinite(scores).astype(np.int64) for scores in table.scores]
    shared = np.stack([here.T @ here for here in there])
    shared[:, np.eye(len(table.arms), dtype=bool)] = 0
    return shared


def gaps_of(table: ArmTable) -> list[str]:
    """Say which arm is missing where, and which seeds."""
    problems = []
    for case, scores in zip(table.cases, table.scores, strict=True):
        there = np.isfinite(scores)
        used = there.any(axis=1)
        for i, arm in enumerate(table.arms):
            if not there[:, i].any():
                problems.append(f"{case}: no score of arm {arm}; its points stand on the other cases")
            elif (used & ~there[:, i]).any():
                seeds = np.array(table.seeds[case.study])[used & ~there[:, i]]
                problems.append(
                    f"{case}, arm {arm}: no score with seed{'s' if len(seeds) > 1 else ''} "
                    f"{', '.join(map(str, seeds))}; it is compared on the seeds that it shares with each other arm"
                )
    return problems
