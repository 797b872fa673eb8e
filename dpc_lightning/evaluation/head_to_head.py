"""Every arm of a benchmark compared with one of them, for example with the default."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case, scored_rows, scores_by_case
from dpc_lightning.evaluation.pairing import common_seeds, compare_common
from dpc_lightning.evaluation.result import Result
from dpc_lightning.evaluation.statistics import PairedDifference

__all__ = ["HeadToHead", "MeanOverCases", "head_to_head"]

Scores = Mapping[int, float]


@dataclass(frozen=True)
class MeanOverCases:
    """An arm against another over several cases, every case weighing the same."""

    cases: int
    """Cases in which both have scores, at least two."""
    difference: PairedDifference
    """Of the means over these cases, at the seeds that both have in all of them. Corrected by Holm for the other arms
    that the same pipeline judged."""


@dataclass(frozen=True)
class HeadToHead:
    """Paired differences of the other arms to one arm."""

    against: str
    """Name of the arm that is subtracted."""
    cases: Mapping[Case, Mapping[str, PairedDifference]]
    """For each case in which it has scores, the others by name; corrected for each other by Holm within the case."""
    overall: Mapping[str, Mapping[str, MeanOverCases]]
    """By judging pipeline, the others that meet it in at least two cases."""
    problems: tuple[str, ...]
    """A sentence for each pair that cannot be compared."""


def head_to_head(results: Iterable[Result], against: str, metric: str = "f1_macro") -> HeadToHead:
    """Compare every arm, and random, with one arm over the seeds that both have.

    Args:
        results: rows of one version of the protocol, in any order.
        against: name of the arm that the others are compared with.
        metric: name of a score; more is better.

    Raises:
        EvaluationError: if no row of `against` has a score, or rows are as in `scored_rows`.

    Example:
        >>> rows = [
        ...     Result(f"{arm}{seed}", "default", arm, 100, None, "b0", seed, seed, seed, scores={"f1_macro": score})
        ...     for arm, better in (("badge", 0.0), ("gain", 0.1))
        ...     for seed, score in enumerate((0.50 + better, 0.52 + better * 1.1, 0.47 + better * 1.2))
        ... ]
        >>> [found] = head_to_head(rows, "badge").cases.values()
        >>> round(found["gain"].mean, 3), found["gain"].wins
        (0.11, 3)
    """
    grouped = scores_by_case(scored_rows(results, metric).rows)
    arms = sorted({arm for of_case in grouped.values() for arm in of_case})
    if against not in arms:
        msg = f"Expected the arm to compare with to be one of {', '.join(arms) or 'none'}, but got {against!r}."
        raise EvaluationError(msg)
    met = {case: of_case for case, of_case in grouped.items() if against in of_case}
    cases: dict[Case, Mapping[str, PairedDifference]] = {}
    problems: list[str] = []
    for case, of_case in met.items():
        pairs = {arm: (scores, of_case[against]) for arm, scores in of_case.items() if arm != against}
        cases[case], equal = compare_common(pairs, case.name, against)
        problems += equal
    overall: dict[str, Mapping[str, MeanOverCases]] = {}
    for pipeline in sorted({case.pipeline for case in met}):
        judged = [of_case for case, of_case in met.items() if case.pipeline == pipeline]
        both = {arm: [of_case for of_case in judged if arm in of_case] for arm in arms if arm != against}
        several = {arm: shared for arm, shared in both.items() if len(shared) > 1}
        where = f"mean over cases, judged by {pipeline}"
        means = {arm: _means(arm, against, shared) for arm, shared in several.items()}
        found, equal = compare_common(means, where, against)
        few = [arm for arm, (scores, _) in means.items() if len(scores) < 2]
        problems += equal + [f"{where}: `{arm}` and {against} share fewer than two seeds in all cases." for arm in few]
        if found:
            overall[pipeline] = {arm: MeanOverCases(len(several[arm]), by) for arm, by in found.items()}
    return HeadToHead(against, cases, overall, tuple(problems))


def _means(arm: str, against: str, cases: Sequence[Mapping[str, Scores]]) -> tuple[Scores, Scores]:
    """Average the scores of both over cases, at the seeds that both have in all."""
    every = [of_case[name] for of_case in cases for name in (arm, against)]
    seeds = common_seeds(every[0], *every[1:])
    mine, other = (
        {seed: float(np.mean([of_case[name][seed] for of_case in cases])) for seed in seeds} for name in (arm, against)
    )
    return mine, other
