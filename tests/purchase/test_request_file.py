"""A request file: what spreadsheets may do to it, and what is refused by line and column."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from dpc_lightning.errors import OracleError
from dpc_lightning.purchase.request_file import Request, read_places
from tests.purchase.oracles import truth
from tests.purchase.request_files import IMAGES, INDICES, as_text, filled_cells, request_in

TRUE = truth(INDICES).tolist()
Cells = list[list[str]]


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    return request_in(tmp_path)


def read(request: Request, content: str | bytes) -> object:
    request.file.write_bytes(content.encode() if isinstance(content, str) else content)
    labels = request.read()
    return None if labels is None else labels.tolist()


def test_what_is_written_is_not_filled_yet(request_: Request) -> None:
    assert request_.as_csv().decode().splitlines()[:2] == [
        'row,index,image,dent,"dirt, wet",scratch',
        "1,12,sheet 12.png,,,",
    ]
    assert read(request_, request_.as_csv()) is None
    foreign = Request(request_.file, (1,), ("Blech_ü.png",), ("Delle",))
    assert foreign.as_csv().startswith(b"\xef\xbb\xbfrow"), "spreadsheets take UTF-8 without a mark for another code"
    assert read(foreign, foreign.as_csv()) is None
    assert read(foreign, foreign.as_csv().replace(b".png,", b".png,1")) == [[1]]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("code", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("quoted", [False, True])
def test_every_way_of_saving_is_read(request_: Request, separator: str, line_end: str, code: str, quoted: bool) -> None:
    text = as_text(filled_cells(request_), separator, line_end, quoted=quoted)
    assert read(request_, text.encode(code)) == TRUE


def _spaces(cells: Cells) -> None:
    cells[:] = [[f" {cell}\u00a0" for cell in row] for row in cells]


def _floats(cells: Cells) -> None:
    cells[1:] = [[f"{row[0]}.0", f"{row[1]}.00", row[2], *(f"{cell}.0" for cell in row[3:])] for row in cells[1:]]


def _decimal_commas(cells: Cells) -> None:
    cells[1:] = [[*row[:3], *(f"{cell},0" for cell in row[3:])] for row in cells[1:]]


def _empty_lines(cells: Cells) -> None:
    cells.insert(0, [])
    cells.insert(3, ["", "", "", "", "", ""])
    cells.extend([[], [" "], ["", "", "", "", "", "", ""]])


def _empty_columns(cells: Cells) -> None:
    cells[:] = [[*row, "", " "] for row in cells]


def _notes(cells: Cells) -> None:
    cells[:] = [
        [*row, "comment" if not place else "two, or 1\nmore", "note" if not place else ""]
        for place, row in enumerate(cells)
    ]
    cells[2].pop()


@pytest.mark.parametrize("change", [_spaces, _floats, _decimal_commas, _empty_lines, _empty_columns, _notes])
def test_what_changes_no_label_is_read(request_: Request, change: Callable[[Cells], None]) -> None:
    cells = filled_cells(request_)
    change(cells)
    assert read(request_, as_text(cells)) == TRUE


def cell(row: int, column: int, value: str) -> Callable[[Cells], None]:
    def change(cells: Cells) -> None:
        cells[row][column] = value

    return change


def _sorted_by_image(cells: Cells) -> None:
    cells[1:] = sorted(cells[1:], key=lambda row: row[2])


def _labels_left_behind(cells: Cells) -> None:
    """All columns but the row's number were sorted with the images."""
    cells[1:] = [
        [place, *row[1:]] for place, row in zip("123456", sorted(cells[1:], key=lambda row: row[2]), strict=True)
    ]


def _only_images_sorted(cells: Cells) -> None:
    for row, name in zip(cells[1:], sorted(row[2] for row in cells[1:]), strict=True):
        row[2] = name


def _swapped_names(cells: Cells) -> None:
    cells[0][3], cells[0][5] = cells[0][5], cells[0][3]


def _extra_column(cells: Cells) -> None:
    cells[:] = [[*row, "rust" if not place else "0"] for place, row in enumerate(cells)]


def _missing_column(cells: Cells) -> None:
    cells[:] = [row[:-1] for row in cells]


