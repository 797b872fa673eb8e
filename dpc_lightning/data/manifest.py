"""The images of one split and what is known of them: `images/` beside `labels.csv` (or `index.csv` for a bare pool).

A split folder holds `images/` and `labels.csv` with the columns `image` (file name), optionally `group`, and one 0/1
column a class. Classes and their order come from the training file. The row number of an image, from 0 and without the
header, is its index for ever.
"""

import csv
import hashlib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from dpc_lightning.atomic import write_atomically
from dpc_lightning.data.csv_table import GROUP, IMAGE, CsvTable, check_classes, parse_labels, read_table
from dpc_lightning.errors import DataError

__all__ = [
    "LabelledTable",
    "Manifest",
    "check_groups",
    "list_images",
    "read_hidden_labels",
    "read_labelled",
    "read_pool",
]


@dataclass(frozen=True)
class Manifest:
    """The images of one split, in the order that gives each its index.

    Attributes:
        folder: the split's folder, which holds `images/`.
        images: file names inside `images/`; the position of a name is the index of the image.
        groups: what each image belongs to (a board, a sheet), or None where the file has no such column.

    Example:
        >>> manifest = Manifest(Path("data/training"), ("a.png", "b.png"))
        >>> len(manifest), manifest.path(1).as_posix()
        (2, 'data/training/images/b.png')
    """

    folder: Path
    images: tuple[str, ...]
    groups: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def path(self, index: int) -> Path:
        """Give the file of an image.

        Args:
            index: row of the manifest, from 0.

        Returns:
            Path of the image file.
        """
        return self.folder / "images" / self.images[index]

    def fingerprint(self, count: int | None = None) -> str:
        """Hash the first names in their order: equal as long as no index has changed its meaning.

        Args:
            count: how many names, all if None. A pool that has grown since keeps the fingerprint of its old length.

        Returns:
            sha256 as 64 hexadecimal digits.

        Raises:
            DataError: if the manifest has fewer than `count` names.

        Example:
            >>> small = Manifest(Path("pool"), ("a.png",))
            >>> grown = Manifest(Path("pool"), ("a.png", "b.png"))
            >>> grown.fingerprint(1) == small.fingerprint(), grown.fingerprint() == small.fingerprint()
            (True, False)
        """
        if count is not None and not 0 <= count <= len(self.images):
            msg = (
                f"Expected at least {count} images in {self.folder}, as when it was last used, but it lists "
                f"{len(self.images)}. Put the missing rows back in their places."
            )
            raise DataError(msg)
        digest = hashlib.sha256()
        for name in self.images[:count]:
            digest.update(name.encode() + b"\0")
        return digest.hexdigest()


@dataclass(frozen=True)
class LabelledTable:
    """A split with its labels.

    Attributes:
        manifest: the images.
        labels: `(N, C)` uint8, 1 where image n has class c.
        classes: the C class names, in the order of the columns.
    """

    manifest: Manifest
    labels: NDArray[np.uint8]
    classes: tuple[str, ...]


def read_labelled(folder: Path, classes: Sequence[str] | None = None) -> LabelledTable:
    """Read a labelled split and check every row and every file name.

    Args:
        folder: the split's folder, with `images/` and `labels.csv` (UTF-8 with or without byte order mark, comma).
        classes: the classes of the training file; None if this is the training file.

    Returns:
        Images, groups, labels and classes.

    Raises:
        DataError: for a missing folder or file, no rows, wrong columns, a value that is not 0 or 1, a repeated name, a
            listed file that is absent, or a file that is not listed; names the file and the row.
    """
    table = _label_table(folder)
    if not table.classes:
        msg = f"Expected a 0/1 column for each class after `{IMAGE}` in {table.file}, but it has none."
        raise DataError(msg)
    if classes is not None:
        check_classes(table, tuple(classes))
    if not table.rows:
        msg = f"Expected at least one image in {table.file}, but it has a header only."
        raise DataError(msg)
    manifest = _manifest(folder, table)
    _compare_with_folder(manifest, table)
    return LabelledTable(manifest, parse_labels(table), table.classes)


