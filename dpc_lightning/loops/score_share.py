"""What a rank writes of the scores of a large pool, and how it says how far it is."""

import json
import os
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.atomic import write_atomically
from dpc_lightning.loops.score_facts import DTYPE
from dpc_lightning.loops.score_files import ScoreFiles

__all__ = ["ScoreShare"]

MARK_EVERY = 5.0
"""Seconds from one marker to the next: what a kill loses at most."""


class ScoreShare:
    """What a rank writes: rows into the tables, and now and then a marker. A context, which marks and closes.

    Args:
        files: the files.
        rank: the rank.
        synchronous: write through at once. Several nodes need it: the client of a network file system may else write
            whole pages back, and with them old rows of another node.

    Attributes:
        done: batches of this rank that are written, those of an earlier start included.
        earlier: those of an earlier start.

    Raises:
        RunDirError: if they cannot be opened or marked.
    """

    def __init__(self, files: ScoreFiles, rank: int, *, synchronous: bool = False) -> None:
        self.files = files
        self.rank = rank
        self.earlier = self.done = files.done(rank) or 0
        self._offsets: dict[str, int] = {}
        self._handles: dict[str, int] = {}
        self._open = ExitStack()
        flags = os.O_WRONLY | (os.O_DSYNC if synchronous else 0)
        try:
            for name in files.facts.columns:
                self._offsets[name] = files.offset(name)
                self._handles[name] = os.open(files.table(name), flags)
                self._open.callback(os.close, self._handles[name])
            self.mark()
        except OSError as error:
            self._open.close()
            raise files.failed(error) from error

    @property
    def complete(self) -> bool:
        """Whether all batches of this rank are written."""
        return self.done == self.files.facts.share(self.rank)

    def images(self, batches: int) -> int:
        """Count the images of the first batches of this rank."""
        bounds = (self.files.facts.rows(self.rank, number) for number in range(batches))
        return sum(stop - start for start, stop in bounds)

    def put(self, positions: NDArray[np.int64], **tables: NDArray[np.float32]) -> None:
        """Write the next batch.

        Args:
            positions: `(B,)` rows of the batch.
            **tables: `(B, columns)` float32 of each table.

        Raises:
            RuntimeError: if they are not the rows of this rank's next batch, which is a defect of the loader.
            RunDirError: if they cannot be written.
        """
        facts = self.files.facts
        start, stop = facts.rows(self.rank, self.done)
        if start == stop or not np.array_equal(positions, np.arange(start, stop)):
            msg = (
                f"Expected each of {facts.images} images to be scored once over all ranks: rows {start} to {stop} by "
                f"rank {self.rank}, but got {positions!r:.80}; the shares of the loader are wrong."
            )
            raise RuntimeError(msg)
        try:
            for name, columns in facts.columns.items():
                row = columns * DTYPE.itemsize
                _write(self._handles[name], np.ascontiguousarray(tables[name]), self._offsets[name] + start * row)
            self.done += 1
            if time.monotonic() - self._marked >= MARK_EVERY:
                self.mark()
        except OSError as error:
            raise self.files.failed(error) from error

    def mark(self) -> None:
        """Bring the rows to the disk, and then say how many there are.

        Raises:
            OSError: if that fails.
        """
        for handle in self._handles.values():
            os.fsync(handle)
        content = {"attempt": self.files.attempt, "batches": self.done}
        write_atomically(self.files.marker(self.rank), [json.dumps(content).encode()])
        self._marked = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._open:
            try:
                self.mark()
            except OSError as fault:
                if error is None:
                    raise self.files.failed(fault) from fault


def _write(handle: int, rows: NDArray[np.float32], place: int) -> None:
    left = rows.data.cast("B")
    while left:
        written = os.pwrite(handle, left, place)
        left, place = left[written:], place + written
