"""DeepPCB to a data root: boards are cut into tiles, and a tile has a class if the centre of a box lies in it.

DeepPCB (Tang, He, Huang, Yang: On-line PCB Defect Detector on a New PCB Defect Dataset, arXiv:1902.06197) holds 1,500
binarised photographs of 640 x 640 pixels, `groupX/X/BOARD_test.jpg`, each with the boxes of six kinds of defect,
`groupX/X_not/BOARD.txt`, one `x1 y1 x2 y2 class` a row. Its templates (`_temp.jpg`) are not used.
"""

import csv
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dpc_lightning.data.decoding import read_image
from dpc_lightning.data.whole_folder import check_description, whole_folder, write_description
from dpc_lightning.errors import ConfigError, DataError

__all__ = ["CLASSES", "DESCRIPTION_FILE", "Board", "TileSettings", "convert_deeppcb", "read_boards"]

CLASSES = ("open", "short", "mousebite", "spur", "spurious_copper", "pinhole")
"""The classes 1 to 6 of the annotations, in the order of the label columns."""

DESCRIPTION_FILE = "deeppcb.json"
"""File in the data root that says what it was converted from and how."""

CONVERTER_VERSION = 1
_DRAW_ORDER = ("test", "validation", "training", "unlabelled")
_TEST_FILE = "_test.jpg"


@dataclass(frozen=True)
class TileSettings:
    """How boards become tiles, and tiles become splits.

    Raises:
        ConfigError: if a value is out of its range; the message names the flag.
    """

    tile: int = 160
    """Side of a tile in pixels; it must divide the sides of the boards."""
    training: int = 1000
    """Labelled tiles to start with."""
    unlabelled: int = 10000
    """Tiles in the pool."""
    validation: int = 0
    """Tiles for validation; 0 writes no such folder."""
    test: int = 3000
    """Tiles for the test."""
    seed: int = 0
    """Seed of the permutation by which boards are drawn to splits, 0 to 4294967295."""

    def __post_init__(self) -> None:
        """Check every range."""
        ranges = {"tile": 8, "training": 1, "unlabelled": 0, "validation": 0, "test": 1, "seed": 0}
        for name, least in ranges.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**32:
                msg = f"Expected `--{name}` to be a whole number of at least {least}, but got {value!r}."
                raise ConfigError(msg)


