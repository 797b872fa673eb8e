"""One case: arms that bought under the same budgets and were judged by the same pipeline, against random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.gap_closed import GapClosed, gap_closed
from dpc_lightning.evaluation.labels_needed import LabelsNeeded, labels_needed
from dpc_lightning.evaluation.pairing import common_seeds, compare_common
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM
from dpc_lightning.evaluation.score_table import Cell, ScoreTable
from dpc_lightning.evaluation.statistics import FEWEST_SEEDS, PairedDifference, Summary, Verdict, summarize

__all__ = ["ArmResult", "CaseComparison", "Role", "compare_case"]

Role = Literal["arm", "none", "random", "double", "all"]
"""What a line of a case is: an arm, or a reference; `double` is random with twice the labels."""


@dataclass(frozen=True)
class ArmResult:
    """One line of a case: an arm or a reference, and how it compares with random."""

    arm: str
    """Name of the arm, or `none`, `random`, `all`."""
    role: Role
    """Whether it is an arm, or which reference."""
    labels: int
    """Labels bought: those of the case for arms, twice as many for `double`, the pool for `all`."""
    seeds: tuple[int, ...]
    """Seeds with a score, in rising order."""
    values: tuple[float, ...]
    """Score of each seed."""
    scores: Summary
    """Mean, standard deviation and interval of the scores."""
    spent: float | None
    """Mean seconds that the purchase took, without the evaluation; None without a seed."""
    evaluate_seconds: float | None
    """Mean seconds of the pipeline's training; None without a seed."""
    difference: PairedDifference | None = None
    """Paired difference to random. Arms are corrected for each other by Holm; a reference stands alone. None for random
    itself, and where fewer than two seeds are paired or the differences are all equal."""
    gap: GapClosed | None = None
    """Share of the gap between random and all; None for references and where the gap is not shown."""
    needed: LabelsNeeded | None = None
    """Labels that random would need to do as well; None for references, and where random has one budget only."""
    verdict: Verdict | None = None
    """Against random; None for random itself."""

    @property
    def name(self) -> str:
        """Name in tables."""
        return "random, double budget" if self.role == "double" else self.arm


@dataclass(frozen=True)
class CaseComparison:
    """One case: its references and its arms."""

    case: Case
    """Data, budgets and pipeline."""
    references: tuple[ArmResult, ...]
    """None, random, random at double budget, all: those that have rows."""
    arms: tuple[ArmResult, ...]
    """The other arms by name."""


def compare_case(table: ScoreTable, labels: int, seconds: float | None) -> tuple[CaseComparison, list[str]]:
    """Compare the arms at a budget with random.

    Args:
        table: scores of a study under a pipeline.
        labels: label budget.
        seconds: compute budget, or None.

    Returns:
        the comparison, and a sentence for each thing that is missing.
    """
    case = Case(table.study, labels, seconds, table.pipeline)
    found: dict[Role, Cell | None] = {
        "none": table.reference(NONE, seconds),
        "random": table.reference(RANDOM, seconds, labels),
        "double": table.reference(RANDOM, seconds, 2 * labels),
        "all": table.reference(ALL, seconds),
    }
    references = {role: cell for role, cell in found.items() if cell is not None}
    arms = [cell for cell in table.arms if (cell.labels, cell.seconds) == (labels, seconds)]
    problems = [f"{case.name}: no rows of `{role}`." for role in found if role not in {*references, "double"}]
    problems += _missing(table, [*references.values(), *arms], [*arms, *filter(None, [found["random"]])])
    random, every = table.of(found["random"]), table.of(found["all"])
    differences, equal = compare_common({cell.arm: (table.of(cell), random) for cell in arms}, case.name)
    problems += equal
    lines: list[ArmResult] = []
    for role, cell in references.items():
        alone, equal = compare_common({role: (table.of(cell), random)} if role != "random" else {}, case.name)
        problems += equal
        lines.append(_line(table, cell, role, random, alone.get(role)))
    curve = table.random_curve(seconds)
    for cell in arms:
        gap = _gap(table.of(cell), random, every)
        needed = _needed(labels, table.of(cell), random, curve)
        line = _line(table, cell, "arm", random, differences.get(cell.arm))
        lines.append(replace(line, gap=gap, needed=needed))
    return CaseComparison(case, tuple(lines[: len(references)]), tuple(lines[len(references) :])), problems


def _line(
    table: ScoreTable, cell: Cell, role: Role, random: Mapping[int, float], difference: PairedDifference | None
) -> ArmResult:
    scores, rows = table.of(cell), table.rows.get(cell, {}).values()
    verdict: Verdict | None = None
    if role != "random":
        few = len(common_seeds(scores, random)) < FEWEST_SEEDS
        verdict = difference.verdict if difference else "too few seeds" if few else "not shown"
    return ArmResult(
        arm=cell.arm,
        role=role,
        labels=cell.labels,
        seeds=tuple(scores),
        values=tuple(scores.values()),
        scores=summarize([*scores.values()]),
        spent=float(np.mean([sum(row.spent.values()) for row in rows])) if rows else None,
        evaluate_seconds=float(np.mean([row.evaluate_seconds for row in rows])) if rows else None,
        difference=difference,
        verdict=verdict,
    )


def _missing(table: ScoreTable, cells: Sequence[Cell], planned: Sequence[Cell]) -> list[str]:
    """Say which seeds that were tried for one of `planned` have no score in one of `cells`."""
    where = f"{table.study}, {table.pipeline}"
    expected = {seed for cell in planned for seed in (*table.of(cell), *table.lacking.get(cell, {}))}
    problems = []
    for cell in cells:
        lacking = table.lacking.get(cell, {})
        problems += [f"{where}: {cell} {reason}." for reason in lacking.values()]
        if missing := sorted(expected - table.of(cell).keys() - lacking.keys()):
            problems.append(f"{where}: {cell} lacks seeds {', '.join(map(str, missing))}, which others have.")
    return problems


def _gap(arm: Mapping[int, float], random: Mapping[int, float], every: Mapping[int, float]) -> GapClosed | None:
    mine = common_seeds(arm, random, every)
    return gap_closed(mine, common_seeds(random, mine), common_seeds(every, mine)) if len(mine) > 1 else None


def _needed(
    labels: int, arm: Mapping[int, float], random: Mapping[int, float], curve: Mapping[int, Mapping[int, float]]
) -> LabelsNeeded | None:
    """Read random's curve at the budgets that have every seed on which the arm is paired with random."""
    mine = common_seeds(arm, random)
    complete = {at: common_seeds(scores, mine) for at, scores in curve.items() if mine.keys() <= scores.keys()}
    return labels_needed(labels, mine, complete) if len(mine) > 1 and len(complete) > 1 else None
