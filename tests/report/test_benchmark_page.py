"""The page of a benchmark in a real browser, beside the rows of its database."""

import csv
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from dpc_lightning.__main__ import main
from dpc_lightning.report import report_tables, writing
from dpc_lightning.report.table import Table
from tests.report.benchmark_folder import write_benchmark
from tests.report.browser import browser, check_narrow, check_stands_alone, opened
from tests.report.run_folder import NASTY
from tests.report.simulated_results import simulated

ROWS = simulated()
JOBS = [f"default-{arm}-200-small_unfrozen-0" for arm in ("badge", "random")]
TABLES: dict[str, Table] = {}
SECTIONS = "verdicts missing curves gap ranking penalty agreement classes bought time noise settings".split()


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_benchmark(tmp_path_factory.mktemp("report") / "bench", ROWS, missing=3, jobs=JOBS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "report_page", cache(writing.report_page))  # page and tables of one computation
        assert main(["report", str(folder)]) == 0
        TABLES.update(report_tables(folder))
    return folder / "report.html"


@pytest.fixture
def tables(report: Path) -> Mapping[str, Table]:
    return TABLES


def scores(arm: str, labels: int, pipeline: str = "small_unfrozen", study: str = "default") -> dict[int, float]:
    """The scores of an arm by seed, straight from the rows."""
    return {
        row.seed: float(row.scores["f1_macro"] or 0)
        for row in ROWS
        if (row.arm, row.labels, row.pipeline, row.study) == (arm, labels, pipeline, study)
        and row.status == "done"
        and row.seed == row.purchase_seed == row.judge_seed
    }


def test_it_shows_the_numbers_of_the_database_and_asks_for_nothing(
    started: Browser, report: Path, tables: Mapping[str, Table]
) -> None:
    with opened(started, report) as seen:
        check_stands_alone(seen, report)
        assert seen.page.title() == "Benchmark bench"
        assert [part.get_attribute("id") for part in seen.page.query_selector_all("section")] == SECTIONS
        for name, table in tables.items():
            assert seen.cells(name) == table.shown(), name
        for arm in ("badge", "random", NASTY):
            found = scores(arm, 200)
            (row,) = (row for row in seen.cells("case_default_200_small_unfrozen") if row[0] == arm)
            mean, sd = np.mean([*found.values()]), np.std([*found.values()], ddof=1)
            assert row[:5] == [arm, "200", str(len(found)), f"{mean:.3f}", f"{sd:.3f}"]
        gains = [score - scores("random", 200)[seed] for seed, score in scores("badge", 200).items()]
        badge = next(row for row in seen.cells("case_default_200_small_unfrozen") if row[0] == "badge")
        assert badge[7] == f"{np.mean(gains):+.3f}"
        assert badge[-1] == "better"


def test_verdicts_come_first_and_the_worst_last(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        said = seen.page.locator("#verdicts .verdict").all_inner_texts()
        assert said[0].startswith("BETTER badge is better than random: +0.0")
        assert said[3].startswith("WORSE _hard_class is worse than random: -0.0")
        assert len(said) == 4 * 5
        heads = seen.page.locator("#verdicts h3").all_inner_texts()
        assert heads[:2] == [f"default, {labels} labels, judged by small_unfrozen" for labels in (100, 200)]


def test_what_failed_and_what_is_missing_is_said(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        text = seen.page.inner_text("#missing")
        assert "3 of the results that were asked for are not measured yet." in text
        assert f"5 of {len(ROWS)} results failed" in text
        failed = seen.cells("failed")
        assert {row[0] for row in failed} == {"entropy"}
        assert failed[0][-1] == f"DivergedError: {NASTY} became NaN in step 4"


def test_pictures_name_the_arms_and_have_their_table(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        for figure in seen.page.query_selector_all("figure"):
            assert figure.query_selector("svg[role=img] > title") is not None
            assert figure.query_selector("svg > desc") is not None
            assert figure.query_selector("details table") is not None
        shown = str(seen.page.text_content("#figure-curves_labels_default_small_unfrozen svg"))
        for name in ("none (", "all (", "random", "badge", "entropy", "_hard_class"):
            assert name in shown
        assert seen.page.locator("#curves figure").count() == 2  # by labels and by seconds
        assert "one budget only" in seen.page.inner_text("#curves")


def test_matrices_are_coloured_by_their_values(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        script = "e => [e.textContent, getComputedStyle(e).backgroundColor]"
        badge = seen.page.locator("#table-penalty_matrix tbody tr").first.locator("td")
        cells = [badge.nth(place).evaluate(script) for place in range(badge.count())]
        assert cells[0] == ["-", "rgba(0, 0, 0, 0)"]
        assert ["3.00", "rgba(0, 114, 178, 0.38)"] in cells


def test_bought_images_are_shown_by_arm(started: Browser, report: Path) -> None:
    assert report.stat().st_size < 3_000_000
    with opened(started, report) as seen:
        assert "default, 200 labels, seed 0" in seen.page.inner_text("#bought")
        sizes = seen.page.eval_on_selector_all("#bought img", "all => all.map(image => image.naturalWidth)")
        assert len(sizes) == 16
        assert min(sizes) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(started: Browser, report: Path, scheme: str) -> None:
    with opened(started, report, scheme=scheme) as seen:  # type: ignore[arg-type]
        for part in seen.page.query_selector_all("details"):
            part.evaluate("part => { part.open = true }")
        assert seen.poor_contrast() == []


def test_it_fits_a_phone(started: Browser, report: Path) -> None:
    with opened(started, report, width=360) as seen:
        check_narrow(seen)


def test_it_fits_paper_with_its_widest_table(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        assert seen.page.pdf(format="A4").startswith(b"%PDF")
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        widths = seen.page.eval_on_selector_all("table", "all => all.map(e => e.getBoundingClientRect().width)")
        assert 600 < max(widths) < 680
        seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert seen.page.locator("details[open]").count() == 0


def test_files_beside_the_page_hold_the_same_numbers(report: Path, tables: Mapping[str, Table]) -> None:
    folder = report.with_suffix("")
    assert {file.stem for file in folder.glob("*.csv")} == set(tables)
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    assert "<script>" not in markdown
    for name, table in tables.items():
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
            head, *rows = csv.reader(stream)
        assert head == [column.name for column in table.columns]
        for row, values in zip(rows, table.rows, strict=True):
            assert row == ["" if value is None else str(value) for value in values]
        assert table.markdown() in markdown
