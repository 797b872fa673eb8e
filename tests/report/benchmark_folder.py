"""The folder of a benchmark that never ran: its database, its settings, and the folders of a few of its jobs."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from dpc_lightning.evaluation.jobs.job import Place
from dpc_lightning.evaluation.jobs.outcome import Outcome
from dpc_lightning.evaluation.jobs.results import RESULTS, ResultsFile
from dpc_lightning.evaluation.result import Result
from tests.report.run_folder import write_run


def write_benchmark(folder: Path, rows: Sequence[Result], missing: int = 0, jobs: Sequence[str] = ()) -> Path:
    """Write what a benchmark leaves.

    Args:
        folder: to be made.
        rows: its results.
        missing: cases that are asked for beside them.
        jobs: keys of the jobs whose folders are there.
    """
    folder.mkdir(parents=True)
    cases = {_case(row): row.key for row in rows}
    asked = {
        Place("default", "badge", 100, None, "small_unfrozen", n, n, n): f"missing-{n}"
        for n in range(900, 900 + missing)
    }
    with ResultsFile(folder / RESULTS) as file:
        file._connection.execute("BEGIN")
        for row in rows:
            file.put(row.key, Outcome(**{each.name: getattr(row, each.name) for each in fields(Outcome)}))
        file._connection.execute("COMMIT")
        file.set_cases(cases | asked)
    (folder / "benchmark.yaml").write_text("seeds: 9\nbudgets:\n- labels: 100\n- labels: 200\n")
    for key in jobs:
        write_run(folder / "jobs" / key)
    return folder


def _case(row: Result) -> Place:
    return Place(**{each.name: getattr(row, each.name) for each in fields(Place)})
