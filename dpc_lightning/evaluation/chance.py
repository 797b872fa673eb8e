"""Random against random: how often would a comparison of like with like have shown a difference?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.result import RANDOM
from dpc_lightning.evaluation.variance import Grid

__all__ = ["Chance", "against_itself"]


@dataclass(frozen=True)
class Chance:
    """Real experiments of random against random; whatever they show is false.

    Attributes:
        case: study, budget and pipeline, or None for all together.
        seeds: start sets of an experiment; of the smallest one for all together.
        experiments: pairs of purchase seeds times judge seeds.
        false: in how many a paired t test at 5 % shows a difference.
        rate: false / experiments; 0.05 is right.
        low: lower end of its 95 % interval (Clopper-Pearson), as if the experiments were independent: a little short.
        high: upper end.
        mixed_rate: the same rate when each start set draws two of its purchases, over many draws: whether the t test
            holds with differences of this shape and so few start sets.
        largest: the largest mean difference of an experiment, in units of the score.
    """

    case: Case | None
    seeds: int
    experiments: int
    false: int
    rate: float
    low: float
    high: float
    mixed_rate: float
    largest: float


def against_itself(grids: Sequence[Grid], problems: list[str], *, draws: int = 2000) -> list[Chance]:
    """Compare random with random on start sets with several purchases.

    Args:
        grids: the studies of noise; those of other arms are left alone.
        problems: gets a sentence for each study that is too small.
        draws: draws for `mixed_rate`.

    Returns:
        One for each case, and at the end one for all together if there are several.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> grid = Grid(Case("default", 100, None, "b0"), "random", rng.normal(size=(8, 3, 2)), "nested")
        >>> against_itself([grid], [])[0].experiments
        6
    """
    found = []
    for grid in grids:
        start_sets, purchases, _ = grid.scores.shape
        if grid.arm != RANDOM or purchases < 2:
            continue
        if start_sets < 2:
            problems.append(f"{grid.case}: random against random needs two start sets, there is {start_sets}")
            continue
        found.append(_of_case(grid, draws))
    if len(found) > 1:
        found.append(_together(found))
    return found


def _of_case(grid: Grid, draws: int) -> Chance:
    start_sets, purchases, trainings = grid.scores.shape
    pairs = list(combinations(range(purchases), 2))
    gaps = np.stack([grid.scores[:, p, j] - grid.scores[:, q, j] for p, q in pairs for j in range(trainings)])
    rng = np.random.default_rng(0)
    first = rng.integers(purchases, size=(draws, start_sets))
    second = (first + rng.integers(1, purchases, size=first.shape)) % purchases
    judge = rng.integers(trainings, size=(draws, 1))
    sets = np.arange(start_sets)
    mixed = grid.scores[sets, first, judge] - grid.scores[sets, second, judge]
    false = int(_shown(gaps).sum())
    return Chance(
        grid.case,
        start_sets,
        len(gaps),
        false,
        *_rate(false, len(gaps)),
        mixed_rate=float(_shown(mixed).mean()),
        largest=float(np.abs(gaps.mean(axis=1)).max()),
    )


def _together(found: Sequence[Chance]) -> Chance:
    false, experiments = sum(one.false for one in found), sum(one.experiments for one in found)
    return Chance(
        None,
        min(one.seeds for one in found),
        experiments,
        false,
        *_rate(false, experiments),
        mixed_rate=float(np.mean([one.mixed_rate for one in found])),
        largest=max(one.largest for one in found),
    )


def _shown(gaps: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say by row of `(n, start sets)` float64 whether a two-sided paired t test at 5 % shows a difference."""
    shown = np.zeros(len(gaps), dtype=np.bool_)
    varied = np.ptp(gaps, axis=1) > 1e-12 * np.abs(gaps).max(axis=1, initial=0)
    if varied.any():
        test: Any = stats.ttest_1samp(gaps[varied], 0.0, axis=1)
        shown[varied] = test.pvalue < 0.05
    return shown


def _rate(false: int, experiments: int) -> tuple[float, float, float]:
    interval: Any = stats.binomtest(false, experiments).proportion_ci(0.95, method="exact")
    return false / experiments, float(interval.low), float(interval.high)
