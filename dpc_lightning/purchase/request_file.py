"""A request for labels as a table that people fill: what is written, and what is accepted when it comes back."""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

import numpy as np

from dpc_lightning.acquisition.base import LabelArray
from dpc_lightning.errors import OracleError

__all__ = ["PLACE_COLUMNS", "Request", "read_places"]

PLACE_COLUMNS: Final = ("row", "index", "image")
"""The columns before those of the classes: they say what a row is about, and must come back as they were."""

_NOTES: Final = frozenset({"comment", "note"})
_SEPARATORS: Final = (",", ";", "\t")
_WHOLE: Final = re.compile(r"([0-9]{1,15})(?:[.,]0+)?")
_LABEL: Final = re.compile(r"([01])(?:[.,]0+)?")
_AGAIN: Final = (
    "Nothing was recorded: correct the file and start the same command again. If it cannot be mended, delete it, and "
    "the same command writes it anew."
)

_Rows = list[tuple[int, list[str]]]
"""For each row its line in the file, from 1, and its cells."""


@dataclass(frozen=True)
class Request:
    """What people are asked for, and the file in which they answer.

    Example:
        >>> request = Request(Path("round_1.csv"), (7, 2), ("g.png", "b.png"), ("dent", "dirt"))
        >>> print(request.as_csv().decode(), end="")
        row,index,image,dent,dirt
        1,7,g.png,,
        2,2,b.png,,
    """

    file: Path
    """The table."""
    indices: tuple[int, ...]
    """Image indices in the order asked."""
    images: tuple[str, ...]
    """File name of each of these images."""
    classes: tuple[str, ...]
    """Names of the classes: the columns to be filled."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns in their order."""
        return (*PLACE_COLUMNS, *self.classes)

    def as_csv(self) -> bytes:
        """Give the table to be filled: comma separated UTF-8, with a byte order mark where spreadsheets need one."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        blank = [""] * len(self.classes)
        for row, (index, image) in enumerate(zip(self.indices, self.images, strict=True), start=1):
            writer.writerow([row, index, image, *blank])
        return text.getvalue().encode("utf-8" if text.getvalue().isascii() else "utf-8-sig")

    def read(self) -> LabelArray | None:
        """Read the table back, as a spreadsheet may have saved it.

        Comma, semicolon or tab as separator, UTF-8 or UTF-16, any line ends, quotes, spaces around cells, `1.0` for
        `1`, empty lines, empty columns at the right, and columns `comment` and `note` there are all accepted.

        Returns:
            `(n, C)` uint8 in the order asked, or None if no label has been filled in yet.

        Raises:
            OracleError: if columns or rows are not as asked, if a cell is neither 0 nor 1, or if some are still empty;
                names file, line and column.
        """
        table = _read_table(self.file, self.columns)
        if not table:
            self._refuse(1, 0, f"expected the columns {', '.join(self.columns)}, but the file is empty")
        width = self._check_header(*table[0])
        rows = [(line, cells + [""] * (width - len(cells))) for line, cells in table[1:]]
        self._check_places(rows, width)
        return self._labels(rows)

    def _check_header(self, line: int, header: Sequence[str]) -> int:
        """Check the names of the columns; gives how many there are, with notes."""
        expected, notes = self.columns, _NOTES - set(self.classes)
        names = list(header)
        while names and not names[-1]:
            names.pop()
        for place, name in enumerate(names):
            if name in names[:place]:
                self._refuse(line, place, f"expected each column once, but {_short(name)} stands there again")
        missing = [name for name in expected if name not in names]
        unknown = [place for place, name in enumerate(names) if name not in expected and name not in notes]
        if missing:
            place = unknown[0] if unknown else len(names)
            found = _short(names[place]) if unknown else "nothing"
            self._refuse(line, place, f"expected a column `{missing[0]}`, but {found} stands there")
        if unknown:
            what = f"expected the columns {', '.join(expected)}, and `comment` or `note` after them"
            self._refuse(line, unknown[0], f"{what}, but {_short(names[unknown[0]])} stands there")
        for place, name in enumerate(expected):
            if names[place] != name:
                what = f"expected column `{name}`, but `{names[place]}` stands there"
                self._refuse(line, place, f"{what}: put the columns back into the order {', '.join(expected)}")
        return len(names)

    def _check_places(self, rows: _Rows, width: int) -> None:
        """Check that the rows are about the images asked for, in their order."""
        count, numbers = len(self.indices), [_whole(cells[0]) for _, cells in rows]
        for place, (line, cells) in enumerate(rows):
            if place >= count or numbers[place] != place + 1:
                self._refuse(line, 0, self._misplaced(place, cells[0], numbers))
            if _whole(cells[1]) != self.indices[place] or cells[2] != self.images[place].strip():
                column = 2 if _whole(cells[1]) == self.indices[place] else 1
                expected = (self.indices[place], self.images[place])[column - 1]
                what = f"expected {expected!r} in row {place + 1}, but got {_short(cells[column])}"
                self._refuse(line, column, f"{what}: were some columns moved or sorted without the others?")
            for column, cell in enumerate(cells[width:], start=width):
                if cell:
                    self._refuse(line, column, f"expected nothing beyond the last column, but got {_short(cell)}")
        if len(rows) < count:
            line = rows[-1][0] + 1 if rows else 2
            self._refuse(line, 0, f"expected row {len(rows) + 1} of {count}, but the file ends: rows are missing")

    def _misplaced(self, place: int, cell: str, numbers: Sequence[int | None]) -> str:
        """Say what is wrong with the number of a row."""
        count, number, due = len(self.indices), numbers[place], place + 1
        if number is None or not 1 <= number <= count:
            if due > count:
                return f"expected {count} rows, but this one is added ({_short(cell)})"
            return f"expected row {due} of {count}, but got {_short(cell)}: was the row added?"
        if number in numbers[:place]:
            return f"expected row {due} of {count}, but row {number} stands there again: the row is doubled"
        if due in numbers:
            return f"expected row {due}, but row {number} stands there: sort all columns together by `row`, upwards"
        return f"expected row {due}, but row {number} stands there: row {due} is missing"

    def _labels(self, rows: _Rows) -> LabelArray | None:
        first = len(PLACE_COLUMNS)
        labels = np.zeros((len(rows), len(self.classes)), dtype=np.uint8)
        blank: list[tuple[int, int, int]] = []
        for place, (line, cells) in enumerate(rows):
            for column, cell in enumerate(cells[first : len(self.columns)], start=first):
                found = _LABEL.fullmatch(cell)
                if found:
                    labels[place, column - first] = found[1] == "1"
                elif cell:
                    self._refuse(line, column, f"expected 0 or 1 in row {place + 1}, but got {_short(cell)}")
                else:
                    blank.append((line, column, place + 1))
        if len(blank) == labels.size:
            return None
        if blank:
            line, column, row = blank[0]
            what = f"expected 0 or 1 in row {row}, but the cell is empty"
            self._refuse(line, column, f"{what}, as are {len(blank)} of {labels.size} cells in all")
        return labels

    def _refuse(self, line: int, column: int, what: str) -> NoReturn:
        names = self.columns
        name = f" (`{names[column]}`)" if line > 1 and column < len(names) else ""
        msg = f"{self.file}, line {line}, column {column + 1}{name}: {what}. {_AGAIN}"
        raise OracleError(msg)


def read_places(file: Path, classes: Sequence[str]) -> list[tuple[int, str]] | None:
    """Read which images a request file is about, without a look at its labels.

    Args:
        file: the table.
        classes: names of the classes.

    Returns:
        Index and file name row by row, or None if that cannot be told.
    """
    try:
        table = _read_table(file, (*PLACE_COLUMNS, *classes))
    except OracleError:
        return None
    places: list[tuple[int, str]] = []
    for _, cells in table[1:]:
        index = _whole(cells[1]) if len(cells) > 2 else None
        if index is None:
            return None
        places.append((index, cells[2]))
    return places


def _read_table(file: Path, columns: Sequence[str]) -> _Rows:
    """Split a file into cells without spaces around them; empty lines are left out, the header comes first."""
    rows: _Rows = []
    line = 1
    try:
        text = _decode(file.read_bytes())
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text, columns), strict=True)
        for cells in reader:
            rows.append((line, [cell.strip() for cell in cells]))
            line = reader.line_num + 1
    except UnicodeDecodeError as error:
        msg = f"{file}: expected text in UTF-8 or UTF-16, but byte {error.start + 1} is neither. "
        raise OracleError(f"{msg}Save it again as CSV UTF-8. {_AGAIN}") from error
    except csv.Error as error:
        msg = f"{file}, line {line}: expected cells separated by comma, semicolon or tab, but: {error}. {_AGAIN}"
        raise OracleError(msg) from error
    except OSError as error:
        msg = (
            f"{file}: expected to read it, but: {error.strerror or error}. Mend that and start the same command again."
        )
        raise OracleError(msg) from error
    return [(line, cells) for line, cells in rows if any(cells)]


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    if b"\0" in content[:2]:  # UTF-16 without its mark
        return content.decode("utf-16-be" if content[0] == 0 else "utf-16-le")
    return content.decode("utf-8-sig")


def _separator(text: str, columns: Sequence[str]) -> str:
    """Find what separates the names of the columns."""
    first = text.lstrip().split("\n", 1)[0].split("\r", 1)[0]

    def known(mark: str) -> int:
        return sum(cell.strip() in columns for cell in next(csv.reader([first], delimiter=mark), []))

    return max(_SEPARATORS, key=known)


def _whole(cell: str) -> int | None:
    found = _WHOLE.fullmatch(cell)
    return int(found[1]) if found else None


def _short(cell: str) -> str:
    return repr(cell) if len(cell) <= 40 else f"{cell[:40]!r}…"
