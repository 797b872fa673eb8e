"""Requests for labels, filled as people and their spreadsheets fill them."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from dpc_lightning.purchase.request_file import Request
from tests.purchase.oracles import truth

CLASSES = ("dent", "dirt, wet", "scratch")
INDICES = (12, 3, 7, 5, 10, 1)
IMAGES = tuple(f"sheet {index:02}.png" for index in range(16))


def request_in(folder: Path) -> Request:
    """A request that is not written yet."""
    return Request(folder / "round_1.csv", INDICES, tuple(IMAGES[index] for index in INDICES), CLASSES)


def filled_cells(request: Request) -> list[list[str]]:
    """The cells of a request that was filled with the truth, header first."""
    rows = list(csv.reader(io.StringIO(request.as_csv().decode("utf-8-sig"))))
    for row, labels in zip(rows[1:], truth(request.indices).tolist(), strict=True):
        row[3:] = map(str, labels)
    return rows


def as_text(cells: Sequence[Sequence[str]], separator: str = ",", line_end: str = "\n", *, quoted: bool = False) -> str:
    """Write cells as a spreadsheet does."""
    text = io.StringIO()
    if quoted:
        csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(cells)
    else:
        csv.writer(text, delimiter=separator, lineterminator=line_end).writerows(cells)
    return text.getvalue()
