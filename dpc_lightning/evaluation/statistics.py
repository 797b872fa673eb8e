"""The numbers by which arms are compared: means, paired differences, intervals, verdicts. See docs/statistics.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.holm import holm_corrected, holm_levels

__all__ = [
    "FEWEST_SEEDS",
    "LEVEL",
    "Interval",
    "PairedDifference",
    "Summary",
    "Verdict",
    "compare_arms",
    "compare_families",
    "mean_interval",
    "paired_differences",
    "summarize",
]

LEVEL = 0.95
"""Confidence of every interval, and one minus the probability of a false verdict among the arms of a case."""
FEWEST_SEEDS = 8
"""With fewer paired seeds no verdict is given."""

Verdict = Literal["better", "worse", "not shown", "too few seeds"]
"""What a comparison says in words."""


@dataclass(frozen=True)
class Interval:
    """Where a quantity lies, as far as the seeds tell."""

    low: float
    """Lower end."""
    high: float
    """Upper end."""
    level: float = LEVEL
    """Confidence, for example 0.95."""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Summary:
    """Scores of one arm over its seeds."""

    n: int
    """Seeds."""
    mean: float | None
    """Mean score; None without a seed."""
    sd: float | None
    """Standard deviation between seeds (divisor n - 1); None below two seeds."""
    interval: Interval | None
    """95 % interval of the mean by Student's t; None below two seeds, and where all scores are equal."""


@dataclass(frozen=True)
class PairedDifference:
    """An arm against random over the seeds that both have, corrected for the arms that are compared beside it."""

    n: int
    """Paired seeds."""
    mean: float
    """Mean of arm minus random."""
    sd: float
    """Standard deviation of the differences."""
    interval: Interval
    """95 % interval of the mean difference by Student's t: for this arm alone."""
    adjusted: Interval
    """The interval on which the verdict stands: it excludes 0 exactly where Holm's procedure rejects. Never narrower
    than `interval`; its `level` says how much wider."""
    p: float
    """Paired t test, two-sided."""
    p_holm: float
    """The same after Holm's correction over the arms compared."""
    p_wilcoxon: float
    """Wilcoxon signed-rank test, two-sided; exact where it can be."""
    p_wilcoxon_holm: float
    """The same after Holm's correction over the arms compared."""
    wins: int
    """Seeds on which the arm scores higher than random."""
    losses: int
    """Seeds on which it scores lower."""
    ties: int
    """Seeds on which both score the same."""
    verdict: Verdict
    """The comparison in words."""


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Interval:
    """Give the interval of a mean by Student's t.

    Args:
        values: `(n,)` float, one for each seed, n at least 2.
        level: confidence.

    Raises:
        EvaluationError: if there are fewer than two values, they are all equal, or one is not finite.

    Example:
        >>> found = mean_interval([0.52, 0.55, 0.58])
        >>> print(f"{found.low:.3f} to {found.high:.3f}")
        0.475 to 0.625
    """
    sample = _sample(values, "scores")
    scale = sample.std(ddof=1) / np.sqrt(len(sample))
    low, high = stats.t.interval(level, len(sample) - 1, loc=sample.mean(), scale=scale)
    return Interval(float(low), float(high), level)


def summarize(scores: ArrayLike) -> Summary:
    """Describe the scores of an arm, as far as their number allows.

    Args:
        scores: `(n,)` float, finite; also none or one.

    Raises:
        EvaluationError: if a score is not finite.

    Example:
        >>> summarize([0.5]).sd is None, summarize([0.5, 0.6]).mean
        (True, 0.55)
    """
    sample = np.asarray(scores, dtype=np.float64)
    _refuse_non_finite(sample, "scores")
    if len(sample) < 2:
        return Summary(len(sample), float(sample[0]) if len(sample) else None, None, None)
    mean, sd = float(sample.mean()), float(sample.std(ddof=1))
    return Summary(len(sample), mean, sd, None if _constant(sample) else mean_interval(sample))


def paired_differences(arm: Mapping[int, float], random: Mapping[int, float]) -> NDArray[np.float64]:
    """Subtract random's scores from an arm's, seed by seed.

    Args:
        arm: score by seed.
        random: score by seed, of the same seeds.

    Returns:
        `(n,)` float64, in the order of the seeds.

    Raises:
        EvaluationError: if one of the two lacks a seed that the other has, or a score is not finite.

    Example:
        >>> paired_differences({2: 0.75, 1: 0.5}, {1: 0.25, 2: 0.5}).tolist()
        [0.25, 0.25]
    """
    for name, lacks, has in (("the arm", arm, random), ("random", random, arm)):
        if missing := sorted(has.keys() - lacks.keys()):
            msg = f"Expected scores of the same seeds for a paired comparison, but {name} lacks seeds {missing}."
            raise EvaluationError(msg)
    seeds = sorted(arm)
    values = np.array([arm[seed] - random[seed] for seed in seeds], dtype=np.float64)
    if not np.isfinite(values).all():
        bad = [seed for seed, value in zip(seeds, values, strict=True) if not np.isfinite(value)]
        msg = f"Expected finite scores, but those of seeds {bad} are NaN or infinite: look at these jobs."
        raise EvaluationError(msg)
    return values


