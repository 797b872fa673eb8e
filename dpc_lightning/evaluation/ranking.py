"""The final ranking: points over all cases, how stable the places are, and what they rest on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.arm_table import ArmTable, gaps_of, shared_seeds, tabulate
from dpc_lightning.evaluation.cases import constant_arms, scored_rows, scores_by_case
from dpc_lightning.evaluation.mean_ranks import MeanRanks, mean_ranks
from dpc_lightning.evaluation.penalties import Beaten, beaten
from dpc_lightning.evaluation.result import Result

__all__ = ["Ranking", "rank"]

Doubles = NDArray[np.float64]


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
    table = tabulate(grouped)
    if len(table.arms) < 2:
        raise EvaluationError(
            f"expected at least two arms to rank, got {', '.join(table.arms) or 'none'} (rows of the studies of noise, "
            "`none` and `all` do not count): add arms to the benchmark"
        )
    shared = shared_seeds(table)
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
        table = tabulate(grouped)
        shared = shared_seeds(table)
    problems += gaps_of(table)
    points = _points(table, None)[0]
    ranks = mean_ranks(table, problems)
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
        beaten=beaten(table, order),
        mean_ranks=ranks,
        problems=tuple(problems),
    )


def _points(table: ArmTable, weights: Mapping[str, Doubles] | None) -> Doubles:
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


def _stability(table: ArmTable, resamples: int) -> Doubles:
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
