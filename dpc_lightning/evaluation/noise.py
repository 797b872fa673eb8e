"""The noise of a benchmark: where it comes from, what lowers it, and how many seeds it takes to see through it."""

from collections.abc import Iterable
from dataclasses import dataclass

from dpc_lightning.evaluation.cases import is_plain, scored_rows, scores_by_case
from dpc_lightning.evaluation.chance import Chance, against_itself
from dpc_lightning.evaluation.power import SeedsNeeded, seeds_needed
from dpc_lightning.evaluation.remedies import FIXED, TUNED, Remedy, remedies, thresholds
from dpc_lightning.evaluation.result import Result
from dpc_lightning.evaluation.variance import VarianceSplit, grids, split_variance

__all__ = ["Noise", "noise"]


@dataclass(frozen=True)
class Noise:
    """All that is known of the noise.

    Attributes:
        metric: the score.
        splits: variance by source, one for each case and arm with crossed seeds.
        remedies: every pipeline beside the base, and tuned thresholds beside fixed ones.
        seeds_needed: one for each case of the main grid and arm.
        chance: random against random.
        problems: what was missing, in sentences.
    """

    metric: str
    splits: tuple[VarianceSplit, ...]
    remedies: tuple[Remedy, ...]
    seeds_needed: tuple[SeedsNeeded, ...]
    chance: tuple[Chance, ...]
    problems: tuple[str, ...] = ()


def noise(results: Iterable[Result], metric: str = "f1_macro", *, base: str | None = None) -> Noise | None:
    """Measure the noise.

    Seeds are crossed in studies of noise: the same start set with several purchase seeds, the same purchase with
    several judge seeds. Rows of the main grid have one seed for all and tell only how many seeds are needed.

    Args:
        results: rows of one version of the protocol, in any order.
        metric: name of a score.
        base: name of the pipeline that the others are remedies of; None for the one with most rows.

    Returns:
        The noise, or None if nothing of it can be said: no crossed seeds and no arm beside random.

    Raises:
        EvaluationError: a base that is not there, or rows as in `scored_rows`.

    Example:
        >>> rows = [
        ...     Result(f"{s}{p}{j}", "hard", "random", 100, None, "b0", s, p, j, scores={"f1_macro": s / 9 + p * j / 7})
        ...     for s in range(4)
        ...     for p in range(3)
        ...     for j in range(2)
        ... ]
        >>> [part.source for part in noise(rows).splits[0].components]
        ['start set', 'purchase', 'training']
    """
    rows = list(results)
    checked = scored_rows(rows, metric)
    problems = list(checked.problems)
    crossed = grids(checked.rows, problems)
    splits = [split for grid in crossed if (split := split_variance(grid, problems)) is not None]
    needed = seeds_needed(scores_by_case(checked.rows), problems)
    repeated = [scored for scored in checked.rows if not is_plain(scored.row)]
    found = [*remedies(checked.rows, metric, base, problems), *_thresholds(rows, problems)] if repeated else []
    ensembles = {row.pipeline for row in rows if "members" in row.facts}  # of trainings that are counted already
    chance = against_itself([grid for grid in crossed if grid.case.pipeline not in ensembles], problems)
    if not (splits or needed or found or chance or repeated):
        return None
    return Noise(metric, tuple(splits), tuple(found), tuple(needed), tuple(chance), tuple(problems))


def _thresholds(rows: list[Result], problems: list[str]) -> list[Remedy]:
    defined = {name for row in rows for name, score in row.scores.items() if score is not None}
    if not {TUNED, FIXED} <= defined:
        return []
    return thresholds(scored_rows(rows, TUNED).rows, scored_rows(rows, FIXED).rows, problems)
