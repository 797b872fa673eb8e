"""The page of a run in a real browser."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from dpc_lightning.__main__ import main
from dpc_lightning.report import report_tables
from tests.report.browser import browser, check_narrow, check_stands_alone, opened
from tests.report.run_folder import CLASSES, NASTY, PER_ROUND, ROUNDS, write_run


@pytest.fixture(scope="module")
def started() -> Iterator[Browser]:
    with browser() as one:
        yield one


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("report") / "run")
    assert main(["report", str(folder)]) == 0
    return folder / "report.html"


def test_it_shows_the_numbers_of_the_files_and_asks_for_nothing(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        check_stands_alone(seen, report)
        assert seen.cells("scores")[0] == ["macro-F1, tuned thresholds", "0.6123"]
        assert seen.cells("scores")[3] == ["exact match", "-"]
        assert seen.cells("f1_per_class") == [[CLASSES[0], "0.750"], [NASTY, "0.475"], [CLASSES[2], "-"]]
        assert seen.cells("bought")[0][:4] == ["1", "20", "7", "10"]
        assert seen.cells("time_by_phase")[1] == ["round_1", "20", "120", "3", "2.00", "-", "9.50", "11.50"]
        assert seen.page.title() == "Run run"
        for name, table in report_tables(report.parent).items():
            assert seen.cells(name) == table.shown()


def test_the_bought_images_are_in_the_file(started: Browser, report: Path) -> None:
    assert report.stat().st_size < 3_000_000
    with opened(started, report) as seen:
        sizes = seen.page.eval_on_selector_all(".gallery img", "all => all.map(image => image.naturalWidth)")
        assert len(sizes) == ROUNDS * min(PER_ROUND, 16)
        assert min(sizes) > 0
        assert seen.page.inner_text(".gallery li >> nth=2").split("\n")[:2] == ["#497", "score 0.333"]
        assert "image 497 of the pool" in str(seen.page.get_attribute(".gallery img >> nth=2", "alt"))


@pytest.mark.parametrize("by", ["click", "Enter", "Space"])
def test_a_table_is_sorted_by_its_heads(started: Browser, report: Path, by: str) -> None:
    with opened(started, report) as seen:
        head = seen.page.locator("#table-time_by_activity th[scope=col] >> nth=1")
        button = head.locator("button")
        for order, name, first in (("ascending", "pick", "0.250"), ("descending", "pretrain", "30.500")):
            if by == "click":
                button.click()
            else:
                button.focus()
                seen.page.keyboard.press(by)
            assert head.get_attribute("aria-sort") == order
            assert seen.cells("time_by_activity")[0] == [name, first]
            assert seen.page.inner_text("#said").endswith(f"sorted by seconds, {order}")
        assert seen.said == []


def test_what_has_no_value_stays_at_the_end(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        button = seen.page.locator("#table-f1_per_class th[scope=col] button >> nth=1")
        for first in (NASTY, CLASSES[0]):
            button.evaluate("button => button.click()")
            assert [row[0] for row in seen.cells("f1_per_class")][::2] == [first, CLASSES[2]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(started: Browser, report: Path, scheme: str) -> None:
    with opened(started, report, scheme=scheme) as seen:  # type: ignore[arg-type]
        for part in seen.page.query_selector_all("details"):
            part.evaluate("part => { part.open = true }")
        assert seen.poor_contrast() == []
        back = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, back[4:-1].split(","))) < 200) == (scheme == "dark")


def test_it_fits_a_phone(started: Browser, report: Path) -> None:
    with opened(started, report, width=360) as seen:
        check_narrow(seen)


def test_it_is_found_by_keyboard_and_by_ear(started: Browser, report: Path) -> None:
    with opened(started, report) as seen:
        seen.page.keyboard.press("Tab")
        assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the content"
        assert seen.page.locator("main, header, nav, footer").count() == 4
        pictures = seen.page.get_by_role("img", name="Seconds by phase and activity")
        assert pictures.count() == 1
        assert "round_3" in str(pictures.text_content())
        tables = seen.page.locator("table")
        assert tables.count() == seen.page.locator("table > caption").count() > 5
        assert seen.page.locator("th:not([scope])").count() == 0


def test_it_can_be_printed_with_all_that_is_folded_away(started: Browser, report: Path) -> None:
    with opened(started, report, scheme="dark") as seen:
        pdf = seen.page.pdf(format="A4")
        assert pdf.startswith(b"%PDF")
        seen.page.emulate_media(media="print", color_scheme="dark")
        assert seen.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--ink')") == "#1b1f27"
        seen.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert seen.page.locator("details:not([open])").count() == 0


def test_files_beside_the_page_hold_the_same_numbers(started: Browser, report: Path) -> None:
    tables = report_tables(report.parent)
    folder = report.with_suffix("")
    assert {file.stem for file in folder.glob("*.csv")} == set(tables)
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    with opened(started, report) as seen:
        for name, table in tables.items():
            with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as stream:
                head, *rows = csv.reader(stream)
            assert head == [column.name for column in table.columns]
            shown = seen.cells(name)
            assert len(rows) == len(shown)
            for row, cells in zip(rows, shown, strict=True):
                for column, written, cell in zip(table.columns, row, cells, strict=True):
                    value = None if written == "" else float(written) if column.digits is not None else written
                    assert column.show(value) == cell
            assert table.markdown() in markdown
