"""The report for Weights & Biases: its tables, its curves, and the page with its files as an artifact."""

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import DataError, DpcError
from dpc_lightning.evaluation.result import Result
from dpc_lightning.report.run_files import read_config
from dpc_lightning.report.table import Table

if TYPE_CHECKING:
    from wandb import Artifact, Run
    from wandb import Table as WandbTable

__all__ = ["log_benchmark", "log_run"]

IDS = "wandb.json"
"""File in the folder that says which W&B run has its report, by project."""

UPLOAD_WITHIN = 600
"""Seconds that a benchmark waits for its report to be sent; what is not sent by then lies beside the results."""

LINES = {"labels": "labels", "seconds": "seconds spent"}
"""What the learning curves are drawn over, and the columns in which it is."""

STATUSES = ("done", "failed")

POINTS = 2
"""Budgets that make a line."""


def log_run(folder: Path) -> None:
    """Write the report of a finished `fit`, and log it to the W&B run that Lightning's `WandbLogger` began for it.

    Nothing happens without such a logger, nor for a run that has logged its report already. What goes wrong is said and
    does no harm: the run is finished.

    Args:
        folder: what `fit` wrote. To be called where `fit` was carried out, on rank 0 only.
    """
    if "wandb" not in sys.modules or (folder / IDS).exists():  # W&B takes a second to import
        return
    import wandb  # noqa: PLC0415

    if wandb.run is None or not _names_wandb(folder):
        return
    from dpc_lightning.report.writing import report_page, tables_of_page, write_page  # noqa: PLC0415  statistics

    with _told(f"The run in {folder} is finished; `report {folder}` writes its report."):
        page = report_page(folder)
        file = write_page(page, folder / "report.html")
        _log_report(wandb.run, file, tables_of_page(page))
        _keep_id(folder, wandb.run.project, wandb.run.id)


def log_benchmark(folder: Path, project: str, name: str | None = None, *, metric: str = "f1_macro") -> Path:
    """Write the report of a benchmark as it is now, and log it to Weights & Biases.

    The same W&B run goes on when the same folder is logged to the same project again. It gets the tables, the learning
    curves over labels and over seconds, the mean score of each arm in each case as summary, and the page with its
    tables as an artifact of type `report`. What goes wrong with W&B is said and does no harm.

    Args:
        folder: what `benchmark` wrote, finished or not.
        project: W&B project.
        name: of the W&B run; None for that of the folder.
        metric: the score that judges.

    Returns:
        The page, `report.html` in the folder.

    Raises:
        DpcError: if the report cannot be written.
    """
    from dpc_lightning.evaluation.jobs.results import read_results  # noqa: PLC0415
    from dpc_lightning.report.writing import report_page, tables_of_page, write_page  # noqa: PLC0415  statistics

    page = report_page(folder, metric=metric)
    file = write_page(page, folder / "report.html")
    way_out = f"All results are in {folder}, and the report is {file}; the same command logs them later."
    with _told(way_out), _run_of(folder, project, name) as run:
        tables = tables_of_page(page)
        run.log(_line_charts(tables, metric))
        run.summary.update(_scores(read_results(folder), metric))
        _log_report(run, file, tables)
    return file


