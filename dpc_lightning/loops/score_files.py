"""Scores of a large pool in files: written in place by all ranks, gone on with after a kill, mapped by rank 0."""

import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib.format import dtype_to_descr, open_memmap, write_array_header_1_0
from numpy.typing import NDArray

from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import RunDirError
from dpc_lightning.loops.score_facts import DTYPE, ScoreFacts

__all__ = ["ScoreFiles"]

SEEN_WITHIN = 90.0
"""Seconds after which a file that another node has written must be seen; network file systems remember for a minute
that there was none."""
NO_FALLOCATE = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
"""What is said by a file system that cannot make room beforehand."""


@dataclass(frozen=True)
class ScoreFiles:
    """One `.npy` file a table with rows in the order of the pool, a header, and a marker of each rank.

    Attributes:
        folder: where the files lie.
        facts: what they hold.
        attempt: a word that tells the markers of this attempt from those of an earlier one.
    """

    folder: Path
    facts: ScoreFacts
    attempt: str

    @classmethod
    def prepare(cls, folder: Path, facts: ScoreFacts) -> Self:
        """Take up what an earlier start has left, if it is of the same; else remove it and make files anew.

        The room that they take is claimed now, so that a full disk is noticed before anything is scored.

        Args:
            folder: the folder of the round; others beside it are removed.
            facts: what is to be scored.

        Raises:
            RunDirError: if there is no room, or the folder cannot be written into.
        """
        header = _read(folder / "header.json")
        files = cls(folder, facts, str(header.get("attempt", "")))
        if files.attempt and header == files._header and all(map(files._fits, facts.columns)):
            return files
        files = cls(folder, facts, secrets.token_hex(8))
        try:
            shutil.rmtree(folder.parent, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            for name in facts.columns:
                files._make(name)
            write_atomically(files._header_file, [json.dumps(files._header).encode()])
        except OSError as error:
            shutil.rmtree(folder.parent, ignore_errors=True)
            raise files.failed(error) from error
        return files

    def require_seen(self, rank: int) -> None:
        """Look whether a rank sees what rank 0 has made.

        Args:
            rank: the rank that looks.

        Raises:
            RunDirError: if it does not.
        """
        if not _until(lambda: _read(self._header_file).get("attempt") == self.attempt):
            raise _not_shared(self.folder, f"rank {rank} does not see the files that rank 0 has made there")

    def require_markers(self) -> None:
        """Look whether the markers of all ranks are seen.

        Raises:
            RunDirError: if one is not.
        """
        for rank in range(self.facts.world):
            if not _until(partial(self._marked, rank)):
                raise _not_shared(self.folder, f"rank 0 does not see what rank {rank} has written there")

    def done(self, rank: int) -> int | None:
        """Say how many batches of a rank are on the disk; None if it has left no marker of this attempt."""
        marker = _read(self.marker(rank))
        batches = marker.get("batches")
        fits = isinstance(batches, int) and 0 <= batches <= self.facts.share(rank)
        return batches if fits and marker.get("attempt") == self.attempt else None

    def marker(self, rank: int) -> Path:
        """Name the file in which a rank says how far it is."""
        return self.folder / f"rank_{rank}.json"

    def table(self, name: str) -> Path:
        """Name the file of a table."""
        return self.folder / f"{name}.npy"

    def read(self, name: str) -> NDArray[np.float32]:
        """Map a table.

        Args:
            name: `logits` or `embeddings`.

        Returns:
            `(images, columns)` float32, read-only; without columns if it was not scored.
        """
        if name not in self.facts.columns:
            return np.zeros((self.facts.images, 0), DTYPE)
        return open_memmap(self.table(name), mode="r").view(np.ndarray)

    def offset(self, name: str) -> int:
        """Say at which byte the rows of a table begin.

        Raises:
            OSError: if its file cannot be read.
        """
        return int(open_memmap(self.table(name), mode="r").offset)

    def failed(self, error: OSError) -> RunDirError:
        """Say what to do where the files cannot be written.

        Args:
            error: what the system says.
        """
        return RunDirError(
            f"Cannot write {self.facts.bytes / 2**30:.2f} GiB of scores into {self.folder}: {error.strerror or error}. "
            "Make room there, give another `--run_dir`, or let the rule look at fewer images (`Subsample`), then start "
            "again."
        )

    def _marked(self, rank: int) -> bool:
        return self.done(rank) is not None

    @property
    def _header_file(self) -> Path:
        return self.folder / "header.json"

    @property
    def _header(self) -> dict[str, Any]:
        return {"attempt": self.attempt, **asdict(self.facts)}

    def _start(self, name: str) -> bytes:
        stream = BytesIO()
        shape = (self.facts.images, self.facts.columns[name])
        write_array_header_1_0(stream, {"descr": dtype_to_descr(DTYPE), "fortran_order": False, "shape": shape})
        return stream.getvalue()

    def _size(self, name: str) -> int:
        return len(self._start(name)) + self.facts.images * self.facts.columns[name] * DTYPE.itemsize

    def _fits(self, name: str) -> bool:
        file = self.table(name)
        return file.is_file() and file.stat().st_size == self._size(name)

    def _make(self, name: str) -> None:
        with self.table(name).open("xb") as stream:
            stream.write(self._start(name))
            stream.flush()
            _claim(stream.fileno(), self._size(name))
            os.fsync(stream.fileno())


def _read(file: Path) -> dict[str, Any]:
    """Read a header or a marker; one that is missing or damaged is as good as none."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _claim(handle: int, size: int) -> None:
    """Give a file its size, and room on the disk where the system can; else a full disk shows when it is written."""
    try:
        if hasattr(os, "posix_fallocate"):  # macOS has none
            os.posix_fallocate(handle, 0, size)
    except OSError as error:
        if error.errno not in NO_FALLOCATE:
            raise
    os.truncate(handle, size)


def _until(seen: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SEEN_WITHIN
    while not seen():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _not_shared(folder: Path, what: str) -> RunDirError:
    return RunDirError(
        f"The scores of a large pool are written by all ranks into {folder}, but {what}. Give a `--run_dir` on a file "
        "system that all nodes share, or let the rule look at fewer images (`Subsample`): up to 1 GiB of scores needs "
        "no files."
    )
