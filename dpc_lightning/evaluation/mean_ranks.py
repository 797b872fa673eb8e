"""Mean ranks, the Friedman test, and the critical difference with its cliques."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.evaluation.arm_table import ArmTable

__all__ = ["MeanRanks", "mean_ranks"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class MeanRanks:
    """Mean ranks over blocks of a case and a seed; 1 is best.

    Attributes:
        mean: by arm, best first.
        blocks: how many blocks have a score of every arm.
        statistic: Friedman's chi square, corrected for ties.
        p: its p value: how likely such differences are if all arms are alike.
        critical_difference: two mean ranks that differ by less are not told apart (Nemenyi, 5 %).
        cliques: largest groups of arms that are not told apart, best first.
    """

    mean: Mapping[str, float]
    blocks: int
    statistic: float
    p: float
    critical_difference: float
    cliques: tuple[tuple[str, ...], ...]


def mean_ranks(table: ArmTable, problems: list[str]) -> MeanRanks | None:
    """Rank the arms in every block.

    Args:
        table: scores of all cases; a case and a seed in which all arms have a score are a block.
        problems: gets a sentence if there is nothing to rank.

    Returns:
        The mean ranks, or None with fewer than two blocks or if all scores are ties.

    Source:
        Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006).
    """
    blocks = np.concatenate([scores[np.isfinite(scores).all(axis=1)] for scores in table.scores])
    if len(blocks) < 2:
        problems.append(
            f"mean ranks need two blocks (a case and a seed) with scores of all {len(table.arms)} arms, there are "
            f"{len(blocks)}: compute what is missing"
        )
        return None
    ranks = stats.rankdata(-blocks, axis=1)
    if (np.ptp(ranks, axis=1) == 0).all():
        problems.append(f"mean ranks: all arms have the same score in each of {len(blocks)} blocks, nothing to rank")
        return None
    statistic, p = _friedman(blocks)
    mean = ranks.mean(axis=0)
    difference = _critical_difference(len(table.arms), len(blocks))
    order = sorted(range(len(table.arms)), key=lambda i: (mean[i], table.arms[i]))
    return MeanRanks(
        mean={table.arms[i]: float(mean[i]) for i in order},
        blocks=len(blocks),
        statistic=statistic,
        p=p,
        critical_difference=difference,
        cliques=_cliques([table.arms[i] for i in order], [float(mean[i]) for i in order], difference),
    )


def _friedman(blocks: Doubles) -> tuple[float, float]:
    """Friedman's test; of two arms it is the sign test's chi square, which scipy leaves out."""
    if blocks.shape[1] > 2:
        test: Any = stats.friedmanchisquare(*blocks.T)
        return float(test.statistic), float(test.pvalue)
    signs = np.sign(blocks[:, 0] - blocks[:, 1])
    statistic = float(signs.sum() ** 2 / np.abs(signs).sum())
    return statistic, float(stats.chi2.sf(statistic, 1))


def _critical_difference(arms: int, blocks: int) -> float:
    quantile = float(stats.studentized_range.ppf(0.95, arms, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(arms * (arms + 1) / (6 * blocks)))


def _cliques(arms: list[str], mean: list[float], difference: float) -> tuple[tuple[str, ...], ...]:
    """Give the groups of neighbours within the critical difference that lie in no larger one."""
    found: list[tuple[int, int]] = []
    for first in range(len(arms)):
        last = max(i for i in range(first, len(arms)) if mean[i] - mean[first] <= difference)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return tuple(tuple(arms[first : last + 1]) for first, last in found)
