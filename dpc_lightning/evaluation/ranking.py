"""The final ranking: who beats whom, mean ranks, points over all cases, and how stable the places are."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case, constant_arms, scored_rows, scores_by_case
from dpc_lightning.evaluation.result import Result

__all__ = ["Beaten", "MeanRanks", "Ranking", "rank"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Beaten:
    """The pairwise penalty matrix.

    Attributes:
        arms: names of rows and columns.
        matrix: `matrix[i][j]` grows by 1 / (budgets of the study and pipeline) where arm i beats arm j.
        most: `most[i][j]`, what the entry would be had i beaten j everywhere: in how many pairs of study and pipeline
            the two met.
        column_means: by arm, the mean of its column: how often it is beaten. Lower is better.
    """

    arms: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    most: tuple[tuple[int, ...], ...]
    column_means: Mapping[str, float]


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


@dataclass(frozen=True)
class Ranking:
    """The arms in their final order, with all that it rests on.

    Attributes:
        metric: the score that ranks.
        arms: best first, by points.
        points: by arm, 0 to 1: the mean over its cases of the share of the others that it beats (Borda).
        places: by arm, the place in the final order, 1 is best; arms with equal points share the mean of their places.
        cases: by arm, in how many cases it took part.
        of_cases: how many cases there are.
        seeds: the smallest and the largest number of seeds that a pair of arms shares in a case.
        stability: by arm, the share of resamples over seeds in which it holds place 1, 2, ...; each sums to 1.
        beaten: the pairwise penalty matrix.
        mean_ranks: None if fewer than two blocks are complete, or all scores are ties; `problems` then says so.
        problems: what is missing and was worked around, in sentences.
    """

    metric: str
    arms: tuple[str, ...]
    points: Mapping[str, float]
    places: Mapping[str, float]
    cases: Mapping[str, int]
    of_cases: int
    seeds: tuple[int, int]
    stability: Mapping[str, tuple[float, ...]]
    beaten: Beaten
    mean_ranks: MeanRanks | None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    """Scores as arrays: one `(seeds, arms)` float64 array a case, NaN where there is no score."""

    arms: tuple[str, ...]
    cases: tuple[Case, ...]
    seeds: Mapping[str, tuple[int, ...]]
    scores: tuple[Doubles, ...]


def rank(results: Iterable[Result], metric: str = "f1_macro", *, resamples: int = 2000) -> Ranking:
    """Rank the arms over all cases.

    A case is (study, labels, seconds, pipeline). Only rows count whose three seeds are one. `none` and `all` do not
    compete. An arm that is missing in a case meets nobody there: each pair of arms is compared on the seeds that both
    have, an arm's points are its mean over the cases in which it met somebody, and a block without all arms does not
    count in the mean ranks. Each such gap is listed in `problems`.

    Args:
        results: rows of one version of the protocol, in any order.
        metric: name of a score; more is better.
        resamples: resamples over seeds for the stability.

    Returns:
        The ranking.

    Raises:
        EvaluationError: fewer than two arms; no pair of arms with two seeds in common; or rows as in `scored_rows`.

    Example:
        >>> rows = [
        ...     Result(f"{arm}{seed}", "default", arm, 100, None, "b0", seed, seed, seed, scores={"f1_macro": score})
        ...     for arm, better in (("badge", 0.1), ("random", 0.0))
        ...     for seed, score in enumerate((0.50 + better, 0.52 + better * 1.1, 0.47 + better * 1.2))
        ... ]
        >>> rank(rows).arms
        ('badge', 'random')
        >>> rank(rows).beaten.matrix
        ((0.0, 1.0), (0.0, 0.0))
    """
    checked = scored_rows(results, metric)
    grouped = scores_by_case(checked.rows)
    table = _tabulate(grouped)
    if len(table.arms) < 2:
        raise EvaluationError(
            f"expected at least two arms to rank, got {', '.join(table.arms) or 'none'} (rows of the studies of noise, "
            "`none` and `all` do not count): add arms to the benchmark"
        )
    shared = _shared_seeds(table)
    if shared.max() < 2:
        raise EvaluationError(
            f"{table.cases[0]}: no two arms have two seeds in common, a ranking needs at least 2 and a verdict 8: run "
            "the benchmark with more seeds"
        )
    problems = [*checked.problems, *constant_arms(grouped)]
    alone = [arm for arm, most in zip(table.arms, shared.max(axis=(0, 1)), strict=True) if most == 0]
    if alone:
        problems += [f"arm {arm}: no case and seed in common with another arm, not ranked" for arm in alone]
        grouped = {
            case: {arm: scores for arm, scores in of_case.items() if arm not in alone}
            for case, of_case in grouped.items()
            if set(of_case) - set(alone)
        }
        table = _tabulate(grouped)
        shared = _shared_seeds(table)
    problems += _gaps(table)
    points = _points(table, None)[0]
    mean_ranks = _mean_ranks(table, problems)
    order = sorted(range(len(table.arms)), key=lambda i: (-points[i], table.arms[i]))
    arms = tuple(table.arms[i] for i in order)
    stability = _stability(table, resamples)
    places = stats.rankdata(-points)
    return Ranking(
        metric=metric,
        arms=arms,
        points={table.arms[i]: float(points[i]) for i in order},
        places={table.arms[i]: float(places[i]) for i in order},
        cases={table.arms[i]: sum(bool(np.isfinite(scores[:, i]).any()) for scores in table.scores) for i in order},
        of_cases=len(table.cases),
        seeds=(int(shared[shared > 0].min()), int(shared.max())),
        stability={table.arms[i]: tuple(float(share) for share in stability[i]) for i in order},
        beaten=_beaten(table, order),
        mean_ranks=mean_ranks,
        problems=tuple(problems),
    )


def _tabulate(grouped: Mapping[Case, Mapping[str, Mapping[int, float]]]) -> _Table:
    arms = tuple(sorted({arm for case in grouped.values() for arm in case}))
    seeds: dict[str, set[int]] = {}
    for case, of_case in grouped.items():
        seeds.setdefault(case.study, set()).update(seed for scores in of_case.values() for seed in scores)
    ordered = {study: tuple(sorted(found)) for study, found in seeds.items()}
    scores = tuple(
        np.array([[of_case.get(arm, {}).get(seed, np.nan) for arm in arms] for seed in ordered[case.study]])
        for case, of_case in grouped.items()
    )
    return _Table(arms, tuple(grouped), ordered, scores)


def _shared_seeds(table: _Table) -> NDArray[np.int64]:
    """Seeds that each pair of arms shares: `(cases, arms, arms)` int64, 0 on the diagonal."""
    there = [np.isfinite(scores).astype(np.int64) for scores in table.scores]
    shared = np.stack([here.T @ here for here in there])
    shared[:, np.eye(len(table.arms), dtype=bool)] = 0
    return shared


def _gaps(table: _Table) -> list[str]:
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


def _points(table: _Table, weights: Mapping[str, Doubles] | None) -> Doubles:
    """Borda points `(resamples, arms)`, float64 in [0, 1]; NaN for an arm that met nobody.

    Args:
        table: the scores.
        weights: by study, how often each seed is in each resample, `(resamples, seeds)` float64; None for once each.
    """
    size = 1 if weights is None else len(next(iter(weights.values())))
    won = np.zeros((size, len(table.arms)))
    met = np.zeros((size, len(table.arms)))
    for case, scores in zip(table.cases, table.scores, strict=True):
        drawn = np.ones((1, len(scores))) if weights is None else weights[case.study]
        share, others = _case_points(scores, drawn)
        won += np.divide(share, others, out=np.zeros_like(share), where=others > 0)
        met += others > 0
    return np.divide(won, met, out=np.full_like(won, np.nan), where=met > 0)


def _case_points(scores: Doubles, drawn: Doubles) -> tuple[Doubles, Doubles]:
    """Others beaten and others met in one case, both `(resamples, arms)`; a tie counts one half."""
    there = np.isfinite(scores)
    filled = np.where(there, scores, 0.0)
    beaten = np.zeros((len(drawn), scores.shape[1]))
    met = np.zeros_like(beaten)
    for i, j in permutations(range(scores.shape[1]), 2):
        both = there[:, i] & there[:, j]
        gap = drawn @ np.where(both, filled[:, i] - filled[:, j], 0.0)
        weight = drawn @ both.astype(np.float64)
        gap[np.abs(gap) < 1e-12 * np.maximum(weight, 1)] = 0.0
        beaten[:, i] += np.where(weight > 0, (np.sign(gap) + 1) / 2, 0.0)
        met[:, i] += weight > 0
    return beaten, met


def _stability(table: _Table, resamples: int) -> Doubles:
    """Share of resamples `(arms, places)` in which each arm holds each place; arms with equal points share places."""
    rng = np.random.default_rng(0)
    weights = {
        study: rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), size=resamples).astype(np.float64)
        for study, seeds in sorted(table.seeds.items())
    }
    points = np.nan_to_num(_points(table, weights), nan=-1.0)
    first = stats.rankdata(-points, method="min", axis=1).astype(np.int64)
    last = stats.rankdata(-points, method="max", axis=1).astype(np.int64)
    place = np.arange(1, len(table.arms) + 1)
    held = (first[:, :, None] <= place) & (place <= last[:, :, None])
    shares: Doubles = (held / (last - first + 1)[:, :, None]).mean(axis=0)
    return shares


def _beaten(table: _Table, order: list[int]) -> Beaten:
    count = len(table.arms)
    wins: dict[tuple[str, str], Doubles] = {}
    tests: dict[tuple[str, str], Doubles] = {}
    for case, scores in zip(table.cases, table.scores, strict=True):
        group = case.study, case.pipeline
        wins.setdefault(group, np.zeros((count, count)))
        tests.setdefault(group, np.zeros((count, count)))
        for i, j in permutations(range(count), 2):
            gaps = scores[:, i] - scores[:, j]
            gaps = gaps[np.isfinite(gaps)]
            if len(gaps) >= 2:
                tests[group][i, j] += 1
                wins[group][i, j] += _beats(gaps)
    matrix = sum(
        (np.divide(wins[group], tests[group], out=np.zeros((count, count)), where=tests[group] > 0) for group in wins),
        np.zeros((count, count)),
    )[np.ix_(order, order)]
    most = sum(((met > 0).astype(np.int64) for met in tests.values()), np.zeros((count, count), dtype=np.int64))
    arms = tuple(table.arms[i] for i in order)
    return Beaten(
        arms,
        tuple(tuple(float(entry) for entry in row) for row in matrix),
        tuple(tuple(int(entry) for entry in row) for row in most[np.ix_(order, order)]),
        {arm: float(matrix[:, i].sum() / (count - 1)) for i, arm in enumerate(arms)},
    )


def _beats(gaps: Doubles) -> bool:
    """Say whether paired differences are above 0 in a two-sided t test at 5 %; equal ones show nothing."""
    if np.ptp(gaps) <= 1e-12 * np.abs(gaps).max():
        return False
    test: Any = stats.ttest_1samp(gaps, 0.0)
    return bool(test.pvalue < 0.05 and gaps.mean() > 0)


def _mean_ranks(table: _Table, problems: list[str]) -> MeanRanks | None:
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