def read_pool(folder: Path) -> Manifest:
    """Read the images of the pool, without reading a label.

    Where `labels.csv` exists (the simulated oracle's), the order of its rows is the order of the indices; of its
    columns only `image` and `group` are looked at. Otherwise the order is kept in `index.csv`, which is written at
    first use from the sorted names in `images/` and only ever appended to: files added later get new indices.

    Args:
        folder: the pool's folder, with `images/`.

    Returns:
        The images; none at all is legal.

    Raises:
        DataError: for a missing folder, wrong columns or names, a listed file that is absent, a file that is not in
            `labels.csv`, an order that contradicts the one used before, or an `index.csv` that cannot be written.
    """
    if (folder / "labels.csv").exists():
        table = _label_table(folder)
        manifest = _manifest(folder, table)
        _compare_with_folder(manifest, table)
        _check_against_index(manifest)
        return manifest
    return _read_index(folder)


def read_hidden_labels(folder: Path, classes: Sequence[str], pool: Manifest) -> NDArray[np.uint8] | None:
    """Read the labels of the pool: for the simulated oracle alone.

    Args:
        folder: the pool's folder.
        classes: the classes of the training file.
        pool: the pool as `read_pool` gave it.

    Returns:
        `(N, C)` uint8 in the order of `pool`, or None where there is no `labels.csv` or it has no class columns.

    Raises:
        DataError: for wrong columns, a value that is not 0 or 1, or rows that are not those of `pool`.
    """
    if not (folder / "labels.csv").exists():
        return None
    table = _label_table(folder)
    if not table.classes:
        return None
    check_classes(table, tuple(classes))
    if _manifest(folder, table).images != pool.images:
        msg = f"Expected {table.file} to list the {len(pool)} images of the pool as before, but its rows have changed."
        raise DataError(msg)
    return parse_labels(table)


def check_groups(splits: Mapping[str, Manifest]) -> None:
    """Make sure that no group (board, sheet) spans two splits.

    Args:
        splits: the name of each split with its images; splits without groups are left out of the comparison.

    Raises:
        DataError: if a group is in two splits; names the group, both splits and an image of each.
    """
    home: dict[str, tuple[str, str]] = {}
    for split, manifest in splits.items():
        for name, group in zip(manifest.images, manifest.groups or (), strict=manifest.groups is not None):
            first, example = home.setdefault(group, (split, name))
            if first != split:
                msg = (
                    f"Expected each group in one split only, but group {group!r} is in {first} ({example}) and in "
                    f"{split} ({name}). Move all images of the group into one split."
                )
                raise DataError(msg)


def list_images(folder: Path) -> list[str]:
    """List the files of `images/` in sorted order; hidden files (a leading dot) are left out.

    Args:
        folder: a split's folder.

    Returns:
        File names.

    Raises:
        DataError: if the folder or its `images/` is missing or not readable, or a name is not UTF-8.
    """
    images = folder / "images"
    if not images.is_dir():
        msg = (
            f"Expected a folder of images at {images}, but it is not there. A data root holds training/, unlabelled/ "
            "and test/, each with images/ and labels.csv: correct --data.root or make one with `dpc_lightning data`."
        )
        raise DataError(msg)
    try:
        names = sorted(entry.name for entry in images.iterdir() if not entry.name.startswith("."))
    except OSError as error:
        msg = f"Expected to read the folder {images}, but: {error.strerror}."
        raise DataError(msg) from error
    for name in names:
        if any("\ud800" <= letter <= "\udfff" for letter in name):
            msg = f"Expected file names in UTF-8 in {images}, but got {name!r}. Rename the file."
            raise DataError(msg)
    return names


def _label_table(folder: Path) -> CsvTable:
    file = folder / "labels.csv"
    if not file.is_file():
        list_images(folder)  # a missing folder is the better message
        msg = f"Expected {file} with the columns `{IMAGE}` and one for each class, but it is not there."
        raise DataError(msg)
    return read_table(file)


