"""All images of a split, decoded once into one memory-mapped file: an epoch is then read at the speed of memory."""

import errno
import glob
import hashlib
import json
import logging
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Self

import numpy as np
from filelock import FileLock
from numpy.lib.format import write_array_header_1_0
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from dpc_lightning.atomic import write_atomically
from dpc_lightning.data.decoding import Pixels, fit_square, read_image
from dpc_lightning.data.manifest import Manifest
from dpc_lightning.errors import DataError

__all__ = ["ImageStore"]

VERSION = 1
"""Of the decoding: a larger number makes every store be built anew."""

_log = logging.getLogger(__name__)


class ImageStore:
    """Decoded images of one split, in the order of its manifest.

    The file is complete or absent. It is found by a key made of names, sizes and times of change of all files, so that
    any change of a file, of the list or of the size builds a new one. Several processes may ask at once: one builds,
    the others wait. A store can be sent to another process; only its path travels.

    Args:
        file: an `.npy` file that `open_or_build` has written.

    Attributes:
        file: the `.npy` file.
        array: `(N, size, size, 3)` uint8, RGB, memory-mapped and read-only.

    Raises:
        DataError: if the file is not a complete store.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        try:
            array: NDArray[np.uint8] = np.load(file, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            msg = f"Expected an image store in {file}, but it cannot be read: {error}. Delete it; it is built anew."
            raise DataError(msg) from error
        if array.dtype != np.uint8 or array.ndim != 4:
            msg = f"Expected (N, H, W, 3) uint8 in the store {file}, but got {array.shape} {array.dtype}. Delete it."
            raise DataError(msg)
        self.array: NDArray[np.uint8] = array.view(np.ndarray)

    def __len__(self) -> int:
        return len(self.array)

    def __reduce__(self) -> tuple[type[Self], tuple[Path]]:
        return type(self), (self.file,)

    @classmethod
    def open_or_build(
        cls, manifest: Manifest, size: int, cache_dir: Path, *, workers: int | None = None, progress: bool = True
    ) -> Self:
        """Open the store of a split, after decoding its images if that has not been done.

        Args:
            manifest: the images.
            size: side in pixels; images are resized to this square, without keeping the aspect ratio.
            cache_dir: folder of the stores; made if it is missing.
            workers: threads that decode; None takes one a CPU core.
            progress: whether to show a bar on the terminal's error stream.

        Returns:
            The store.

        Raises:
            DataError: for an image that cannot be read (names file and row), or a cache folder that cannot be written
                or is full; nothing is left behind then.
        """
        if size < 1:
            msg = f"Expected `data.image_size` to be at least 1 pixel, but got {size}."
            raise DataError(msg)
        stem = _stem(manifest, size, cache_dir)
        file = cache_dir / f"{stem}-{_key(manifest, size)}.npy"
        with suppress(DataError):
            return cls(file)
        try:
            cache_dir.mkdir(parents=True, exist_ok=True)
            with FileLock(cache_dir / f".{stem}.lock"):
                with suppress(DataError):
                    return cls(file)
                _remove_old(cache_dir, stem)
                write_atomically(file, _parts(manifest, size, workers, progress=progress))
                return cls(file)
        except OSError as error:
            raise _cannot_write(cache_dir, len(manifest), size, error) from error


def _cannot_write(cache_dir: Path, count: int, size: int, error: OSError) -> DataError:
    needed = count * size * size * 3 / 1e6
    full = error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    way_out = "Free some space" if full else "Make the folder writable"
    return DataError(
        f"Expected to write decoded images ({needed:.1f} MB) to {cache_dir}, but: {error.strerror or error}. "
        f"{way_out} or name another folder by --data.cache_dir."
    )


def _stem(manifest: Manifest, size: int, cache_dir: Path) -> str:
    """Name that all stores of this split and size share; it does not change when the whole root is moved."""
    place = os.path.relpath(manifest.folder.resolve(), cache_dir.resolve())
    return f"{manifest.folder.name}-{size}px-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


def _key(manifest: Manifest, size: int) -> str:
    facts: list[tuple[str, int, int]] = []
    for index, name in enumerate(manifest.images):
        try:
            stat = manifest.path(index).stat()
        except OSError as error:
            msg = (
                f"Expected {manifest.path(index)} (image {index} of its split), but: {error.strerror}. Put the file "
                "back or remove its row."
            )
            raise DataError(msg) from error
        facts.append((name, stat.st_size, stat.st_mtime_ns))
    return hashlib.sha256(json.dumps([VERSION, size, facts]).encode()).hexdigest()[:16]


def _remove_old(cache_dir: Path, stem: str) -> None:
    """Remove the stores of an earlier state of this split, and what a killed process has left of one."""
    name = glob.escape(stem)
    for old in (*cache_dir.glob(f"{name}-*.npy"), *cache_dir.glob(f".{name}-*.part")):
        old.unlink(missing_ok=True)


def _parts(manifest: Manifest, size: int, workers: int | None, *, progress: bool) -> Iterator[bytes]:
    """Yield the content of the `.npy` file: its header, then the images in order."""
    yield _header((len(manifest), size, size, 3))
    console = Console(stderr=True)
    shown = progress and console.is_terminal
    _log.info("Decoding %d images of %s to %d x %d pixels", len(manifest), manifest.folder, size, size)
    threads = workers or os.cpu_count() or 1
    block = 64 * threads  # bounds the decoded images that wait to be written
    with ThreadPoolExecutor(threads) as pool, Progress(console=console, disable=not shown) as bar:
        task = bar.add_task(f"decoding {manifest.folder.name}", total=len(manifest))
        for start in range(0, len(manifest), block):
            rows = range(start, min(start + block, len(manifest)))
            for pixels in pool.map(lambda index: _decode(manifest, index, size), rows):
                yield pixels.tobytes()
                bar.advance(task)


def _header(shape: tuple[int, ...]) -> bytes:
    stream = BytesIO()
    write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return stream.getvalue()


def _decode(manifest: Manifest, index: int, size: int) -> Pixels:
    try:
        return fit_square(read_image(manifest.path(index), at_least=2 * size), size)
    except DataError as error:
        msg = f"Image {index} of {manifest.folder} (row {index + 1} below the header): {error}"
        raise DataError(msg) from error