@dataclass(frozen=True)
class Board:
    """One photographed board."""

    name: str
    """Name, for example `20085000`; it is the group of its tiles."""
    file: Path
    """The photograph."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""
    boxes: NDArray[np.int64]
    """`(B, 5)` int64: x1, y1, x2, y2 in pixels and the class from 0."""

    def tile_labels(self, tile: int) -> NDArray[np.uint8]:
        """Say which classes each tile has.

        Args:
            tile: side of a tile in pixels.

        Returns:
            `(rows, columns, 6)` uint8, 1 where the centre of a box of the class lies in the tile.

        Example:
            >>> board = Board("a", Path("a_test.jpg"), 640, 640, np.array([[150, 10, 190, 30, 2]]))
            >>> board.tile_labels(160)[0, 1].tolist()
            [0, 0, 1, 0, 0, 0]
        """
        labels = np.zeros((self.height // tile, self.width // tile, len(CLASSES)), dtype=np.uint8)
        columns = (self.boxes[:, 0] + self.boxes[:, 2]) // (2 * tile)
        rows = (self.boxes[:, 1] + self.boxes[:, 3]) // (2 * tile)
        labels[rows, columns, self.boxes[:, 4]] = 1
        return labels


@dataclass(frozen=True)
class _Share:
    """The tiles that one board gives to its split: the first `count` of them, row by row."""

    split: str
    board: Board
    count: int


def convert_deeppcb(source: Path, root: Path, settings: TileSettings | None = None, *, progress: bool = True) -> None:
    """Convert DeepPCB into a data root.

    All boards are permuted by the seed and dealt out whole: to test, then validation, training and pool. So no board
    is in two splits, and the test tiles stay the same when the other counts change. Of the last board of a split only
    as many tiles are used as are needed. DeepPCB's own division into `trainval.txt` and `test.txt` is not followed,
    because it leaves no choice of counts and keeps no panel apart either: 7 of its 11 groups are on both sides.

    The root is complete or absent; one that holds the same conversion is left as it is.

    Args:
        source: the folder `PCBData`.
        root: the folder to make.
        settings: tile size, counts and seed.
        progress: whether a bar is shown on standard error.

    Raises:
        DataError: if a file of the source is missing, broken or contradicts itself (names file and row), if there are
            fewer tiles than asked for, or if `root` cannot be written or holds anything else.
    """
    settings = settings or TileSettings()
    boards = read_boards(source)
    shares = _deal(boards, settings)
    description = {"converter": "deeppcb", "version": CONVERTER_VERSION, "boards": len(boards), **asdict(settings)}
    with whole_folder(root) as folder:
        if folder is None:
            check_description(root, DESCRIPTION_FILE, description, "`data deeppcb`")
            return
        for split in _DRAW_ORDER:
            if split != "validation" or settings.validation:
                (folder / split / "images").mkdir(parents=True)
                chosen = [share for share in shares if share.split == split]
                _write_labels(folder / split / "labels.csv", chosen, settings.tile)
        _write_tiles(folder, shares, settings.tile, progress=progress)
        write_description(folder, DESCRIPTION_FILE, description)


def read_boards(source: Path) -> list[Board]:
    """Read the annotations of all boards and the sizes of their photographs.

    Args:
        source: the folder `PCBData`.

    Returns:
        The boards, sorted by name.

    Raises:
        DataError: for a missing folder, a board without photograph or annotations, two boards of one name, a row that
            is not `x1 y1 x2 y2 class`, an unknown class, or a box outside its board; names file and row.
    """
    photographs = sorted(source.glob(f"group*/*/*{_TEST_FILE}")) if source.is_dir() else []
    if not photographs:
        msg = f"Expected the folder PCBData of DeepPCB, with group*/*/*{_TEST_FILE} in it, but got {source}."
        raise DataError(msg)
    _check_complete(source, set(photographs))
    boards: dict[str, Board] = {}
    for file in photographs:
        name = file.name.removesuffix(_TEST_FILE)
        if name in boards:
            msg = f"Expected each board once, but {name} is {boards[name].file} and {file}. Remove one."
            raise DataError(msg)
        width, height = _size(file)
        boards[name] = Board(name, file, width, height, _read_boxes(_annotation(file), width, height))
    return [boards[name] for name in sorted(boards)]


def _annotation(photograph: Path) -> Path:
    folder = photograph.parent.with_name(f"{photograph.parent.name}_not")
    return folder / f"{photograph.name.removesuffix(_TEST_FILE)}.txt"


def _check_complete(source: Path, photographs: set[Path]) -> None:
    """Compare the photographs with the annotations and with the lists, where there are lists."""
    for file in sorted(source.glob("group*/*_not/*.txt")):
        photograph = file.parent.with_name(file.parent.name.removesuffix("_not")) / f"{file.stem}{_TEST_FILE}"
        if photograph not in photographs:
            msg = f"Expected the photograph {photograph} of the annotation {file}, but it is not there."
            raise DataError(msg)
    for part in ("trainval.txt", "test.txt"):
        listing = source / part
        if not listing.is_file():
            continue
        for row, line in enumerate(_lines(listing), start=1):
            listed = line.split()[0] if line.split() else None
            if listed and source / f"{listed.removesuffix('.jpg')}{_TEST_FILE}" not in photographs:
                msg = f"Row {row} of {listing} lists {listed}, but {listed.removesuffix('.jpg')}{_TEST_FILE} is absent."
                raise DataError(msg)


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"Expected to read {file} as text, but: {error}."
        raise DataError(msg) from error


def _size(file: Path) -> tuple[int, int]:
    try:
        with Image.open(file) as image:
            return image.size
    except (OSError, ValueError, SyntaxError) as error:
        msg = f"Expected a photograph in {file}, but it cannot be read: {error}. Fetch the file again."
        raise DataError(msg) from error


def _read_boxes(file: Path, width: int, height: int) -> NDArray[np.int64]:
    if not file.is_file():
        msg = f"Expected the annotation {file} beside its photograph, but it is not there."
        raise DataError(msg)
    boxes = []
    for row, line in enumerate(_lines(file), start=1):
        if not line.strip():
            continue
        cells = re.split(r"[,\s]+", line.strip())
        if len(cells) != 5 or not all(re.fullmatch(r"-?\d{1,9}", cell, re.ASCII) for cell in cells):
            msg = f"Expected `x1 y1 x2 y2 class` in row {row} of {file}, five whole numbers, but got {line.strip()!r}."
            raise DataError(msg)
        x1, y1, x2, y2, number = (int(cell) for cell in cells)
        if not 1 <= number <= len(CLASSES):
            msg = f"Expected a class from 1 to {len(CLASSES)} in row {row} of {file}, but got {number}."
            raise DataError(msg)
        if not (0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height):
            msg = (
                f"Expected a box inside the board of {width} x {height} in row {row} of {file}, with x1 < x2 and "
                f"y1 < y2, but got {x1} {y1} {x2} {y2}."
            )
            raise DataError(msg)
        boxes.append((x1, y1, x2, y2, number - 1))
    return np.array(boxes, dtype=np.int64).reshape(-1, 5)


def _deal(boards: Sequence[Board], settings: TileSettings) -> list[_Share]:
    """Deal whole boards to the splits in a seeded order."""
    tile = settings.tile
    for board in boards:
        if board.width % tile or board.height % tile:
            msg = f"`--tile {tile}` does not divide {board.file} of {board.width} x {board.height} pixels."
            raise DataError(msg)
    order = np.random.default_rng(settings.seed).permutation(len(boards))
    left = iter(order.tolist())
    shares = []
    for split in _DRAW_ORDER:
        missing = getattr(settings, split)
        while missing:
            position = next(left, None)
            if position is None:
                raise DataError(_too_few(boards, settings, split, missing))
            board = boards[position]
            count = min(missing, (board.width // tile) * (board.height // tile))
            shares.append(_Share(split, board, count))
            missing -= count
    return shares


def _too_few(boards: Sequence[Board], settings: TileSettings, split: str, missing: int) -> str:
    there = sum((board.width // settings.tile) * (board.height // settings.tile) for board in boards)
    asked = {name: getattr(settings, name) for name in _DRAW_ORDER}
    counts = ", ".join(f"--{name} {count}" for name, count in asked.items())
    return (
        f"{len(boards)} boards give {there} tiles of {settings.tile} pixels, but {sum(asked.values())} are asked for "
        f"({counts}), and a board is never shared by two splits: {split} lacks {missing}."
    )


def _places(share: _Share, tile: int) -> Iterator[tuple[str, int, int]]:
    """Name the tiles of a share: file name, row and column."""
    columns = share.board.width // tile
    for number in range(share.count):
        row, column = divmod(number, columns)
        yield f"{share.board.name}_r{row:02d}_c{column:02d}.png", row, column


def _write_labels(file: Path, shares: Sequence[_Share], tile: int) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image", "group", *CLASSES))
        for share in shares:
            labels = share.board.tile_labels(tile)
            for name, row, column in _places(share, tile):
                writer.writerow((name, share.board.name, *labels[row, column].tolist()))


def _write_tiles(folder: Path, shares: Sequence[_Share], tile: int, *, progress: bool) -> None:
    """Cut and write in threads; decoding and encoding leave Python's lock."""
    threads = min(16, os.cpu_count() or 1)
    columns = TextColumn("[progress.description]{task.description}"), BarColumn(), MofNCompleteColumn()
    with (
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not progress) as bar,
        ThreadPoolExecutor(threads) as pool,
    ):
        task = bar.add_task("cutting boards", total=len(shares))
        started: list[Future[None]] = [pool.submit(_cut, folder, share, tile) for share in shares]
        try:
            for cut in started:
                cut.result()
                bar.advance(task)
        finally:
            pool.shutdown(cancel_futures=True)


def _cut(folder: Path, share: _Share, tile: int) -> None:
    """Write the tiles of one board as lossless grey PNG."""
    grey = cv2.cvtColor(read_image(share.board.file), cv2.COLOR_RGB2GRAY)
    if grey.shape != (share.board.height, share.board.width):
        msg = f"Expected {share.board.file} to have {share.board.width} x {share.board.height} pixels."
        raise DataError(msg)
    for name, row, column in _places(share, tile):
        part = grey[row * tile : (row + 1) * tile, column * tile : (column + 1) * tile]
        fine, data = cv2.imencode(".png", np.ascontiguousarray(part))
        if not fine:
            msg = f"OpenCV could not encode {name} of {share.board.file} as PNG."
            raise DataError(msg)
        (folder / share.split / "images" / name).write_bytes(data.tobytes())
