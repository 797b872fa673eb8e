"""Every arm of a benchmark compared with random: the plain data that a report shows."""

from collections.abc import Sequence
from dataclasses import dataclass

from dpc_lightning.evaluation.case_comparison import ArmResult, CaseComparison, compare_case
from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.curves import LearningCurve, learning_curves
from dpc_lightning.evaluation.result import Result
from dpc_lightning.evaluation.score_table import score_tables

__all__ = ["ArmResult", "Case", "CaseComparison", "Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared, and what was missing."""

    metric: str
    """Name of the score."""
    protocol: int
    """Version of the protocol of all rows."""
    cases: tuple[CaseComparison, ...]
    """Cases by study, pipeline, labels and seconds."""
    curves: tuple[LearningCurve, ...]
    """Learning curves by study, pipeline and arm, references first."""
    problems: tuple[str, ...]
    """What keeps the comparison from being complete, a sentence each: failed jobs, missing seeds and references."""


def compare(results: Sequence[Result], metric: str = "f1_macro") -> Comparison:
    """Compare every arm with random, case by case and over the label budgets.

    Only rows whose three seeds are equal enter; the others belong to studies of noise. A benchmark that is still
    running can be compared: what is missing is named in `problems`.

    Args:
        results: rows of one protocol version, in any order.
        metric: name of the score.

    Raises:
        EvaluationError: if there are no rows, they are of several protocol versions, two are of the same seed of the
            same case and arm, no row has the metric, or a score is NaN or infinite.

    Example:
        >>> rows = [
        ...     Result(f"{arm}{seed}", "default", arm, 100, None, "b0", seed, seed, seed, scores={"f1_macro": score})
        ...     for seed in range(8)
        ...     for arm, score in (("random", 0.50 + 0.01 * seed), ("badge", 0.55 + 0.01 * seed - 0.003 * (seed % 3)))
        ... ]
        >>> badge = compare(rows).cases[0].arms[0]
        >>> badge.verdict, badge.difference.wins
        ('better', 8)
    """
    cases: list[CaseComparison] = []
    curves: list[LearningCurve] = []
    problems = _trials(results)
    for table in score_tables(results, metric):
        for labels, seconds in dict.fromkeys((cell.labels, cell.seconds) for cell in table.arms):
            case, missing = compare_case(table, labels, seconds)
            cases.append(case)
            problems += missing
        more, missing = learning_curves(table)
        curves += more
        problems += missing
    return Comparison(metric, results[0].protocol, tuple(cases), tuple(curves), tuple(dict.fromkeys(problems)))


def _trials(results: Sequence[Result]) -> list[str]:
    """Name the settings by which runs left images out: what they scored is no result."""
    cut = sorted({str(name) for row in results for name in row.facts.get("cut_short_by") or ()})
    return [f"Trials, not results: {', '.join(cut)} left images out."] if cut else []
