"""One table, and what it is for the page, for CSV and for Markdown."""

import math

import pytest

from dpc_lightning.report.table import Column, Table, markdown_text


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (Column("a", digits=3), 0.12345, "0.123"),
        (Column("a", digits=3), -0.0001, "0.000"),
        (Column("a", digits=3, signed=True), 0.0, "+0.000"),
        (Column("a", digits=1), 3, "3.0"),
        (Column("a", number=True), 3, "3"),
        (Column("a", number=True), 60.0, "60"),
        (Column("a", number=True), 2.5, "2.5"),
        (Column("a", digits=2), math.inf, "inf"),
        (Column("a", digits=2), math.nan, "-"),
        (Column("a"), None, "-"),
        (Column("a", digits=2), "<100", "<100"),
    ],
)
def test_a_cell_is_shown_by_its_column(column: Column, value: float | str | None, shown: str) -> None:
    assert column.show(value) == shown


def test_csv_has_all_digits_and_leaves_empty_what_is_not_there() -> None:
    table = Table("t", "T", (Column("a"), Column("b", digits=1)), (('x,"y"', 0.123456789), ("z", math.nan), ("", None)))
    assert table.csv() == 'a,b\n"x,""y""",0.123456789\nz,\n"",\n'.replace('"",\n', ",\n")


def test_markdown_shows_odd_names_as_they_are() -> None:
    table = Table("t", "T", (Column("a|b"), Column("c", digits=1)), (("<script>\n*x*", 0.25),))
    assert table.markdown().splitlines() == ["| a\\|b | c |", "| :-- | --: |", "| &lt;script&gt; \\*x\\* | 0.2 |"]
    assert markdown_text("a & b") == "a &amp; b"


def test_a_row_of_another_length_is_named_with_its_table() -> None:
    with pytest.raises(ValueError, match="Expected 2 cells in every row of the table `t`, but got 1"):
        Table("t", "T", (Column("a"), Column("b")), (("x",),))