def _manifest(folder: Path, table: CsvTable) -> Manifest:
    lines: dict[str, int] = {}
    for (line, _), name in zip(table.rows, table.column(IMAGE), strict=True):
        _check_name(table.file, line, name)
        first = lines.setdefault(name, line)
        if first != line:
            msg = f"Expected each image once, but {name!r} is in lines {first} and {line} of {table.file}. Remove one."
            raise DataError(msg)
    if GROUP not in table.header:
        return Manifest(folder, tuple(lines))
    groups = [cell.strip() for cell in table.column(GROUP)]
    if "" in groups:
        line = table.rows[groups.index("")][0]
        msg = f"Expected a group in line {line} of {table.file}, but the cell is empty. Fill it or remove the column."
        raise DataError(msg)
    return Manifest(folder, tuple(lines), tuple(groups))


def _check_name(file: Path, line: int, name: str) -> None:
    if not name or name in {".", ".."} or any(mark in name for mark in "/\\\0"):
        msg = (
            f"Expected the name of a file in images/ in line {line} of {file}, but got {name!r}. Paths are not allowed."
        )
        raise DataError(msg)


def _compare_with_folder(manifest: Manifest, table: CsvTable) -> None:
    present = list_images(manifest.folder)
    listed, there = set(manifest.images), set(present)
    absent = [(line, name) for (line, _), name in zip(table.rows, manifest.images, strict=True) if name not in there]
    if absent:
        shown = _first(f"{name} (line {line})" for line, name in absent)
        msg = (
            f"Expected every image that {table.file} lists in {manifest.folder / 'images'}, but {len(absent)} are not "
            f"there: {shown}. Put the files back or remove the rows."
        )
        raise DataError(msg)
    extra = [name for name in present if name not in listed]
    if extra:
        msg = (
            f"Expected only images that {table.file} lists in {manifest.folder / 'images'}, but {len(extra)} are not "
            f"listed: {_first(extra)}. Add rows for them or move the files away."
        )
        raise DataError(msg)


def _first(names: Iterable[str], shown: int = 3) -> str:
    listed = list(names)
    return ", ".join(listed[:shown]) + (", …" if len(listed) > shown else "")


def _check_against_index(manifest: Manifest) -> None:
    if not (manifest.folder / "index.csv").exists():
        return
    known = _manifest(manifest.folder, read_table(manifest.folder / "index.csv")).images
    if manifest.images[: len(known)] != known:
        msg = (
            f"Expected {manifest.folder / 'labels.csv'} to begin with the {len(known)} images of index.csv in the same "
            "order, because indices are frozen at first use. Reorder its rows, or delete index.csv if none is bought."
        )
        raise DataError(msg)


def _read_index(folder: Path) -> Manifest:
    present = list_images(folder)
    known = _indexed(folder)
    if (folder / "index.csv").exists() and set(present) <= set(known.images):
        return known
    file = folder / "index.csv"
    try:
        with FileLock(folder / ".index.csv.lock"):
            known = _indexed(folder)
            seen = set(known.images)
            names = (*known.images, *(name for name in list_images(folder) if name not in seen))
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows([(IMAGE,), *((name,) for name in names)])
            write_atomically(file, [text.getvalue().encode()])
    except OSError as error:
        msg = (
            f"Expected to write {file}, which freezes the indices of the pool, but: {error.strerror}. Make {folder} "
            "writable for the first use, or put a labels.csv or index.csv (one column `image`) there yourself."
        )
        raise DataError(msg) from error
    return _indexed(folder)


def _indexed(folder: Path) -> Manifest:
    if not (folder / "index.csv").exists():
        return Manifest(folder, ())
    table = read_table(folder / "index.csv")
    manifest = _manifest(folder, table)
    there = set(list_images(folder))
    absent = [name for name in manifest.images if name not in there]
    if absent:
        msg = (
            f"Expected every image that {table.file} lists, but {len(absent)} are gone: {_first(absent)}. Put the "
            "files back: an index is never given to another image."
        )
        raise DataError(msg)
    return manifest
