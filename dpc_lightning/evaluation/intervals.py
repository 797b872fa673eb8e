"""Intervals that the ranking, the agreement and the noise have in common; all by scipy."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

__all__ = ["Interval", "mean_with_interval"]


class Interval(NamedTuple):
    """A mean of paired differences.

    Attributes:
        pairs: how many.
        mean: their mean.
        low: lower end of the 95 % t interval.
        high: upper end.
    """

    pairs: int
    mean: float
    low: float
    high: float


def mean_with_interval(values: Sequence[float]) -> Interval:
    """Give the mean with its 95 % t interval.

    Args:
        values: at least two finite numbers.

    Returns:
        The mean; of equal values the interval is the value itself.

    Example:
        >>> pairs, mean, low, high = mean_with_interval([1.0, 2.0, 3.0])
        >>> pairs, mean, round(low, 3), round(high, 3)
        (3, 2.0, -0.484, 4.484)
    """
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if np.ptp(array) <= 1e-12 * np.abs(array).max():
        return Interval(len(array), mean, mean, mean)
    interval: Any = stats.ttest_1samp(array, 0.0).confidence_interval(0.95)
    return Interval(len(array), mean, float(interval.low), float(interval.high))