@contextmanager
def _told(way_out: str) -> Iterator[None]:
    """Say what went wrong, and go on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever a service far away may raise: what was measured is worth more
        said = str(error) if isinstance(error, DpcError) else f"{type(error).__name__}: {error}"
        print(f"Weights & Biases did not get the report: {said}\n{way_out}", file=sys.stderr)


@contextmanager
def _run_of(folder: Path, project: str, name: str | None) -> "Iterator[Run]":
    """Begin the W&B run of a benchmark, or go on with it. One that is under way in this process stays as it is."""
    import wandb  # noqa: PLC0415  it takes a second to import

    known = _ids(folder).get(project)
    run = wandb.init(
        project=project,
        name=name or folder.absolute().name,
        id=known,
        resume="allow" if known else None,
        dir=str(folder),
        job_type="benchmark",
        config=read_config(folder / "benchmark.yaml"),
        allow_val_change=True,
        reinit="create_new",
        settings=wandb.Settings(console="off", finish_timeout=UPLOAD_WITHIN),
    )
    _keep_id(folder, project, run.id)
    with run:
        yield run


def _log_report(run: "Run", file: Path, tables: Sequence[Table]) -> None:
    """Log the tables, and the page with their files."""
    run.log({f"report/{table.name}": _table(table) for table in tables})
    run.log_artifact(_artifact(f"report-{run.id}", file, tables))


def _artifact(name: str, file: Path, tables: Sequence[Table]) -> "Artifact":
    import wandb  # noqa: PLC0415

    artifact = wandb.Artifact(name=name, type="report", description="The page, and its tables as CSV and Markdown.")
    artifact.add_file(str(file), name=file.name)
    folder = file.with_suffix("")
    # not all files of the folder: those of an earlier report may be there
    for each in [folder / "report.md", *(folder / f"{table.name}.csv" for table in tables)]:
        artifact.add_file(str(each), name=f"{folder.name}/{each.name}")
    return artifact


def _table(table: Table) -> "WandbTable":
    import wandb  # noqa: PLC0415

    # what is not there is None in W&B; NaN would become a text
    rows = [[None if isinstance(each, float) and math.isnan(each) else each for each in row] for row in table.rows]
    columns: list[str | int] = [column.name for column in table.columns]
    try:
        return wandb.Table(columns=columns, data=rows)
    except TypeError:  # words and numbers in one column
        return wandb.Table(columns=columns, data=rows, allow_mixed_types=True)


def _line_charts(tables: Sequence[Table], metric: str) -> dict[str, Any]:
    """Draw the learning curves by the tables of theirs."""
    import wandb  # noqa: PLC0415

    charts = {}
    for table in tables:
        if not table.name.startswith("curves_"):
            continue
        names = [column.name for column in table.columns]
        for by, column in LINES.items():
            lines = _lines([dict(zip(names, row, strict=True)) for row in table.rows], column)
            chart = wandb.plot.line_series(
                xs=[[x for x, _ in line] for line in lines.values()],
                ys=[[y for _, y in line] for line in lines.values()],
                keys=list(lines),
                title=f"{metric}: {table.title}",
                xname=column,
            )
            charts[f"{table.name}_over_{by}"] = chart
    return charts


def _lines(rows: Sequence[Mapping[str, Any]], column: str) -> dict[str, list[tuple[float, float]]]:
    """Give the points of each arm from left to right; what is one point, as nothing and all are, lies flat."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row["mean"] is not None:
            lines.setdefault(row["arm"], []).append((row[column], row["mean"]))
    over = [x for line in lines.values() if len(line) >= POINTS for x, _ in line]
    return {
        arm: sorted(line) if len(line) >= POINTS or not over else [(min(over), line[0][1]), (max(over), line[0][1])]
        for arm, line in lines.items()
    }


def _scores(rows: Sequence[Result], metric: str) -> dict[str, float | int]:
    """Give the mean score of each arm in each case of the main grid, and how many results there are."""
    from dpc_lightning.report.benchmark_data import BenchmarkData, mean_of, slug  # noqa: PLC0415  statistics

    found: dict[str, float | int] = {f"results/{each}": sum(row.status == each for row in rows) for each in STATUSES}
    for (study, pipeline), cells in BenchmarkData(Path(), rows, metric).by_judge.items():
        for (arm, labels, seconds), measured in cells.items():
            budget = slug(labels, "labels", *(() if seconds is None else (seconds, "s")))
            mean = mean_of(row.scores.get(metric) for row in measured)
            if mean is not None:
                found[f"{metric}/{slug(study)}/{slug(pipeline)}/{slug(arm)}/{budget}"] = mean
    return found


def _names_wandb(folder: Path) -> bool:
    """Say whether a run has a logger for W&B: the one that is under way may be somebody else's."""
    trainer = read_config(folder / "config.yaml").get("trainer") or {}
    return "wandb" in json.dumps(trainer.get("logger"), default=str).lower()


def _ids(folder: Path) -> dict[str, str]:
    file = folder / IDS
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"Expected ids of W&B runs by project in {file}, but it cannot be read: {error}. Remove it."
        raise DataError(msg) from error
    return {str(project): str(run) for project, run in found.items()} if isinstance(found, dict) else {}


def _keep_id(folder: Path, project: str, run: str) -> None:
    write_text(folder / IDS, json.dumps({**_ids(folder), project: run}))
