"""The ledger as a file: schema, opening, journal mode, and the lock that lets one process write."""

import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from dpc_lightning.errors import LedgerError

__all__ = [
    "WriterLock",
    "configure",
    "connect",
    "connect_to_read",
    "create_schema",
    "ledger_errors",
    "network_file_system",
]

logger = logging.getLogger(__name__)

APPLICATION_ID: Final = 0x44504331
SCHEMA_VERSION: Final = 1

_TABLES: Final = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    time REAL NOT NULL,
    hash TEXT NOT NULL
);
CREATE TABLE purchases (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    seq INTEGER NOT NULL,
    round INTEGER NOT NULL CHECK (typeof(round) = 'integer'),
    image INTEGER NOT NULL UNIQUE CHECK (typeof(image) = 'integer' AND image >= 0),
    score REAL,
    time REAL NOT NULL,
    hash TEXT NOT NULL
);
CREATE TABLE answers (
    number INTEGER PRIMARY KEY REFERENCES purchases (number),
    seq INTEGER NOT NULL,
    labels TEXT NOT NULL CHECK (labels NOT GLOB '*[^01]*'),
    time REAL NOT NULL,
    hash TEXT NOT NULL
);
"""

_GUARDS: Final = """
CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of {table} may change'); END;
CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of {table} may go'); END;
"""


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into a `LedgerError` that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        msg = f"Ledger {path}: {str(error).rstrip('.')}. "
        text = str(error)
        if "not a database" in text or "malformed" in text:
            msg += "The file is no ledger, or damaged; it is kept as it is. Restore it from a copy, or move it away."
        else:
            msg += "What was written before is kept. Check free space and permissions of the folder, then start again."
        raise LedgerError(msg) from error


def connect(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open a ledger for writing; nothing is changed in a file that is refused.

    Args:
        path: the file; it may be absent.

    Returns:
        The connection, in autocommit mode, and whether the ledger is new: its tables are then still to be made.

    Raises:
        LedgerError: if the file is foreign, damaged, of another version, or cannot be opened.
    """
    _check_header(path)
    connection = _open(path, "mode=rwc")
    try:
        with ledger_errors(path):
            return connection, _is_empty(connection)
    except LedgerError:
        connection.close()
        raise


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a ledger to read; a writer is not disturbed.

    Raises:
        LedgerError: if there is none, or if it is foreign, damaged or of another version.
    """
    if not path.is_file():
        msg = f"Expected a ledger at {path}, but there is none: give the folder of a run that has started to buy."
        raise LedgerError(msg)
    _check_header(path)
    interrupted = path.with_name(path.name + "-journal").exists()  # a writer died: only who may write can undo its half
    connection = _open(path, "mode=rw" if interrupted else "mode=ro")
    try:
        with ledger_errors(path):
            try:
                empty = _is_empty(connection)
            except sqlite3.OperationalError:
                if path.with_name(path.name + "-wal").exists():
                    raise
                connection.close()  # a folder without write permission cannot hold the index of a write-ahead log
                connection = _open(path, "mode=ro&immutable=1")
                empty = _is_empty(connection)
            connection.execute("PRAGMA query_only=ON")
    except LedgerError:
        connection.close()
        raise
    if empty:
        connection.close()
        msg = f"Ledger {path} is empty: the run was stopped before it had been made. Start the run again."
        raise LedgerError(msg)
    return connection


def configure(connection: sqlite3.Connection, path: Path, *, paid: bool) -> None:
    """Set how writes reach the disk.

    Args:
        connection: a ledger that has been found whole.
        path: its file.
        paid: whether labels cost something: then every purchase reaches the disk before the oracle is asked
            (`synchronous=FULL`); otherwise a power cut may lose the last purchases, never their order or the file.
    """
    with ledger_errors(path):
        _set_journal(connection, path)
        connection.execute("PRAGMA recursive_triggers=ON")  # INSERT OR REPLACE fires the guard against DELETE too
        connection.execute(f"PRAGMA synchronous={'FULL' if paid else 'NORMAL'}")


def create_schema(connection: sqlite3.Connection) -> None:
    """Make tables and guards; the caller has begun a transaction."""
    statements = _TABLES.split(";\n")
    for table in ("events", "purchases", "answers"):
        statements += [f"{part}END" for part in _GUARDS.format(table=table).split("END;") if part.strip()]
    for statement in filter(str.strip, statements):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")


def _open(path: Path, mode: str) -> sqlite3.Connection:
    with ledger_errors(path):
        uri = f"{path.absolute().as_uri()}?{mode}"
        return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10)


def _check_header(path: Path) -> None:
    """Look at the first bytes, before SQLite does: it takes some files that are none of its own for empty ones."""
    try:
        header = _first_bytes(path, 100)
    except OSError as error:
        msg = f"Ledger {path} cannot be read: {error.strerror or error}. Check the permissions of the file."
        raise LedgerError(msg) from error
    application, version = int.from_bytes(header[68:72]), int.from_bytes(header[60:64])
    if not header or path.with_name(path.name + "-journal").exists():
        return  # a start that was killed before its first commit, or a write that SQLite has to undo first
    if not header.startswith(b"SQLite format 3\0"):
        msg = f"{path} is no ledger, or damaged; it is kept as it is. Restore it from a copy, or move it away."
        raise LedgerError(msg)
    if application != APPLICATION_ID:
        msg = f"{path} is an SQLite file, but no ledger of this program; it is kept as it is. Move it away."
        raise LedgerError(msg)
    if version != SCHEMA_VERSION:
        msg = (
            f"Ledger {path} has schema version {version}, but this program reads version {SCHEMA_VERSION}; it is kept "
            "as it is. Go on with the version of dpc_lightning that wrote it (see `versions` in summary.json)."
        )
        raise LedgerError(msg)


def _first_bytes(path: Path, count: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(count)


def _is_empty(connection: sqlite3.Connection) -> bool:
    return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _set_journal(connection: sqlite3.Connection, path: Path) -> None:
    network = network_file_system(path)
    if network is None:
        with suppress(sqlite3.OperationalError):  # no shared memory here: fall back
            if connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal":
                return
    mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    reason = f"{network} is a network file system" if network else "the file system lacks shared memory"
    logger.warning("Ledger %s: no write-ahead log, since %s; journal mode %r instead (slower).", path, reason, mode)


def network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str | None:
    """Name the network file system that a path lies on, or None if it is local or cannot be told.

    A write-ahead log needs memory shared by all processes that have the file open, so all must be on one machine.

    Args:
        path: a file, which need not exist.
        mounts: the kernel's table of mounts; absent on other systems than Linux.
    """
    remote = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "nfs", "nfs4", "smb3"}
    if not mounts.is_file():
        return None
    best, kind, target = Path("/"), "local", path.resolve()
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines():
        _, folder, file_system, *_ = line.split(" ")
        mount = Path(folder.replace("\\040", " "))
        if target.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, file_system
    return kind if kind in remote else None


class WriterLock:
    """Lets one process at a time write a ledger; it goes with the process, however that ends.

    It is a write transaction held open in a small SQLite file beside the ledger. SQLite's locks belong to the process:
    unlike those of `flock`, a worker forked off by a data loader does not inherit them and so cannot keep the ledger
    of a killed run locked.

    Args:
        path: the ledger.

    Raises:
        LedgerError: at once, if another process (or another `Ledger` of this one) writes it; names the holder.
    """

    def __init__(self, path: Path) -> None:
        lock = path.with_name(path.name + ".lock")
        with ledger_errors(lock):
            self._connection = sqlite3.connect(lock, isolation_level=None, timeout=0)
        try:
            with ledger_errors(lock):
                self._take(path)
        except LedgerError:
            self._connection.close()
            raise

    def _take(self, path: Path) -> None:
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("PRAGMA busy_timeout=5000")  # someone who was refused may be reading our name
            connection.execute("CREATE TABLE IF NOT EXISTS holder (name TEXT)")
            connection.execute("DELETE FROM holder")
            connection.execute("INSERT INTO holder VALUES (?)", (f"process {os.getpid()} on {socket.gethostname()}",))
            connection.execute("COMMIT")
            connection.execute("PRAGMA busy_timeout=0")
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            holder = "another process"
            with suppress(sqlite3.Error):
                holder = (connection.execute("SELECT name FROM holder").fetchone() or [holder])[0]
            msg = f"Ledger {path} is being written by {holder}: one run folder, one run. Wait for it to end."
            raise LedgerError(msg) from error

    def release(self) -> None:
        """Let others write."""
        self._connection.close()
