"""A `labels.csv` as cells, checked: its header, its rows with their lines in the file, its 0/1 columns."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.errors import DataError

__all__ = ["GROUP", "IMAGE", "CsvTable", "check_classes", "parse_labels", "read_table"]

IMAGE = "image"
"""The column of file names."""

GROUP = "group"
"""The optional column of groups."""

RESERVED = frozenset({"order", "round", "index", "score"})
"""Columns of `purchases.csv`; no class may be called so."""


@dataclass(frozen=True)
class CsvTable:
    """A CSV file split into cells.

    Attributes:
        file: the file.
        header: column names, without spaces around them.
        rows: for each row its line in the file, from 1, and its cells.
    """

    file: Path
    header: tuple[str, ...]
    rows: list[tuple[int, list[str]]]

    @property
    def classes(self) -> tuple[str, ...]:
        """Every column but `image` and `group`, in order."""
        return tuple(name for name in self.header if name not in {IMAGE, GROUP})

    def column(self, name: str) -> list[str]:
        """Give the cells of a column, by row.

        Args:
            name: a name in `header`.

        Returns:
            The cells as they stand in the file.
        """
        place = self.header.index(name)
        return [row[place] for _, row in self.rows]


def read_table(file: Path) -> CsvTable:
    """Read a comma separated file in UTF-8, with or without byte order mark, with the line ends of any system.

    Args:
        file: a file with a column `image`.

    Returns:
        Header and rows; empty lines are left out.

    Raises:
        DataError: if the file cannot be read, is no such file, lacks the column, or repeats one; names file and line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            table = _split_cells(file, stream)
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"Expected {file} to be a comma separated file in UTF-8, but: {error}. Save it again as CSV UTF-8."
        raise DataError(msg) from error
    except OSError as error:
        msg = f"Expected to read {file}, but: {error.strerror}."
        raise DataError(msg) from error
    _check_header(file, table.header)
    taken = [
        name for name in table.classes if name in RESERVED or name.removeprefix("p_") in {"", *table.header} - {name}
    ]
    if taken:
        msg = (
            f"The class names {taken} in {file} are those of other columns in the tables that a run writes "
            f"({', '.join(sorted(RESERVED))}, and p_<class>). Rename these columns."
        )
        raise DataError(msg)
    for line, row in table.rows:
        if len(row) != len(table.header):
            msg = f"Expected {len(table.header)} cells in line {line} of {file}, as in its header, but got {len(row)}."
            raise DataError(msg)
    return table


def check_classes(table: CsvTable, expected: tuple[str, ...]) -> None:
    """Make sure that a table has the classes of the training file in their order.

    Args:
        table: of another split.
        expected: the classes of the training file.

    Raises:
        DataError: for missing or unknown classes, or another order; names both orders.
    """
    found = table.classes
    if found == expected:
        return
    missing = [name for name in expected if name not in found]
    unknown = [name for name in found if name not in expected]
    if missing or unknown:
        msg = (
            f"Expected the classes of the training file, {list(expected)}, in {table.file}, but missing are {missing} "
            f"and unknown are {unknown}. Correct its header or complete its columns."
        )
    else:
        msg = (
            f"Expected the classes in the order of the training file, {list(expected)}, but {table.file} has them in "
            f"the order {list(found)}. Reorder its columns."
        )
    raise DataError(msg)


def parse_labels(table: CsvTable) -> NDArray[np.uint8]:
    """Read the class columns.

    Args:
        table: a file whose class cells are 0 or 1.

    Returns:
        `(N, C)` uint8.

    Raises:
        DataError: for any other cell; names line and column.
    """
    labels = np.zeros((len(table.rows), len(table.classes)), dtype=np.uint8)
    for place, name in enumerate(table.classes):
        cells = [cell.strip() for cell in table.column(name)]
        for position, cell in enumerate(cells):
            if cell not in {"0", "1"}:
                line = table.rows[position][0]
                msg = f"Expected 0 or 1 in line {line}, column `{name}` of {table.file}, but got {cell!r}."
                raise DataError(msg)
        labels[:, place] = [cell == "1" for cell in cells]
    return labels


def _split_cells(file: Path, stream: Iterable[str]) -> CsvTable:
    reader = csv.reader(stream, strict=True)
    header = tuple(cell.strip() for cell in next(reader, []))
    return CsvTable(file, header, [(reader.line_num, row) for row in reader if row])


def _check_header(file: Path, header: tuple[str, ...]) -> None:
    if IMAGE not in header:
        hint = " Separate the columns by commas." if header and any(mark in header[0] for mark in ";\t|") else ""
        msg = f"Expected a column `{IMAGE}` in line 1 of {file}, but its columns are {list(header)}.{hint}"
        raise DataError(msg)
    if "" in header:
        msg = f"Expected a name for each column in line 1 of {file}, but column {header.index('') + 1} has none."
        raise DataError(msg)
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        msg = f"Expected each column once in line 1 of {file}, but {repeated} are repeated. Remove or rename them."
        raise DataError(msg)
