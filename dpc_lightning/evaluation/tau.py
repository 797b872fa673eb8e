"""Kendall's tau between two judges, with its interval and with what noise alone would leave of it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["JudgedPair", "Tau", "TauDraws", "draw_taus", "summed_up"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Tau:
    """How alike two pipelines order the arms.

    Attributes:
        first: name of a pipeline.
        second: name of the other.
        study: name of the data, or None for the mean over all budgets that both judged.
        labels: label budget, or None.
        seconds: compute budget in seconds, or None.
        arms: how many arms were ordered; 5 arms allow 11 values of tau, 2 arms two.
        seeds: how many seeds the means stand on.
        tau: Kendall's tau-b of the arms' mean scores: 1 the same order, 0 none in common, -1 reversed.
        low: lower end of the 95 % interval, by bootstrap over the seeds.
        high: upper end.
        halves: mean tau between one half of the seeds under `first` and the other half under `second`; None below 4
            seeds.
        ceiling: mean tau between two halves of the seeds under the same pipeline: what `halves` would be if the
            pipelines agreed and only noise were left. None below 4 seeds.
    """

    first: str
    second: str
    study: str | None
    labels: int | None
    seconds: float | None
    arms: int
    seeds: int
    tau: float
    low: float
    high: float
    halves: float | None
    ceiling: float | None


@dataclass(frozen=True)
class JudgedPair:
    """The scores of two pipelines in one budget.

    Attributes:
        budget: study, labels, seconds.
        arms: names of the columns.
        seeds: of the rows.
        first: scores under the first pipeline, `(seeds, arms)` float64.
        second: scores under the second, of the same shape.
    """

    budget: tuple[str, int, float | None]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    first: Doubles
    second: Doubles


@dataclass(frozen=True)
class TauDraws:
    """Taus of one pair; NaN where one is not defined.

    Attributes:
        tau: as measured.
        resampled: by resample, `(resamples,)` float64.
        halves: mean between half of the seeds under one judge and the other half under the other.
        ceiling: mean between halves under the same judge.
    """

    tau: float
    resampled: Doubles
    halves: float
    ceiling: float


@lru_cache(maxsize=100_000)
def _kendall(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """Tau-b of two tuples of ranks; few arms have few orders, so most calls are answered from memory."""
    result: Any = stats.kendalltau(first, second, variant="b")
    return round(float(result.statistic), 12)


def _taus(first: Doubles, second: Doubles) -> Doubles:
    """Tau-b by row of two `(n, arms)` float64 arrays of mean scores: `(n,)` float64."""
    ranks = [stats.rankdata(np.round(means, 12), axis=1) for means in (first, second)]
    order = np.lexsort((ranks[1], ranks[0]))  # tau does not know which arm is which: all orders become a few
    one, other = (np.take_along_axis(rank, order, axis=1).tolist() for rank in ranks)
    return np.array([_kendall(tuple(a), tuple(b)) for a, b in zip(one, other, strict=True)])


def draw_taus(pair: JudgedPair, resamples: int) -> TauDraws:
    """Draw the taus of a pair of judges.

    Args:
        pair: scores of both.
        resamples: how often to draw the seeds anew.

    Returns:
        Tau as measured, under resampling, and between halves of the seeds (200 ways to halve them).
    """
    rng = np.random.default_rng(crc32(pair.budget[0].encode()))  # the same seeds of a study at all of its budgets
    count = len(pair.seeds)
    weights = rng.multinomial(count, np.full(count, 1 / count), size=resamples) / count
    tau = float(_taus(pair.first.mean(axis=0)[None], pair.second.mean(axis=0)[None])[0])
    resampled = _taus(weights @ pair.first, weights @ pair.second)
    if count < 4:
        return TauDraws(tau, resampled, np.nan, np.nan)
    half = count // 2
    orders = rng.permuted(np.tile(np.arange(count), (200, 1)), axis=1)
    one, two = orders[:, :half], orders[:, half : 2 * half]
    means = {
        (name, part): scores[seeds].mean(axis=1)
        for name, scores in (("first", pair.first), ("second", pair.second))
        for part, seeds in (("one", one), ("two", two))
    }
    within = [_taus(means[name, "one"], means[name, "two"]) for name in ("first", "second")]
    across = [_taus(means["first", part], means["second", other]) for part, other in (("one", "two"), ("two", "one"))]
    return TauDraws(tau, resampled, _mean(np.concatenate(across)), _mean(np.concatenate(within)))


def _mean(values: Doubles) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def summed_up(
    first: str,
    second: str,
    drawn: list[tuple[JudgedPair, TauDraws]],
    budget: tuple[str | None, int | None, float | None],
) -> Tau:
    """Give one tau with its interval, or the mean of several.

    Args:
        first: name of a judge.
        second: name of the other.
        drawn: pairs and their draws; means are taken by number of the resample, so that the interval is of the mean.
        budget: study, labels and seconds, each None for a mean over several.
    """
    resampled = np.stack([draws.resampled for _, draws in drawn])
    there = np.isfinite(resampled)
    means = np.where(there, resampled, 0.0).sum(axis=0)[there.any(axis=0)] / there.sum(axis=0)[there.any(axis=0)]
    low, high = np.quantile(means, [0.025, 0.975])
    halves = _mean(np.array([draws.halves for _, draws in drawn]))
    ceiling = _mean(np.array([draws.ceiling for _, draws in drawn]))
    return Tau(
        first,
        second,
        *budget,
        arms=min(len(pair.arms) for pair, _ in drawn),
        seeds=min(len(pair.seeds) for pair, _ in drawn),
        tau=float(np.mean([draws.tau for _, draws in drawn])),
        low=float(low),
        high=float(high),
        halves=halves if np.isfinite(halves) else None,
        ceiling=ceiling if np.isfinite(ceiling) else None,
    )