def compare_arms(differences: Mapping[str, ArrayLike]) -> dict[str, PairedDifference]:
    """Compare arms with random: intervals, tests and verdicts, corrected by Holm for the number of arms.

    Args:
        differences: for each arm its paired differences to random, `(n,)` float with n at least 2.

    Returns:
        the comparison by arm, in the order given.

    Raises:
        EvaluationError: if an arm has fewer than two seeds, differences that are all equal, or one that is not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> found = compare_arms({"badge": rng.normal(0.03, 0.02, 10), "again": rng.normal(0, 0.02, 10)})
        >>> found["badge"].verdict, found["again"].verdict
        ('better', 'not shown')
    """
    return compare_families([differences])[0]


def compare_families(families: Sequence[Mapping[str, ArrayLike]]) -> list[dict[str, PairedDifference]]:
    """Compare arms with random in several families; each is corrected for itself, as `compare_arms` does.

    Args:
        families: the arms that are compared beside each other, with their differences as `compare_arms` takes them.

    Raises:
        EvaluationError: as `compare_arms` does.
    """
    samples = [
        _sample(values, f"differences of `{arm}` to random") for family in families for arm, values in family.items()
    ]
    if not samples:
        return [{} for _ in families]
    p, p_wilcoxon = np.empty(len(samples)), np.empty(len(samples))
    for n in {len(sample) for sample in samples}:
        rows = [row for row, sample in enumerate(samples) if len(sample) == n]
        table = np.stack([samples[row] for row in rows])
        p[rows] = stats.ttest_1samp(table, 0.0, axis=1).pvalue
        p_wilcoxon[rows] = stats.wilcoxon(table, axis=1).pvalue
    p_holm, p_wilcoxon_holm, levels = np.empty(len(p)), np.empty(len(p)), np.empty(len(p))
    start = 0
    for family in filter(None, families):
        mine = slice(start, start := start + len(family))
        levels[mine] = holm_levels(p[mine], LEVEL)
        p_holm[mine], p_wilcoxon_holm[mine] = holm_corrected(p[mine]), holm_corrected(p_wilcoxon[mine])
    rows_of = iter(_differences(samples, levels, np.stack([p, p_holm, p_wilcoxon, p_wilcoxon_holm], axis=1)))
    return [{arm: next(rows_of) for arm in family} for family in families]


def _differences(
    samples: Sequence[NDArray[np.float64]], levels: NDArray[np.float64], p: NDArray[np.float64]
) -> list[PairedDifference]:
    size = np.array([len(sample) for sample in samples])
    mean = np.array([sample.mean() for sample in samples])
    sd = np.array([sample.std(ddof=1) for sample in samples])
    alone = np.stack(stats.t.interval(LEVEL, size - 1, loc=mean, scale=sd / np.sqrt(size)), axis=1).tolist()
    among = np.stack(stats.t.interval(levels, size - 1, loc=mean, scale=sd / np.sqrt(size)), axis=1).tolist()
    return [
        PairedDifference(
            n=len(sample),
            mean=float(mean[k]),
            sd=float(sd[k]),
            interval=Interval(alone[k][0], alone[k][1]),
            adjusted=Interval(among[k][0], among[k][1], float(levels[k])),
            p=float(p[k, 0]),
            p_holm=float(p[k, 1]),
            p_wilcoxon=float(p[k, 2]),
            p_wilcoxon_holm=float(p[k, 3]),
            wins=int((sample > 0).sum()),
            losses=int((sample < 0).sum()),
            ties=int((sample == 0).sum()),
            verdict=_verdict(len(sample), among[k][0], among[k][1]),
        )
        for k, sample in enumerate(samples)
    ]


def _verdict(n: int, low: float, high: float) -> Verdict:
    if n < FEWEST_SEEDS:
        return "too few seeds"
    return "better" if low > 0 else "worse" if high < 0 else "not shown"


def _sample(values: ArrayLike, what: str) -> NDArray[np.float64]:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or len(sample) < 2:
        msg = f"Expected {what} of at least two seeds in one row, but got shape {sample.shape}: let more seeds finish."
        raise EvaluationError(msg)
    _refuse_non_finite(sample, what)
    if _constant(sample):
        msg = (
            f"Expected {what} that differ between seeds, but all {len(sample)} are {sample[0]:g}: nothing is known of "
            "their spread. Look whether the seeds were really used, or whether both arms bought the same."
        )
        raise EvaluationError(msg)
    return sample


def _refuse_non_finite(sample: NDArray[np.float64], what: str) -> None:
    if not np.isfinite(sample).all():
        at = np.flatnonzero(~np.isfinite(sample)).tolist()
        msg = f"Expected finite {what}, but those at positions {at} are NaN or infinite: look at these jobs."
        raise EvaluationError(msg)


def _constant(sample: NDArray[np.float64]) -> bool:
    return bool(np.ptp(sample) <= 1e-12 * max(1.0, float(np.abs(sample).max())))
