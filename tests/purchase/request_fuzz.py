"""Request files that were damaged at random: read as they were meant, or refused with a word that helps."""

import random
import shutil
from pathlib import Path

import numpy as np

from dpc_lightning.errors import LabelsPendingError, OracleError
from dpc_lightning.purchase.files_oracle import FilesOracle
from dpc_lightning.purchase.request_file import Request
from tests.purchase.oracles import truth
from tests.purchase.request_files import CLASSES, IMAGES, INDICES, as_text, filled_cells

CODES = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le")
STRAY = (
    b"\0",
    b"0",
    b"1",
    b",",
    b";",
    b"\t",
    b'"',
    b"\n",
    b"\r",
    b" ",
    b".",
    b"\xff",
    b"\xfe",
    b"\xc3",
    b"=",
    b"9",
    b"2",
)
WORDS = (
    "",
    "0",
    "1",
    "2",
    "1.0",
    "x",
    " ",
    '"',
    "dent",
    "row",
    "index",
    "image",
    "comment",
    "note",
    "12",
    "-1",
    "\u0663",
    "a\nb",
)

Cells = list[list[str]]


def fuzz_case(seed: int, folder: Path) -> str:
    """Damage a correctly filled request file, and let the oracle read it.

    Args:
        seed: chooses how the file is saved, and what is done to its cells and bytes.
        folder: an empty folder, or that of an earlier case.

    Returns:
        "read" if labels were accepted, "refused" if they were not.

    Raises:
        AssertionError: if anything but an error of ours came out, if its message does not name the file, or if labels
            were accepted that are not the true ones although no label cell was written into.
    """
    chance = random.Random(seed)
    oracle, file = _asked(folder)
    request = Request(file, INDICES, tuple(IMAGES[index] for index in INDICES), CLASSES)
    cells = filled_cells(request)
    if chance.random() < 0.3:
        cells = [
            [*row, "comment" if not place else chance.choice(("", "seen twice", "a, b"))]
            for place, row in enumerate(cells)
        ]
    by_cells = chance.random() < 0.6
    touched = by_cells and _damage_cells(cells, chance)
    content, labels = _saved(cells, chance)
    if not by_cells or chance.random() < 0.3:
        content, hit = _damage_bytes(content, labels, chance)
        touched = touched or hit
    file.write_bytes(content)
    wanted = np.array(INDICES)
    try:
        answer = oracle.label_round(wanted, 1)
    except (OracleError, LabelsPendingError) as error:
        return _refused(error, file, content, seed)
    except Exception as error:
        msg = f"seed {seed}: {type(error).__name__} came out: {error}"
        raise AssertionError(msg) from error
    assert answer.shape == (len(INDICES), len(CLASSES)), f"seed {seed}: shape {answer.shape}"
    assert touched or (answer == truth(INDICES)).all(), f"seed {seed}: mislabelled, and no label cell was touched"
    return "read"


def _refused(error: Exception, file: Path, content: bytes, seed: int) -> str:
    assert str(file) in str(error), f"seed {seed}: the file is not named: {error}"
    assert file.read_bytes() == content, f"seed {seed}: the file was changed"
    return "refused"


def _asked(folder: Path) -> tuple[FilesOracle, Path]:
    """An oracle that has asked already."""
    images, requests = folder / "images", folder / "requests"
    if not images.exists():
        images.mkdir(parents=True)
        for name in IMAGES:
            (images / name).write_bytes(name.encode())
    for other in requests.glob("round_1_part*"):
        shutil.rmtree(other) if other.is_dir() else other.unlink()
    requests.mkdir(exist_ok=True)
    oracle = FilesOracle()
    oracle.attach(folder=requests, images=IMAGES, image_folder=images, classes=CLASSES)
    return oracle, requests / "round_1.csv"


def _damage_cells(cells: Cells, chance: random.Random) -> bool:
    """Do what people and spreadsheets do to a table; says whether a label cell was touched."""
    touched = False
    for _ in range(chance.randint(1, 3)):
        if len(cells) > 1:
            touched |= chance.choice(CHANGES)(cells, chance)
    return touched


