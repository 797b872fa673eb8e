"""How much of the way from random to owning all labels an arm goes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.statistics import LEVEL, Interval, paired_differences

__all__ = ["GapClosed", "gap_closed"]


@dataclass(frozen=True)
class GapClosed:
    """`(arm - random) / (all - random)`: 0 is as good as random, 1 as good as owning every label."""

    n: int
    """Seeds that arm, random and all have in common."""
    share: float
    """Share of the gap, of the means; negative for an arm below random."""
    interval: Interval
    """Its 95 % interval by Fieller's method."""
    gap: float
    """The gap itself: mean of all minus random."""


def gap_closed(arm: Mapping[int, float], random: Mapping[int, float], every: Mapping[int, float]) -> GapClosed | None:
    """Give the share of the gap between random and all labels that an arm closes.

    The interval holds the shares r for which a paired t test does not tell `arm - random` from `r (all - random)`
    (Fieller 1954). It is bounded exactly where the gap itself is shown.

    Args:
        arm: score by seed.
        random: score by seed, of the same seeds.
        every: score by seed with all labels, of the same seeds.

    Returns:
        the share, or None where all labels are not shown to be better than random, so that the share has no meaning.

    Raises:
        EvaluationError: if seeds differ, there are fewer than two, or a score is not finite.

    Example:
        >>> random, every = {1: 0.50, 2: 0.52, 3: 0.51}, {1: 0.70, 2: 0.71, 3: 0.72}
        >>> found = gap_closed({1: 0.61, 2: 0.62, 3: 0.60}, random, every)
        >>> print(f"{found.share:.2f} ({found.interval.low:.2f} to {found.interval.high:.2f})")
        0.50 (0.35 to 0.68)
    """
    gain, gap = paired_differences(arm, random), paired_differences(every, random)
    n = len(gap)
    if n < 2:
        msg = f"Expected at least two seeds to say how much of the gap is closed, but got {n}: let more seeds finish."
        raise EvaluationError(msg)
    covariance = np.cov(gain, gap) / n
    squared = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) ** 2
    up, along = float(gain.mean()), float(gap.mean())
    a = along**2 - squared * covariance[1, 1]
    b = up * along - squared * covariance[0, 1]
    c = up**2 - squared * covariance[0, 0]
    if along <= 0 or a <= 0:
        return None
    root = float(np.sqrt(max(b * b - a * c, 0.0)))
    return GapClosed(n, up / along, Interval(float((b - root) / a), float((b + root) / a)), along)