def _note_between(cells: Cells) -> None:
    cells[:] = [[*row[:4], "note" if not place else "0", *row[4:]] for place, row in enumerate(cells)]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            cell(2, 4, ""),
            "line 3, column 5 (`dirt, wet`): expected 0 or 1 in row 2, but the cell is empty, as are 1 of 18",
        ),
        (cell(2, 4, "2"), "line 3, column 5 (`dirt, wet`): expected 0 or 1 in row 2, but got '2'"),
        (cell(6, 5, "yes"), "line 7, column 6 (`scratch`): expected 0 or 1 in row 6, but got 'yes'"),
        (cell(1, 3, "01"), "line 2, column 4 (`dent`): expected 0 or 1 in row 1, but got '01'"),
        (cell(1, 3, "0.5"), "got '0.5'"),
        (cell(1, 3, "\u0661"), "but got '\u0661'"),
        (cell(1, 3, "x" * 99), f"got '{'x' * 40}'…"),
        (cell(0, 5, "scrach"), "line 1, column 6: expected a column `scratch`, but 'scrach' stands there"),
        (cell(0, 5, "dent"), "line 1, column 6: expected each column once, but 'dent' stands there again"),
        (cell(0, 5, ""), "line 1, column 6: expected a column `scratch`, but nothing stands there"),
        (cell(0, 1, ""), "line 1, column 2: expected a column `index`, but '' stands there"),
        (_missing_column, "line 1, column 6: expected a column `scratch`, but nothing stands there"),
        (
            _extra_column,
            "line 1, column 7: expected the columns row, index, image, dent, dirt, wet, scratch, and `comment`",
        ),
        (_swapped_names, "line 1, column 4: expected column `dent`, but `scratch` stands there"),
        (_note_between, "line 1, column 5: expected column `dirt, wet`, but `note` stands there"),
        (lambda cells: cells[2].append("1"), "line 3, column 7: expected nothing beyond the last column, but got '1'"),
        (
            lambda cells: cells.pop(3),
            "line 4, column 1 (`row`): expected row 3, but row 4 stands there: row 3 is missing",
        ),
        (
            lambda cells: cells.pop(),
            "line 7, column 1 (`row`): expected row 6 of 6, but the file ends: rows are missing",
        ),
        (
            lambda cells: cells.__delitem__(slice(1, None)),
            "line 2, column 1 (`row`): expected row 1 of 6, but the file",
        ),
        (
            lambda cells: cells.insert(3, cells[2]),
            "line 4, column 1 (`row`): expected row 3 of 6, but row 2 stands there again: the row is doubled",
        ),
        (
            lambda cells: cells.append(["7", *cells[1][1:]]),
            "line 8, column 1 (`row`): expected 6 rows, but this one is added ('7')",
        ),
        (
            lambda cells: cells.insert(2, ["", "9", IMAGES[9], "0", "0", "0"]),
            "line 3, column 1 (`row`): expected row 2 of 6, but got '': was the row added?",
        ),
        (
            _sorted_by_image,
            "line 2, column 1 (`row`): expected row 1, but row 6 stands there: sort all columns together by `row`",
        ),
        (
            _labels_left_behind,
            "line 2, column 2 (`index`): expected 12 in row 1, but got '1': were some columns moved or sorted",
        ),
        (_only_images_sorted, "line 2, column 3 (`image`): expected 'sheet 12.png' in row 1, but got 'sheet 01.png'"),
        (cell(3, 1, "7.5"), "line 4, column 2 (`index`): expected 7 in row 3, but got '7.5'"),
        (cell(3, 0, "3a"), "line 4, column 1 (`row`): expected row 3 of 6, but got '3a'"),
    ],
)
def test_what_might_change_a_label_is_refused_by_line_and_column(
    request_: Request, change: Callable[[Cells], object], says: str
) -> None:
    cells = filled_cells(request_)
    change(cells)
    with pytest.raises(OracleError, match=re.escape(says)) as caught:
        read(request_, as_text(cells))
    said = str(caught.value)
    assert said.startswith(str(request_.file))
    assert "start the same command again" in said
    assert "delete it" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b"\n\r\n ,, \n", "the file is empty"),
        (b"row,index\xe4,image", "expected text in UTF-8 or UTF-16, but byte 10 is neither"),
        (b"\xff\xfer", "expected text in UTF-8 or UTF-16"),
        (b'row,index,image,dent,"dirt, wet",scratch\n1,12,"sheet', "line 2: expected cells separated by"),
        (b'row,index,image\n1,12,"a"b', "line 2: expected cells separated by"),
        (b"PK\x03\x04 an .xlsx file", "expected a column `row`"),
    ],
)
def test_a_file_that_is_no_table_is_named(request_: Request, content: bytes, says: str) -> None:
    with pytest.raises(OracleError, match=re.escape(says)) as caught:
        read(request_, content)
    assert str(caught.value).startswith(str(request_.file))


def test_a_file_that_cannot_be_read_is_named(request_: Request) -> None:
    request_.file.mkdir()
    with pytest.raises(
        OracleError, match=f"{re.escape(str(request_.file))}: expected to read it, but: {os.strerror(21)}"
    ):
        request_.read()
    assert read_places(request_.file, ("dent",)) is None


def test_places_are_read_whatever_the_labels_are(request_: Request) -> None:
    cells = filled_cells(request_)
    cells[2][4] = "nonsense"
    request_.file.write_text(as_text(cells, ";"))
    assert read_places(request_.file, request_.classes) == [(index, IMAGES[index]) for index in INDICES]
    cells[2][1] = "x"
    request_.file.write_text(as_text(cells))
    assert read_places(request_.file, request_.classes) is None
