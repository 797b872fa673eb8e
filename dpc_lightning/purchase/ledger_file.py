"""The ledger as a file: what is refused, opening, and how writes reach the disk."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase.ledger_migration import APPLICATION_ID, readable_versions, schema_version

__all__ = [
    "LedgerConnection",
    "configure",
    "connect",
    "connect_to_read",
    "ledger_errors",
    "network_file_system",
]

logger = logging.getLogger(__name__)

_OPEN: "WeakSet[LedgerConnection]" = WeakSet()


class LedgerConnection(sqlite3.Connection):
    """A connection that knows its file while it is open.

    POSIX drops all locks that a process has on a file when the process closes any handle of it. SQLite looks after its
    own handles; ours must not open a file that one of these connections has open.
    """

    identity: tuple[int, int] | None = None
    """What the file system calls the file; None if it was gone as soon as it was opened."""

    def is_at(self, path: Path) -> bool:
        """Say whether a path still leads to the open file: it was not moved, deleted or replaced."""
        return _identity(path) == self.identity

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        super().close()
        _OPEN.discard(self)


@contextmanager
def ledger_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into a `LedgerError` that says what to do."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as error:  # what SQLite says of a damaged file may be no text
        text = str(error)
        msg = f"Ledger {path}: {text.rstrip('.')}. "
        if isinstance(error, UnicodeDecodeError) or any(
            sign in text for sign in ("not a database", "malformed", "no such table", "no such column")
        ):
            msg += "The file is no ledger, or damaged; it is kept as it is. Restore it from a copy, or move it away."
        elif "locked" in text:
            msg += "Another program has the file open, perhaps an SQLite browser: close it, then start again."
        else:
            msg += "What was written before is kept. Check free space and permissions of the folder, then start again."
        raise LedgerError(msg) from error


def connect(path: Path) -> tuple[LedgerConnection, bool]:
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
            return connection, _is_empty(connection, path)
    except LedgerError:
        connection.close()
        raise


def connect_to_read(path: Path) -> LedgerConnection:
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
                empty = _is_empty(connection, path)
            except sqlite3.OperationalError:
                if path.with_name(path.name + "-wal").exists():
                    raise
                connection.close()  # a folder without write permission cannot hold the index of a write-ahead log
                connection = _open(path, "mode=ro&immutable=1")
                empty = _is_empty(connection, path)
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
        if not paid:
            connection.execute("PRAGMA wal_autocheckpoint=10000")  # pages: fewer waits for the disk, 40 MB at most


def _open(path: Path, mode: str) -> LedgerConnection:
    with ledger_errors(path):
        uri = f"{path.absolute().as_uri()}?{mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=10, factory=LedgerConnection)
    connection.identity = _identity(path)
    _OPEN.add(connection)
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _check_header(path: Path) -> None:
    """Look at the first bytes, before SQLite does: it takes some files that are none of its own for empty ones."""
    if _identity(path) in {connection.identity for connection in _OPEN}:
        return  # looked at when this process opened it
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
    _check_kind(path, application, version)


def _check_kind(path: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        msg = f"{path} is an SQLite file, but no ledger of this program; it is kept as it is. Move it away."
        raise LedgerError(msg)
    known = readable_versions()
    if version not in known:
        msg = (
            f"Ledger {path} has schema version {version}, but this program reads versions {known[0]} to {known[-1]}; "
            "it is kept as it is. Go on with the version of dpc_lightning that wrote it (see `versions` in "
            "summary.json)."
        )
        raise LedgerError(msg)


def _first_bytes(path: Path, count: int) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(count)


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return True
    # a write-ahead log, or a journal that SQLite has just undone, may say other things than the file's first bytes
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    _check_kind(path, application, schema_version(connection))
    return False


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
