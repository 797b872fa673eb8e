"""`write_report`: a folder of a run or of a benchmark becomes one page, and its tables as files."""

from pathlib import Path

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import RunDirError
from dpc_lightning.evaluation.jobs.results import RESULTS, read_cases, read_results
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.benchmark_report import benchmark_page
from dpc_lightning.report.page import Page, render, tables_of
from dpc_lightning.report.page_markdown import as_markdown
from dpc_lightning.report.run_files import RunFiles, read_config
from dpc_lightning.report.run_report import run_page
from dpc_lightning.report.table import Table

__all__ = ["report_page", "report_tables", "tables_of_page", "write_page", "write_report"]


def write_report(
    folder: Path, *, out: Path | None = None, metric: str = "f1_macro", against: str | None = None
) -> Path:
    """Write the report of a run or of a benchmark: one HTML file, and beside it its tables as CSV and Markdown.

    The tables are in a folder named like the page without its ending: `report.html` has `report/*.csv` and
    `report/report.md`. Every file is complete or absent; the page is written last.

    Args:
        folder: what `fit` or `benchmark` wrote.
        out: the page; by default `report.html` in the folder.
        metric: the score that a benchmark is judged by; a run shows all its scores.
        against: arm of a benchmark that all others are compared with besides random.

    Returns:
        The page.

    Raises:
        RunDirError: if the folder is neither, or if the report cannot be written.
        DataError: if a file in it is damaged.
    """
    return write_page(
        report_page(folder, metric=metric, against=against), folder / "report.html" if out is None else out
    )


def write_page(page: Page, file: Path) -> Path:
    """Write a report that is laid out already.

    Args:
        page: as `report_page` gives it.
        file: the page; the tables go to a folder named like it without its ending.

    Returns:
        The page.

    Raises:
        RunDirError: if it cannot be written.
    """
    tables = file.with_suffix("")
    if tables == file:
        msg = f"Expected `--out` to be the name of an HTML file, for example {file}.html, but got {file}."
        raise RunDirError(msg)
    try:
        tables.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"Cannot make the folder {tables} for the tables: {error.strerror or error}. Give another `--out`."
        raise RunDirError(msg) from error
    for table in tables_of_page(page):
        write_text(tables / f"{table.name}.csv", table.csv())
    write_text(tables / "report.md", as_markdown(page))
    write_text(file, render(page))
    return file


def report_tables(folder: Path, *, metric: str = "f1_macro") -> dict[str, Table]:
    """Give the tables of a report by name, for whoever logs them elsewhere.

    Args:
        folder: what `fit` or `benchmark` wrote.
        metric: the score that a benchmark is judged by.

    Raises:
        RunDirError: if the folder is neither.
        DataError: if a file in it is damaged.
    """
    return {table.name: table for table in tables_of_page(report_page(folder, metric=metric))}


def report_page(folder: Path, *, metric: str = "f1_macro", against: str | None = None) -> Page:
    """Lay out the report of a folder.

    Args:
        folder: what `fit` or `benchmark` wrote.
        metric: the score that a benchmark is judged by.
        against: arm of a benchmark that all others are compared with besides random.

    Raises:
        RunDirError: if the folder is neither, or is a run and `against` is given.
        EvaluationError: if the benchmark has no rows with that metric or arm.
        DataError: if a file in it is damaged.
    """
    if (folder / RESULTS).is_file():
        results, asked = read_results(folder), read_cases(folder)
        settings = read_config(folder / "benchmark.yaml")
        return benchmark_page(BenchmarkData(folder, results, metric, len(asked) - len(results), settings, against))
    if (folder / "summary.json").is_file():
        if against is not None:
            msg = f"Expected `--against` with the folder of a benchmark, but {folder} holds a run: it has no arms."
            raise RunDirError(msg)
        return run_page(RunFiles.read(folder))
    if not folder.is_dir():
        found = "there is no such folder"
    elif (folder / "config.yaml").is_file():
        found = "it holds a run that is not finished: start the same `fit` again, it goes on where it stopped"
    else:
        found = "it has neither"
    msg = f"Expected a folder with summary.json (of `fit`) or results.sqlite (of `benchmark`) in {folder}, but {found}."
    raise RunDirError(msg)


def tables_of_page(page: Page) -> list[Table]:
    """Give the tables of a page, each with a name of its own.

    Args:
        page: as `report_page` gives it.
    """
    tables = [table for _, table in tables_of(page)]
    names = [table.name for table in tables]
    assert len(set(names)) == len(names), f"two tables have one name: {sorted(names)}"
    return tables