def _overwrite(cells: Cells, chance: random.Random) -> bool:
    row = chance.randrange(len(cells))
    if not cells[row]:
        return False
    column = chance.randrange(len(cells[row]))
    cells[row][column] = chance.choice(WORDS)
    return row > 0 and column >= 3


def _change_rows(cells: Cells, chance: random.Random) -> bool:
    row, other = chance.randrange(len(cells)), chance.randrange(1, len(cells))
    kind = chance.randrange(3)
    if kind == 0:
        del cells[row]
    elif kind == 1:
        cells.insert(row, list(cells[other]))
    else:
        cells[row], cells[other] = cells[other], cells[row]
    return False


def _shuffle_names(cells: Cells, chance: random.Random) -> bool:
    chance.shuffle(cells[0])
    return False


def _sort_some_columns(cells: Cells, chance: random.Random) -> bool:
    """Those at the left go, the labels stay."""
    width = chance.randint(1, 3)
    order = sorted(range(1, len(cells)), key=lambda place: cells[place][2:3])
    for place, head in enumerate([cells[place][:width] for place in order], start=1):
        cells[place][:width] = head
    return False


def _leave_some_columns(cells: Cells, chance: random.Random) -> bool:
    """All are sorted but those at the left; each image keeps its labels beside it."""
    width = chance.randint(1, 2)
    order = sorted(range(1, len(cells)), key=lambda place: cells[place][2:3])
    for place, tail in enumerate([cells[place][width:] for place in order], start=1):
        cells[place][width:] = tail
    return False


def _move_columns(cells: Cells, chance: random.Random) -> bool:
    """Whole columns go elsewhere, each with its name."""
    first, width = chance.choice((0, 3)), min(map(len, cells))
    order = chance.sample(range(first, width), max(0, width - first))
    for row in cells:
        row[first:width] = [row[place] for place in order]
    return False


def _change_columns(cells: Cells, chance: random.Random) -> bool:
    place, insert = chance.randint(0, 8), chance.random() < 0.5
    for row in cells:
        row[place : place + 1 - insert] = [chance.choice(WORDS[:5])] if insert else []
    return False


CHANGES = (
    _overwrite,
    _overwrite,
    _change_rows,
    _shuffle_names,
    _sort_some_columns,
    _leave_some_columns,
    _move_columns,
    _change_columns,
)


def _saved(cells: Cells, chance: random.Random) -> tuple[bytes, list[tuple[int, int]]]:
    """Save a table in one of many ways; gives where its label cells begin and end."""
    code, separator = chance.choice(CODES), chance.choice(",;\t")
    line_end, quoted = chance.choice(("\n", "\r\n")), chance.random() < 0.3
    content, places = "".encode(code), list[tuple[int, int]]()
    plain = "utf-16-le" if code == "utf-16" else code.removesuffix("-sig")
    for number, row in enumerate(cells):
        for column in range(len(row)):
            before = len(content) + len(_cell(row[:column], separator, quoted).encode(plain))
            after = len(content) + len(_cell(row[: column + 1], separator, quoted).encode(plain))
            if number and column >= 3:
                places.append((before, after))
        content += (_cell(row, separator, quoted) + line_end).encode(plain)
    return content, places


def _cell(row: list[str], separator: str, quoted: bool) -> str:
    return as_text([row], separator, "", quoted=quoted) if row else ""


def _damage_bytes(content: bytes, labels: list[tuple[int, int]], chance: random.Random) -> tuple[bytes, bool]:
    """Change, insert, delete or cut off bytes; says whether a label cell, or a byte at its edge, was touched."""
    damaged, touched = bytearray(content), False
    for place in sorted((chance.randrange(len(content) + 1) for _ in range(chance.randint(0, 3))), reverse=True):
        kind = chance.randrange(5)
        end = min(len(content), place + (chance.randint(1, 9) if kind == 3 else 1))
        if kind == 0:
            damaged[place:end] = bytes([chance.randrange(256)])
        elif kind == 1:
            damaged[place:place] = chance.choice(STRAY)
        elif kind == 2:
            damaged[place:end] = chance.choice(STRAY)
        elif kind == 3:
            del damaged[place:end]
        elif chance.random() < 0.2:
            del damaged[place:]
            end = len(content)
        touched |= any(place <= after and end >= before for before, after in labels)
    return bytes(damaged), touched
