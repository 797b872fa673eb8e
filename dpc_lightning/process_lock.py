"""A lock that belongs to one process, goes with it however it ends, and names who holds it."""

import os
import random
import socket
import sqlite3
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from dpc_lightning.errors import DpcError

__all__ = ["ProcessLock"]

_SOMEBODY: Final = "another process"
_LONGEST_PAUSE: Final = 0.02


class ProcessLock:
    """Held from the moment it is made until `release`, or until the process ends.

    It is a write transaction held open in a small SQLite file. SQLite's locks belong to the process: unlike those of
    `flock`, a worker forked off by a data loader does not inherit them, and so cannot keep locked what a killed run
    had locked. They work between machines where the network file system passes locks on.

    The file stays when the lock goes. No program may open and close it otherwise in the process that holds the lock:
    POSIX drops a process's locks when it closes any handle of the file.

    Args:
        file: the lock's file; made if it is absent, in a folder that exists.
        name: what is locked, for messages: "Run folder runs/1".
        way_out: what the refused one can do, a sentence.
        error: what is raised.
        wait_seconds: how long to wait for another holder to release it, asking again after pauses of 20 ms at most. The
            process that held it last lets those that wait go first.

    Raises:
        DpcError: of the class `error`, if another process (or another lock of this one) holds it, with the process
            number, host and since when; or if the file cannot be written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from dpc_lightning.errors import RunDirError
        >>> with TemporaryDirectory() as folder:
        ...     file, words = Path(folder) / ".lock", {"name": "The door", "way_out": "Wait.", "error": RunDirError}
        ...     first = ProcessLock(file, **words)
        ...     try:
        ...         ProcessLock(file, **words)
        ...     except RunDirError as error:
        ...         print(str(error).replace(str(os.getpid()), "17").partition(" on ")[0])
        ...     first.release()
        ...     ProcessLock(file, **words).release()
        The door is in use by process 17
    """

    def __init__(
        self, file: Path, *, name: str, way_out: str, error: type[DpcError], wait_seconds: float = 0.0
    ) -> None:
        self._file = file
        try:
            self._connection = sqlite3.connect(file, isolation_level=None, timeout=0)
            try:
                if wait_seconds and self._holder().startswith(_this_process()):
                    time.sleep(1.5 * _LONGEST_PAUSE)  # we had it last: whoever waits comes first
                refused_by = self._take(time.monotonic() + wait_seconds)
            except BaseException:
                self._connection.close()
                raise
        except sqlite3.Error as failure:
            msg = f"{name} cannot be locked by {file}: {str(failure).rstrip('.')}. {_mend(str(failure))}"
            raise error(msg) from failure
        if refused_by is not None:
            self._connection.close()
            waited = f" This process waited {wait_seconds:g} s." if wait_seconds else ""
            msg = f"{name} is in use by {refused_by}.{waited} {way_out}"
            raise error(msg)

    def _take(self, deadline: float) -> str | None:
        """Take the lock and give None, or name who holds it."""
        pause, chance = 0.002, random.SystemRandom()  # so that waiting processes do not march in step
        while True:
            try:
                self._begin()
            except sqlite3.OperationalError as failure:
                if "locked" not in str(failure):
                    raise
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            else:
                return None
            left = deadline - time.monotonic()
            if left <= 0:
                return self._holder()
            time.sleep(min(left, pause * chance.uniform(0.5, 1)))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _begin(self) -> None:
        connection = self._connection
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("PRAGMA busy_timeout=5000")  # someone who was refused may be reading the holder's name
        since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
        connection.execute("CREATE TABLE IF NOT EXISTS holder (name TEXT)")
        connection.execute("DELETE FROM holder")
        connection.execute("INSERT INTO holder VALUES (?)", (f"{_this_process()} since {since}",))
        connection.execute("COMMIT")
        connection.execute("PRAGMA busy_timeout=0")
        connection.execute("BEGIN IMMEDIATE")

    def _holder(self) -> str:
        with suppress(sqlite3.Error):
            found = self._connection.execute("SELECT name FROM holder").fetchone()
            return str(found[0]) if found else _SOMEBODY
        return _SOMEBODY

    def release(self) -> None:
        """Let others take it; a second call does nothing."""
        self._connection.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self._file)!r})"


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _mend(failure: str) -> str:
    if any(sign in failure for sign in ("not a database", "malformed", "table holder", "no such column")):
        return "The file is no lock of this program, or damaged: remove it when no process runs there."
    return "Check free space and permissions of the folder, then start again."
