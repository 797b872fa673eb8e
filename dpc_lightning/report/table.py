"""A table of the report: the same rows for the page, for CSV, for Markdown, and for whoever logs them."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Column", "Table", "Value", "markdown_text"]

Value = str | int | float | None
"""What a cell holds; None, or NaN, where there is nothing to say."""

NOTHING = "-"


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: what stands at its head.
        digits: digits after the point; None for words and whole numbers.
        signed: whether a number above zero bears its sign.
        number: whether the cells are numbers, which stand at the right; a column with `digits` always is.

    Example:
        >>> Column("difference", digits=2, signed=True).show(0.125)
        '+0.12'
        >>> Column("difference", digits=2).show(None)
        '-'
    """

    name: str
    digits: int | None = None
    signed: bool = False
    number: bool = False

    @property
    def right(self) -> bool:
        """Whether the cells stand at the right."""
        return self.number or self.digits is not None

    def show(self, value: Value) -> str:
        """Give the text of a cell on the page and in Markdown.

        Args:
            value: what the cell holds.
        """
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return NOTHING
        if isinstance(value, str) or (self.digits is None and isinstance(value, int)):
            return str(value)
        sign = "+z" if self.signed else "z"  # z: no minus before zero
        return f"{value:{sign}.{self.digits}f}" if self.digits is not None else f"{value:{sign}g}"


@dataclass(frozen=True)
class Table:
    r"""A table with a caption.

    Attributes:
        name: name of its file without ending, for example `learning_curves`.
        title: its caption.
        columns: its columns; the first one names the row.
        rows: its cells, as many a row as there are columns.
        heat: for a coloured table the strength of each cell's colour in [-1, 1], or None for no colour.
        folded: whether the page shows it only when it is asked to.

    Example:
        >>> table = Table("f1", "F1 by class", (Column("class"), Column("F1", digits=3)), (("dent", 0.5),))
        >>> print(table.markdown())
        | class | F1 |
        | :-- | --: |
        | dent | 0.500 |
        >>> table.csv()
        'class,F1\ndent,0.5\n'
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    heat: tuple[tuple[float | None, ...], ...] | None = None
    folded: bool = False

    def __post_init__(self) -> None:
        """Check that every row has a cell for every column."""
        for row in (*self.rows, *(self.heat or ())):
            if len(row) != len(self.columns):
                msg = f"Expected {len(self.columns)} cells in every row of the table `{self.name}`, but got {len(row)}."
                raise ValueError(msg)

    def shown(self) -> list[list[str]]:
        """Give the texts of all cells, by row."""
        return [[column.show(value) for column, value in zip(self.columns, row, strict=True)] for row in self.rows]

    def csv(self) -> str:
        """Give the table as CSV with all digits; a cell without a value is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows([["" if _absent(value) else value for value in row] for row in self.rows])
        return text.getvalue()

    def markdown(self) -> str:
        """Give the table as Markdown, with the digits that the page shows."""
        head = [_markdown_row([column.name for column in self.columns])]
        head.append(_markdown_row(["--:" if column.right else ":--" for column in self.columns]))
        return "\n".join(head + [_markdown_row(row) for row in self.shown()])


def _absent(value: Value) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(markdown_text(cell) for cell in cells)} |"


def markdown_text(text: str) -> str:
    r"""Give a text so that Markdown shows it as it is, on one line.

    Args:
        text: any text.

    Example:
        >>> markdown_text("a|<b>")
        'a\\|&lt;b&gt;'
    """
    return escape(" ".join(text.split()), quote=False).replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*")
