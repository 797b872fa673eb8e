"""How many seeds are needed to see a difference of 1, 2 and 5 points."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.result import RANDOM

__all__ = ["POINTS", "SeedsNeeded", "seeds_needed", "seeds_to_see"]

POINTS = (1.0, 2.0, 5.0)
"""Differences in points: hundredths of the score."""

MOST = 1_000_000

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class SeedsNeeded:
    """Seeds that a t test at 5 % needs to see a difference with a probability of 80 %.

    Attributes:
        case: study, budget and pipeline.
        arm: name of the arm that is compared with random.
        seeds: pairs that the standard deviations were measured on.
        sd: standard deviation of the paired differences, in units of the score.
        sd_low: lower end of its 95 % interval (chi square).
        sd_high: upper end.
        sd_unpaired: pooled standard deviation of the scores of the two arms.
        paired: by difference in points, the number of seeds when both arms share them.
        paired_at_worst: the same with `sd_high`.
        unpaired: by difference in points, the number of seeds of each arm when they share none.
    """

    case: Case
    arm: str
    seeds: int
    sd: float
    sd_low: float
    sd_high: float
    sd_unpaired: float
    paired: Mapping[float, int]
    paired_at_worst: Mapping[float, int]
    unpaired: Mapping[float, int]


def seeds_to_see(difference: float, sd: float, *, paired: bool = True, power: float = 0.8) -> int:
    """Give the smallest number of seeds with which a two-sided t test at 5 % has the wanted power.

    Args:
        difference: true difference of the means, in units of the score, above 0.
        sd: standard deviation of the paired differences, or of the scores if unpaired; at least 0.
        paired: whether both arms share their seeds.
        power: probability to see the difference.

    Returns:
        Seeds, or seeds of each arm if unpaired; at least 2, at most 1,000,000.

    Raises:
        EvaluationError: a difference, sd or power out of range.

    Example:
        The five scores of one purchase that a participant of the challenge published have an sd of 2.8 points.

        >>> seeds_to_see(0.015, float(np.std([0.2351, 0.1784, 0.1904, 0.1719, 0.1646], ddof=1)), paired=False)
        56
    """
    if not (0 < difference < np.inf and 0 <= sd < np.inf and 0 < power < 1):
        raise EvaluationError(
            f"expected a difference above 0, an sd of at least 0 and a power between 0 and 1, got {difference}, {sd} "
            f"and {power}"
        )
    if sd == 0:
        return 2

    def enough(count: int) -> bool:
        return _power(difference / sd, count, paired=paired) >= power

    high = 2
    while high < MOST and not enough(high):
        high *= 2
    low = high // 2
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return min(high, MOST)


def _power(effect: float, count: int, *, paired: bool) -> float:
    """Give the power by statsmodels, kept from where its noncentral t distribution gives NaN.

    Above a noncentrality of 5 the far tail, which is not a millionth, is left out; above 36 the power is that at 36.
    """
    test = TTestPower() if paired else TTestIndPower()
    scale = float(np.sqrt(count if paired else count / 2))
    if effect * scale <= 5:
        return float(test.power(effect, count, 0.05))
    return float(test.power(min(effect, 36 / scale), count, 0.025, alternative="larger"))


def seeds_needed(
    table: Mapping[Case, Mapping[str, Mapping[int, float]]], problems: list[str], *, points: tuple[float, ...] = POINTS
) -> list[SeedsNeeded]:
    """Give the seeds needed for every arm beside random.

    Args:
        table: case -> arm -> seed -> score.
        problems: gets a sentence for each arm that shares fewer than 2 seeds with random, or never differs from it.
        points: differences in points.

    Returns:
        One for each case and arm.

    Example:
        >>> scores = {"badge": {1: 0.52, 2: 0.55, 3: 0.50}, "random": {1: 0.50, 2: 0.52, 3: 0.49}}
        >>> needed = seeds_needed({Case("default", 100, None, "b0"): scores}, [])[0]
        >>> dict(needed.paired), dict(needed.unpaired)
        ({1.0: 10, 2.0: 5, 5.0: 3}, {1.0: 69, 2.0: 19, 5.0: 4})
    """
    found = []
    for case, arms in table.items():
        random = arms.get(RANDOM, {})
        for arm in sorted(set(arms) - {RANDOM}):
            shared = sorted(set(arms[arm]) & set(random))
            if len(shared) < 2:
                problems.append(
                    f"{case}, arm {arm}: {len(shared)} seeds in common with random, 2 are needed to know the noise"
                )
                continue
            own = np.array([arms[arm][seed] for seed in shared])
            other = np.array([random[seed] for seed in shared])
            if np.ptp(own - other) <= 1e-12:
                problems.append(f"{case}, arm {arm}: differs from random by the same amount with every seed")
                continue
            found.append(_needed(case, arm, own, other, points=points))
    return found


def _needed(case: Case, arm: str, own: Doubles, other: Doubles, *, points: tuple[float, ...]) -> SeedsNeeded:
    """Work out one arm from its scores and random's, both `(seeds,)` float64."""
    degrees = len(own) - 1
    sd = float(np.std(own - other, ddof=1))
    unpaired = float(np.sqrt((own.var(ddof=1) + other.var(ddof=1)) / 2))
    low, high = (sd * float(np.sqrt(degrees / stats.chi2.ppf(q, degrees))) for q in (0.975, 0.025))
    return SeedsNeeded(
        case=case,
        arm=arm,
        seeds=len(own),
        sd=sd,
        sd_low=low,
        sd_high=high,
        sd_unpaired=unpaired,
        paired={size: seeds_to_see(size / 100, sd) for size in points},
        paired_at_worst={size: seeds_to_see(size / 100, high) for size in points},
        unpaired={size: seeds_to_see(size / 100, unpaired, paired=False) for size in points},
    )
