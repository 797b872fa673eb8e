"""Do two judges order the arms alike? Kendall's tau between pipelines, and what a purchase is worth elsewhere."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case, constant_arms, scored_rows, scores_by_case
from dpc_lightning.evaluation.intervals import mean_with_interval
from dpc_lightning.evaluation.result import RANDOM, Result
from dpc_lightning.evaluation.tau import JudgedPair, Tau, draw_taus, summed_up
from dpc_lightning.evaluation.transfer import Transfer, transfer

__all__ = ["Agreement", "Gain", "agree"]


@dataclass(frozen=True)
class Gain:
    """An arm's paired difference to random under one pipeline.

    Attributes:
        case: study, budget and pipeline.
        arm: name of the arm.
        seeds: pairs.
        mean: mean of the differences, in units of the score.
        low: lower end of the 95 % t interval.
        high: upper end.
    """

    case: Case
    arm: str
    seeds: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Agreement:
    """What changes with the judge.

    Attributes:
        metric: the score.
        pipelines: names of those that were compared.
        taus: one for each pair of pipelines, study and budget.
        overall: one for each pair of pipelines: the mean over studies and budgets.
        gains: every arm's difference to random under every pipeline, in the budgets that two pipelines judged.
        transfer: gain by who bought and who judged, or None if no row says who bought.
        problems: what was missing, in sentences.
    """

    metric: str
    pipelines: tuple[str, ...]
    taus: tuple[Tau, ...]
    overall: tuple[Tau, ...]
    gains: tuple[Gain, ...]
    transfer: Transfer | None
    problems: tuple[str, ...] = ()


def agree(
    results: Iterable[Result],
    metric: str = "f1_macro",
    *,
    pipelines: tuple[str, str] | None = None,
    resamples: int = 1000,
) -> Agreement:
    """Compare how pipelines order the arms.

    Args:
        results: rows of one version of the protocol, in any order.
        metric: name of a score; more is better.
        pipelines: the pair to compare, for example one of 10 epochs and one to convergence; None for all pairs.
        resamples: resamples over seeds for the intervals.

    Returns:
        The agreement of each pair. Arms and seeds that one of the two lacks are left out and listed in `problems`.

    Raises:
        EvaluationError: fewer than two pipelines; a pipeline that is not there; no budget with two arms and two seeds
            under two pipelines; or rows as in `scored_rows`.

    Example:
        >>> rows = [
        ...     Result(f"{arm}{judge}{seed}", "hard", arm, 100, None, judge, seed, seed, seed, scores={"f1_macro": f1})
        ...     for judge, worth in (("b0", 0.1), ("b4", 0.2))
        ...     for arm, better in (("badge", worth), ("random", 0.0))
        ...     for seed, f1 in enumerate((0.50 + better, 0.52 + better, 0.47 + better))
        ... ]
        >>> agree(rows).overall[0].tau
        1.0
    """
    rows = list(results)
    checked = scored_rows(rows, metric)
    grouped = scores_by_case(checked.rows)
    there = sorted({case.pipeline for case in grouped})
    chosen = _chosen(there, pipelines)
    problems = [*checked.problems, *constant_arms({c: arms for c, arms in grouped.items() if c.pipeline in chosen})]
    taus, overall = [], []
    for first, second in combinations(chosen, 2):
        pairs = _pairs(grouped, first, second, problems)
        drawn = [(pair, draw_taus(pair, resamples)) for pair in pairs]
        defined = [(pair, draws) for pair, draws in drawn if np.isfinite(draws.tau)]
        problems += [
            f"{_at(pair.budget)}: tau between {first} and {second} is not defined, one gives all arms the same score"
            for pair, draws in drawn
            if not np.isfinite(draws.tau)
        ]
        taus += [summed_up(first, second, [one], one[0].budget) for one in defined]
        if defined:
            overall.append(summed_up(first, second, defined, (None, None, None)))
    if not taus:
        reasons = "; ".join(problems[:3]) or "no budget was judged by two pipelines"
        raise EvaluationError(
            f"no budget has two arms and two seeds in common under two of {', '.join(chosen)} ({reasons}): judge the "
            "same purchases by both"
        )
    return Agreement(
        metric,
        tuple(chosen),
        tuple(taus),
        tuple(overall),
        tuple(_gains(grouped, chosen, problems)),
        transfer(checked.rows, problems),
        tuple(problems),
    )


def _at(budget: tuple[str, int, float | None]) -> str:
    study, labels, seconds = budget
    return f"{study}, {labels} labels" + ("" if seconds is None else f", {seconds:g} s")


def _chosen(there: list[str], pipelines: tuple[str, str] | None) -> list[str]:
    if pipelines is None:
        if len(there) < 2:
            raise EvaluationError(
                f"expected at least two pipelines to compare, got {', '.join(there) or 'none'}: add a pipeline to the "
                "benchmark"
            )
        return there
    for name in pipelines:
        if name not in there:
            raise EvaluationError(f"no results of pipeline {name!r}: expected two of {', '.join(there) or 'none'}")
    if pipelines[0] == pipelines[1]:
        raise EvaluationError(f"expected two different pipelines, got {pipelines[0]!r} twice")
    return list(pipelines)


def _pairs(
    grouped: Mapping[Case, Mapping[str, Mapping[int, float]]], first: str, second: str, problems: list[str]
) -> list[JudgedPair]:
    """Give the budgets that both judged, on the arms and seeds that both have."""
    found = []
    for case, arms in grouped.items():
        other = grouped.get(Case(*case.budget, second)) if case.pipeline == first else None
        if other is None:
            continue
        both = tuple(arm for arm in sorted(set(arms) & set(other)) if set(arms[arm]) & set(other[arm]))
        where = f"{_at(case.budget)}, {first} against {second}"
        problems += [
            f"{where}: arm {arm} has no seed under both, left out"
            for arm in sorted(set(arms) | set(other))
            if arm not in both
        ]
        have = [set(scores[arm]) for scores in (arms, other) for arm in both]
        seeds = tuple(sorted(set.intersection(*have))) if have else ()
        if have and set.union(*have) != set(seeds):
            gone = sorted(set.union(*have) - set(seeds))
            problems.append(f"{where}: seeds {', '.join(map(str, gone))} lack an arm under one of the two, left out")
        if len(both) < 2 or len(seeds) < 2:
            problems.append(f"{where}: {len(both)} arms and {len(seeds)} seeds in common, 2 of each are needed")
            continue
        scores = [np.array([[of[arm][seed] for arm in both] for seed in seeds]) for of in (arms, other)]
        found.append(JudgedPair(case.budget, both, seeds, *scores))
    return found


def _gains(
    grouped: Mapping[Case, Mapping[str, Mapping[int, float]]], chosen: list[str], problems: list[str]
) -> list[Gain]:
    """Differences to random in the budgets that two of the pipelines judged."""
    judges: dict[tuple[str, int, float | None], int] = {}
    for case in grouped:
        judges[case.budget] = judges.get(case.budget, 0) + (case.pipeline in chosen)
    gains = []
    for case, arms in grouped.items():
        if case.pipeline not in chosen or judges[case.budget] < 2:
            continue
        for arm in sorted(set(arms) - {RANDOM}):
            shared = sorted(set(arms[arm]) & set(arms.get(RANDOM, {})))
            if len(shared) < 2:
                problems.append(f"{case}, arm {arm}: {len(shared)} seeds in common with random, 2 are needed")
                continue
            gains.append(
                Gain(case, arm, *mean_with_interval([arms[arm][seed] - arms[RANDOM][seed] for seed in shared]))
            )
    return gains
