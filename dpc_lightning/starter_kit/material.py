"""What an entry is handed: its own files, the images, the labels of the training images. No other label is in there."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from dpc_lightning.data.data_root import DataRoot
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.errors import EntryError

__all__ = ["CodeFile", "hand_out", "list_code", "make_own"]

IGNORED: Final = {"__pycache__", ".git", ".venv", ".ipynb_checkpoints"}

OF_A_HOST: Final = {"labels.csv", "ledger.sqlite", "purchases.csv", "entry.json", "sheets.json"}
"""Files that hold labels, or lead to them."""

MOST_FILES: Final = 1_000
DEEPEST: Final = 20

ROWS: Final = 512
"""Images that are disguised at once."""


@dataclass(frozen=True)
class CodeFile:
    """A file that an entry brings.

    Attributes:
        name: its path within the entry's folder.
        size: in bytes.
        sha256: of its content.
    """

    name: str
    size: int
    sha256: str


def list_code(entry: Path, most_mb: float) -> tuple[CodeFile, ...]:
    """List the files that an entry brings: all in the folder of its file.

    Args:
        entry: the file with the class.
        most_mb: how much they may be in all, in MB; the competition forbids to bring trained weights, and weights are
            large.

    Returns:
        The files, by name.

    Raises:
        EntryError: if the file is missing, if they are more than is allowed (names the largest), or if one is no plain
            file.
    """
    if not entry.is_file():
        msg = f"Expected an entry's file, for example `path/to/run.py`, but there is no {entry}."
        raise EntryError(msg)
    found: list[CodeFile] = []
    total = 0
    for path in _files(entry.parent, DEEPEST):
        name = str(path.relative_to(entry.parent))
        if not name.isprintable():
            msg = f"Expected names of printable characters beside {entry.name}, but got {name!r}."
            raise EntryError(msg)
        if path.name in OF_A_HOST:
            msg = (
                f"{name} beside {entry.name} is of a host's own data or run: keep the entry in a folder of its own, "
                "apart from data and run folders."
            )
            raise EntryError(msg)
        if len(found) == MOST_FILES:
            msg = f"Expected at most {MOST_FILES} files beside {entry.name}: keep the entry in a folder of its own."
            raise EntryError(msg)
        if path.is_symlink() or not path.is_file():
            msg = f"Expected plain files beside {entry.name}, but {name} is a link or a device. Copy what it points to."
            raise EntryError(msg)
        size = path.stat().st_size
        total += size
        if total > most_mb * 1e6:
            largest = max([*found, CodeFile(name, size, "")], key=lambda each: each.size)
            msg = (
                f"The files beside {entry.name} are more than the {most_mb:g} MB that an entry may bring (the largest "
                f"so far: {largest.name}, {largest.size / 1e6:.1f} MB). Own weights are not allowed; "
                "keep the entry in a folder of its own, or allow more by --code_mb."
            )
            raise EntryError(msg)
        found.append(CodeFile(name, size, hashlib.sha256(path.read_bytes()).hexdigest()))
    return tuple(sorted(found, key=lambda each: each.name))


def hand_out(entry: Path, code: tuple[CodeFile, ...], data: DataRoot, folder: Path, noise: int | None) -> None:
    """Fill the folder that an entry's process reads.

    Args:
        entry: the file with the class.
        code: its files.
        data: the data.
        folder: an empty folder outside of every run and data folder.
        noise: secret seed of a disguise by which one in eight values of every image of the pool is off by one; None
            hands out the images as they are.
    """
    for each in code:
        target = folder / "code" / each.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(entry.parent / each.name, target)
    labelled = data.labelled
    pixels = np.stack([labelled.pixels(place) for place in range(len(labelled))])
    np.save(folder / "training.npy", pixels)
    np.save(folder / "training_labels.npy", labelled.labels)
    store = data.pool_store
    if noise is not None:
        _disguise(store, folder / "pool.npy", noise)
    elif not _linked(store.file, folder / "pool.npy"):
        shutil.copyfile(store.file, folder / "pool.npy")
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() or path.stat().st_nlink == 1:
            path.chmod(0o755 if path.is_dir() else 0o644)


def make_own(file: Path) -> None:
    """Put a copy in the place of a file that is shared with another name, where it could be harmed through this one."""
    if file.stat().st_nlink > 1:
        draft = file.with_suffix(".part")
        shutil.copyfile(file, draft)
        draft.replace(file)
        file.chmod(0o644)


def _files(folder: Path, deepest: int) -> Iterator[Path]:
    if not deepest:
        msg = f"Expected at most {DEEPEST} folders within each other, but {str(folder)[-100:]!r} goes on."
        raise EntryError(msg)
    for path in sorted(folder.iterdir()):
        if path.name in IGNORED or path.suffix == ".pyc":
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path, deepest - 1)
        else:
            yield path


def _linked(source: Path, target: Path) -> bool:
    """Share a file where the file system can and others may read it; its name does not travel."""
    if not source.stat().st_mode & 0o004:
        return False
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


def _disguise(store: ImageStore, target: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = np.lib.format.open_memmap(target, mode="w+", dtype=np.uint8, shape=store.array.shape)
    for start in range(0, len(store), ROWS):
        pixels = store.array[start : start + ROWS]
        drawn = rng.integers(0, 16, pixels.shape, dtype=np.uint8)
        step = (drawn == 0).astype(np.int16) - (drawn == 1)
        images[start : start + ROWS] = np.clip(pixels + step, 0, 255).astype(np.uint8)
    images.flush()
