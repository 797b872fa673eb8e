"""How many labels random would need to do as well as an arm."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.optimize import isotonic_regression

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.statistics import LEVEL, Interval, paired_differences

__all__ = ["LabelsNeeded", "labels_needed"]

_STEPS = 200


@dataclass(frozen=True)
class LabelsNeeded:
    """Labels with which random reaches an arm's mean score.

    Nothing is read off beyond the budgets at which random was measured: `math.inf` stands for more than `largest`, 0.0
    for fewer than `smallest`.
    """

    n: int
    """Seeds that the arm and every budget of random used here have in common."""
    budget: int
    """The arm's label budget."""
    labels: float
    """Labels that random would need."""
    interval: Interval
    """Its 95 % interval; each end may be `math.inf` or 0.0."""
    smallest: int
    """Random's smallest budget."""
    largest: int
    """Random's largest budget."""

    @property
    def factor(self) -> float:
        """How many of random's labels one label of the arm is worth."""
        return self.labels / self.budget

    def text(self, labels: float) -> str:
        """Write a number of labels, with `>` or `<` where it lies beyond random's budgets.

        Example:
            >>> found = LabelsNeeded(8, 100, 150.0, Interval(0.0, math.inf), 50, 400)
            >>> found.text(found.interval.low), found.text(found.labels), found.text(found.interval.high)
            ('<50', '150', '>400')
        """
        return f">{self.largest}" if labels == math.inf else f"<{self.smallest}" if labels == 0 else f"{labels:.0f}"

    def factor_text(self, labels: float) -> str:
        """Write a number of labels as a multiple of the arm's budget.

        Example:
            >>> found = LabelsNeeded(8, 100, 150.0, Interval(0.0, math.inf), 50, 400)
            >>> found.factor_text(found.labels), found.factor_text(found.interval.high)
            ('1.5', '>4.0')
        """
        sign = ">" if labels == math.inf else "<" if labels == 0 else ""
        seen = {">": float(self.largest), "<": float(self.smallest)}.get(sign, labels)
        return f"{sign}{seen / self.budget:.1f}"


def labels_needed(budget: int, arm: Mapping[int, float], random: Mapping[int, Mapping[int, float]]) -> LabelsNeeded:
    """Say with how many labels random does as well as an arm.

    Random's mean scores are made non-decreasing by isotonic regression, for more labels of the same kind do no harm and
    a dip is noise, and joined by lines over log labels; the first crossing counts. The interval holds the labels at
    which a paired t test does not tell the arm from random, whose score of each seed is read off the same lines.

    Args:
        budget: the arm's label budget.
        arm: the arm's score by seed.
        random: random's scores by labels, then by seed; at least two budgets, of the arm's seeds each.

    Raises:
        EvaluationError: if seeds differ, there are fewer than two or fewer than two budgets, or a score is not finite.

    Example:
        >>> random = {100: {1: 0.50, 2: 0.52, 3: 0.51}, 200: {1: 0.60, 2: 0.61, 3: 0.62}}
        >>> found = labels_needed(100, {1: 0.55, 2: 0.57, 3: 0.56}, random)
        >>> print(f"{found.labels:.0f} labels, {found.factor:.1f} times as many")
        141 labels, 1.4 times as many
    """
    budgets = sorted(random)
    if len(budgets) < 2 or len(arm) < 2:
        msg = (
            f"Expected at least two seeds and two label budgets of random to read its curve, but got {len(arm)} seeds "
            f"and budgets {budgets}: let more jobs finish, or add a budget."
        )
        raise EvaluationError(msg)
    behind = np.stack([paired_differences(arm, random[labels]) for labels in budgets], axis=1)
    level = np.array([np.mean([*random[labels].values()]) for labels in budgets])
    labels = _crossing(np.array(budgets, dtype=np.float64), level, float(np.mean([*arm.values()])))
    low, high = _not_told_apart(np.array(budgets, dtype=np.float64), behind)
    interval = Interval(min(low, labels), max(high, labels))
    return LabelsNeeded(len(arm), budget, labels, interval, budgets[0], budgets[-1])


def _crossing(budgets: NDArray[np.float64], level: NDArray[np.float64], score: float) -> float:
    rising = isotonic_regression(level).x
    k = int(np.searchsorted(rising, score - 1e-12))
    if k == len(budgets):
        return math.inf
    if k == 0:
        return float(budgets[0]) if score >= rising[0] - 1e-12 else 0.0
    return float(_labels(np.interp(score, rising[k - 1 : k + 1], np.log(budgets[k - 1 : k + 1]))))


def _not_told_apart(budgets: NDArray[np.float64], behind: NDArray[np.float64]) -> tuple[float, float]:
    """Give the ends of the labels at which the mean of arm minus random may be 0; `behind` is `(seeds, budgets)`."""
    positions = np.linspace(0, len(budgets) - 1, _STEPS * (len(budgets) - 1) + 1)
    left = np.minimum(positions.astype(int), len(budgets) - 2)
    share = positions - left
    along = behind[:, left] * (1 - share) + behind[:, left + 1] * share
    labels = _labels(np.log(budgets[left]) * (1 - share) + np.log(budgets[left + 1]) * share)
    mean, reach = along.mean(axis=0), stats.t.ppf((1 + LEVEL) / 2, len(along) - 1) * stats.sem(along)
    inside = np.flatnonzero(np.abs(mean) <= reach + 1e-12)
    if not len(inside):
        return (math.inf, -math.inf)
    low = 0.0 if inside[0] == 0 else float(labels[inside[0]])
    return low, math.inf if inside[-1] == len(labels) - 1 else float(labels[inside[-1]])


def _labels(logarithm: ArrayLike) -> NDArray[np.float64]:
    """Undo the logarithm so that a budget comes back as itself."""
    return np.asarray(np.round(np.exp(logarithm), 9), dtype=np.float64)
