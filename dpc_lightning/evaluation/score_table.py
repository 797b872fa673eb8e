"""Rows of the results put in order for a comparison: scores by budget, arm and seed, and what is missing."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM, Result

__all__ = ["Cell", "ScoreTable", "score_tables"]


@dataclass(frozen=True)
class Cell:
    """What was bought: an arm at a budget."""

    arm: str
    """Name of the arm or reference."""
    labels: int
    """Label budget."""
    seconds: float | None
    """Compute budget in seconds, or None."""

    def __str__(self) -> str:
        limit = "" if self.seconds is None else f" in {self.seconds:g} s"
        return f"`{self.arm}`" if self.arm in {NONE, ALL} else f"`{self.arm}` at {self.labels} labels{limit}"


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one study under one pipeline."""

    study: str
    """Name of the data."""
    pipeline: str
    """Pipeline that judged."""
    rows: Mapping[Cell, Mapping[int, Result]]
    """Finished rows that have the score, by cell, then by seed."""
    scores: Mapping[Cell, Mapping[int, float]]
    """Their scores."""
    lacking: Mapping[Cell, Mapping[int, str]] = field(default_factory=dict)
    """Why a seed of a cell has no score: it failed, or the score is not defined."""

    @property
    def cells(self) -> list[Cell]:
        """Everything that was tried, by labels, seconds and arm."""
        known = {*self.scores, *self.lacking}
        return sorted(known, key=lambda cell: (cell.labels, _limit(cell.seconds), cell.arm))

    @property
    def arms(self) -> list[Cell]:
        """The cells that are no reference, in the same order."""
        return [cell for cell in self.cells if cell.arm not in {NONE, RANDOM, ALL}]

    def of(self, cell: Cell | None) -> Mapping[int, float]:
        """Give the scores of a cell by seed; nothing for one that has none."""
        return self.scores.get(cell, {}) if cell else {}

    def random_curve(self, seconds: float | None) -> dict[int, Mapping[int, float]]:
        """Give random's scores by labels, then by seed, at every budget that it was measured at.

        Args:
            seconds: compute budget of the case; see `reference`.
        """
        budgets = dict.fromkeys(cell.labels for cell in self.cells if cell.arm == RANDOM)
        return {labels: self.of(self.reference(RANDOM, seconds, labels)) for labels in budgets}

    def reference(self, arm: str, seconds: float | None, labels: int | None = None) -> Cell | None:
        """Find the rows of a reference for a case: of its compute budget, else without one, else of the largest.

        Args:
            arm: name of the reference.
            seconds: compute budget of the case.
            labels: label budget to look for; None for any.
        """
        found = [cell for cell in self.cells if cell.arm == arm and labels in {None, cell.labels}]
        return max(
            found, key=lambda cell: (cell.seconds == seconds, cell.seconds is None, _limit(cell.seconds)), default=None
        )


def score_tables(results: Sequence[Result], metric: str) -> list[ScoreTable]:
    """Put rows in order by study and pipeline. Rows of studies of noise, whose seeds differ, are left out.

    Args:
        results: rows of one protocol version, in any order.
        metric: name of the score.

    Raises:
        EvaluationError: if there are no rows, they are of several protocol versions, two are of the same seed of the
            same case and arm, no row has the metric, or a score is NaN or infinite.
    """
    _check_protocol(results)
    rows = [row for row in results if row.seed == row.purchase_seed == row.judge_seed]
    _check_metric(rows, metric)
    groups: defaultdict[tuple[str, str], list[Result]] = defaultdict(list)
    for row in rows:
        groups[row.study, row.pipeline].append(row)
    return [_table(study, pipeline, groups[study, pipeline], metric) for study, pipeline in sorted(groups)]


def _table(study: str, pipeline: str, results: Iterable[Result], metric: str) -> ScoreTable:
    rows: defaultdict[Cell, dict[int, Result]] = defaultdict(dict)
    scores: defaultdict[Cell, dict[int, float]] = defaultdict(dict)
    lacking: defaultdict[Cell, dict[int, str]] = defaultdict(dict)
    for row in sorted(results, key=lambda row: row.seed):
        cell, score = Cell(row.arm, row.labels, row.seconds), row.scores.get(metric)
        if row.status == "failed":
            lacking[cell][row.seed] = f"failed on seed {row.seed}: {row.error or 'no error was written down'}"
        elif score is None:
            lacking[cell][row.seed] = f"has no `{metric}` on seed {row.seed}"
        elif not math.isfinite(score):
            msg = f"`{metric}` of {study}, {pipeline}, {cell}, seed {row.seed} is {score}: look at job {row.key}."
            raise EvaluationError(msg)
        elif row.seed in rows[cell]:
            msg = (
                f"Two rows are of {study}, {pipeline}, {cell}, seed {row.seed}: {rows[cell][row.seed].key} and "
                f"{row.key}. Expected one; their settings differ, so compare them apart."
            )
            raise EvaluationError(msg)
        else:
            rows[cell][row.seed], scores[cell][row.seed] = row, float(score)
    for cell, seeds in lacking.items():
        for seed in scores[cell].keys() & seeds.keys():
            del seeds[seed]
    return ScoreTable(study, pipeline, dict(rows), {c: s for c, s in scores.items() if s}, dict(lacking))


def _check_protocol(results: Sequence[Result]) -> None:
    if not results:
        msg = "Expected results to compare, but there are none: let a job finish first."
        raise EvaluationError(msg)
    versions = sorted({row.protocol for row in results})
    if len(versions) > 1:
        msg = f"Expected rows of one protocol version, but got {versions}: these never mix. Compare each by itself."
        raise EvaluationError(msg)


def _check_metric(rows: Iterable[Result], metric: str) -> None:
    known = sorted({name for row in rows for name in row.scores})
    if known and metric not in known:
        msg = f"Expected the metric to be one of {', '.join(known)}, but got `{metric}`."
        raise EvaluationError(msg)


def _limit(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
