"""What a purchase made with one model is worth to another: gain over random by who bought and who judged."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dpc_lightning.evaluation.cases import Case, Scored, case_of, is_plain, scores_by_case
from dpc_lightning.evaluation.intervals import mean_with_interval
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM

__all__ = ["Transfer", "TransferEntry", "transfer"]

_Budget = tuple[str, int, float | None]


@dataclass(frozen=True)
class TransferEntry:
    """The worth of one model's purchases under one pipeline.

    Attributes:
        buyer: name of the model that bought, from `facts["buyer"]`.
        pipeline: name of the pipeline that judged.
        seeds: how many start sets (seeds of a study) the mean stands on.
        mean: mean paired difference to random, in units of the score.
        low: lower end of the 95 % t interval over start sets; equal to the mean where all differences are equal.
        high: upper end.
    """

    buyer: str
    pipeline: str
    seeds: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Transfer:
    """The matrix of buyers and judges.

    Attributes:
        buyers: names of the rows.
        pipelines: names of the columns.
        entries: one for each buyer and pipeline, row by row.
        budgets: the (study, labels, seconds) that all entries stand on.
    """

    buyers: tuple[str, ...]
    pipelines: tuple[str, ...]
    entries: tuple[TransferEntry, ...]
    budgets: tuple[_Budget, ...]


def transfer(rows: Iterable[Scored], problems: list[str]) -> Transfer | None:
    """Build the matrix of mean gains over random.

    Entries must differ by buyer and judge alone, so only budgets and seeds count in which every buyer bought and every
    pipeline judged. Within one, a buyer's arms are averaged; then the budgets of a start set are, since they are not
    independent; the interval is over start sets.

    Args:
        rows: checked rows with their scores.
        problems: gets a sentence if there is no such ground.

    Returns:
        The matrix, or None if no arm says who bought, or there are not two start sets to compare on.

    Example:
        >>> transfer([], []) is None
        True
    """
    plain = [scored for scored in rows if is_plain(scored.row)]
    random = {case: arms.get(RANDOM, {}) for case, arms in scores_by_case(plain).items()}
    gains: dict[tuple[str, str], dict[tuple[_Budget, int], list[float]]] = {}
    for row, score in plain:
        case = case_of(row)
        if "buyer" in row.facts and row.arm not in {NONE, RANDOM, ALL} and row.seed in random[case]:
            entry = gains.setdefault((str(row.facts["buyer"]), case.pipeline), {})
            entry.setdefault((case.budget, row.seed), []).append(score - random[case][row.seed])
    if not gains:
        return None
    buyers = tuple(sorted({buyer for buyer, _ in gains}))
    pipelines = tuple(sorted({pipeline for _, pipeline in gains}))
    ground = set.intersection(*(set(gains.get((b, p), {})) for b in buyers for p in pipelines))
    sets = sorted({(study, seed) for (study, _, _), seed in ground})
    if len(sets) < 2:
        problems.append(
            f"transfer from {', '.join(buyers)} to {', '.join(pipelines)}: {len(sets)} start sets in which every one "
            "bought and every one judged, beside random; 2 are needed"
        )
        return None
    entries = []
    for buyer in buyers:
        for pipeline in pipelines:
            found = gains[buyer, pipeline]
            means = [
                float(np.mean([np.mean(found[at]) for at in sorted(ground, key=_order) if (at[0][0], at[1]) == one]))
                for one in sets
            ]
            entries.append(TransferEntry(buyer, pipeline, *mean_with_interval(means)))
    budgets = dict.fromkeys(budget for budget, _ in sorted(ground, key=_order))
    return Transfer(buyers, pipelines, tuple(entries), tuple(budgets))


def _order(at: tuple[_Budget, int]) -> tuple[object, ...]:
    (study, labels, seconds), seed = at
    return *Case(study, labels, seconds, "").order, seed
