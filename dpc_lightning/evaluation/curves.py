"""Learning curves: scores over the label budgets, and the area under them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.pairing import common_seeds, compare_common
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM
from dpc_lightning.evaluation.score_table import Cell, ScoreTable
from dpc_lightning.evaluation.statistics import PairedDifference, Summary, summarize

__all__ = ["CurvePoint", "LearningCurve", "budget_area", "learning_curves"]


@dataclass(frozen=True)
class CurvePoint:
    """An arm at one budget."""

    labels: int
    """Label budget."""
    seconds: float | None
    """Compute budget in seconds, or None."""
    spent: float
    """Mean seconds that the purchase took: pretraining, scoring, picking, buying and training, not the evaluation."""
    scores: Summary
    """Scores over the seeds."""


@dataclass(frozen=True)
class LearningCurve:
    """An arm over the budgets of a study under a pipeline."""

    study: str
    """Name of the data."""
    pipeline: str
    """Pipeline that judged."""
    arm: str
    """Name of the arm or reference; `none` and `all` are one point each."""
    points: tuple[CurvePoint, ...]
    """Budgets in rising order of labels, then of seconds. Random has its double budgets, too."""
    area: Summary | None
    """Area under the curve, a mean score over log labels; None below two budgets that random has, too."""
    area_difference: PairedDifference | None
    """Area minus that of random over the same budgets and seeds, corrected for the arms beside it; None for random, for
    references, and where two paired seeds are not complete."""


def budget_area(scores: Mapping[int, Mapping[int, float]]) -> dict[int, float]:
    """Give the area under the budget curve of each seed.

    The scores are joined by lines over log labels (a doubling weighs the same wherever it happens, as it does in what
    labels cost to gain) and the area is divided by the width, so that it is a mean score, whatever the budgets are.

    Args:
        scores: scores by labels (at least 1), then by seed; at least two budgets, of the same seeds each.

    Returns:
        area by seed.

    Raises:
        EvaluationError: if there are fewer than two budgets, one is 0, or seeds differ.

    Example:
        >>> area = budget_area({100: {1: 0.4}, 200: {1: 0.5}, 400: {1: 0.6}})
        >>> print(f"{area[1]:.2f}")
        0.50
    """
    budgets = sorted(scores)
    if len(budgets) < 2 or budgets[0] < 1:
        msg = f"Expected at least two label budgets of 1 or more for an area, but got {budgets}."
        raise EvaluationError(msg)
    seeds = sorted(scores[budgets[0]])
    for labels in budgets:
        if sorted(scores[labels]) != seeds:
            msg = (
                f"Expected scores of the seeds {seeds} at every budget, but at {labels} labels there are those of "
                f"{sorted(scores[labels])}: leave out the seeds that are not complete."
            )
            raise EvaluationError(msg)
    places = np.log(budgets)
    table = np.array([[scores[labels][seed] for labels in budgets] for seed in seeds], dtype=np.float64)
    areas = np.trapezoid(table, places, axis=1) / (places[-1] - places[0])
    return dict(zip(seeds, areas.tolist(), strict=True))


def learning_curves(table: ScoreTable) -> tuple[list[LearningCurve], list[str]]:
    """Draw the curves of all arms and references, and compare the areas of the arms with that of random.

    Where an arm has several compute budgets at one label budget, the area takes the largest.

    Args:
        table: scores of a study under a pipeline.

    Returns:
        the curves, references first, and a sentence for each arm that cannot be compared.
    """
    order = {name: place for place, name in enumerate((NONE, RANDOM, ALL))}
    names = sorted({cell.arm for cell in table.scores}, key=lambda name: (order.get(name, len(order)), name))
    areas = {name: _areas(table, name) for name in names if name not in {NONE, ALL}}
    differences, problems = compare_common(
        {name: pair for name, pair in areas.items() if name != RANDOM},
        f"{table.study}, {table.pipeline}, area under the curve",
    )
    curves = [
        LearningCurve(
            table.study,
            table.pipeline,
            name,
            tuple(_point(table, cell) for cell in table.cells if cell.arm == name and table.of(cell)),
            summarize([*areas[name][0].values()]) if name in areas and areas[name][0] else None,
            differences.get(name),
        )
        for name in names
    ]
    return curves, problems


def _point(table: ScoreTable, cell: Cell) -> CurvePoint:
    spent = float(np.mean([sum(row.spent.values()) for row in table.rows[cell].values()]))
    return CurvePoint(cell.labels, cell.seconds, spent, summarize([*table.of(cell).values()]))


def _areas(table: ScoreTable, name: str) -> tuple[dict[int, float], dict[int, float]]:
    """Give an arm's areas and those of random over the same budgets, by seed, for the seeds that are complete."""
    cells = {cell.labels: cell for cell in table.cells if cell.arm == name and table.of(cell)}
    pairs = {
        labels: (table.of(cell), table.of(table.reference(RANDOM, cell.seconds, labels)))
        for labels, cell in cells.items()
    }
    budgets = [labels for labels, (_, random) in pairs.items() if random and labels > 0]
    if len(budgets) < 2:
        return {}, {}
    sides = [[pairs[labels][side] for labels in budgets] for side in (0, 1)]
    arm, random = ({at: common_seeds(s, *side) for at, s in zip(budgets, side, strict=True)} for side in sides)
    return budget_area(arm), budget_area(random)
