"""The table at the end of `benchmark`: every case with its verdicts."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from dpc_lightning.evaluation.case_comparison import ArmResult, CaseComparison
from dpc_lightning.evaluation.comparison import compare
from dpc_lightning.evaluation.jobs.results import read_cases, read_results

__all__ = ["print_verdicts"]


def print_verdicts(run_dir: Path, metric: str = "f1_macro", console: Console | None = None) -> bool:
    """Print the verdict on every arm of every case.

    Args:
        run_dir: folder of a benchmark, finished or not.
        metric: score.
        console: where to; the terminal if None.

    Returns:
        Whether there was anything to print: a row with a score.

    Raises:
        EvaluationError: if the rows cannot be compared.
        ResultsError: if they cannot be read.
    """
    console = Console() if console is None else console
    results = read_results(run_dir)
    if not any(row.status == "done" and row.scores.get(metric) is not None for row in results):
        return False
    comparison = compare(results, metric)
    table = Table(title=f"{metric}: mean over seeds, and difference to random, paired by seed", title_justify="left")
    for name in ("case", "arm", "seeds", "mean", "difference", "verdict"):
        table.add_column(name, justify="right" if name in {"seeds", "mean"} else "left")
    for case in comparison.cases:
        for number, arm in enumerate(_in_order(case)):
            table.add_row(case.case.name if number == 0 else "", *_cells(arm))
        table.add_section()
    console.print(table)
    waiting = len(read_cases(run_dir)) - len(results)
    if waiting:
        console.print(
            f"{waiting} results are not measured yet: these verdicts are provisional. To stop where one pleases would "
            "find differences where there are none.",
            highlight=False,
        )
    if len(comparison.cases) > 1:
        console.print(
            f"Corrected for the arms of a case, not for the {len(comparison.cases)} cases: where no rule is better, "
            "one case in twenty would still show one.",
            highlight=False,
        )
    for problem in comparison.problems[:3]:
        console.print(problem, highlight=False, markup=False)
    if len(comparison.problems) > 3:
        console.print(f"and {len(comparison.problems) - 3} more such notes: see the report.", highlight=False)
    return True


def _in_order(case: CaseComparison) -> list[ArmResult]:
    """Put the references below the arms, which stand from the best to the worst."""
    lines = [arm for arm in (*case.arms, *case.references) if arm.values]
    return sorted(lines, key=lambda arm: (arm.role != "arm", -sum(arm.values) / len(arm.values)))


def _cells(arm: ArmResult) -> tuple[str, ...]:
    difference = "" if arm.difference is None else _difference(arm)
    mean = sum(arm.values) / len(arm.values)
    return arm.name, str(len(arm.values)), f"{mean:.3f}", difference, arm.verdict or ""


def _difference(arm: ArmResult) -> str:
    found = arm.difference
    assert found is not None
    low, high = found.adjusted.low, found.adjusted.high
    return f"{found.mean:+.3f} ({low:+.3f} to {high:+.3f})"
