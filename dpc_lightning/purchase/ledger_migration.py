"""The ledger's tables as version 1 had them, and the steps from each version to the next."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Final

__all__ = ["APPLICATION_ID", "STEPS", "create_schema", "migrate", "readable_versions", "schema_version"]

APPLICATION_ID: Final = 0x44504331
"""What marks an SQLite file as a ledger of this program."""

_TABLES: Final = (
    """CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    time REAL NOT NULL,
    hash TEXT NOT NULL
)""",
    """CREATE TABLE purchases (
    number INTEGER PRIMARY KEY CHECK (number >= 1),
    seq INTEGER NOT NULL,
    round INTEGER NOT NULL CHECK (typeof(round) = 'integer'),
    image INTEGER NOT NULL UNIQUE CHECK (typeof(image) = 'integer' AND image >= 0),
    score REAL,
    time REAL NOT NULL,
    hash TEXT NOT NULL
)""",
    """CREATE TABLE answers (
    number INTEGER PRIMARY KEY REFERENCES purchases (number),
    seq INTEGER NOT NULL,
    labels TEXT NOT NULL CHECK (labels NOT GLOB '*[^01]*'),
    time REAL NOT NULL,
    hash TEXT NOT NULL
)""",
)

_GUARDS: Final = (
    """CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of {table} may change'); END""",
    """CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of {table} may go'); END""",
)

STEPS: Final[Mapping[int, Iterable[str]]] = {
    1: (
        # looking up the events of a kind reads these alone, however many others there are
        "CREATE INDEX events_by_kind ON events (kind, seq)",
        # INSERT OR REPLACE deletes without firing the guards against DELETE, except in connections that ask for it
        """CREATE TRIGGER events_in_order BEFORE INSERT ON events
WHEN NEW.seq <= (SELECT coalesce(max(seq), 0) FROM events)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: an event comes after those before it'); END""",
        """CREATE TRIGGER purchases_in_order BEFORE INSERT ON purchases
WHEN NEW.number IS NOT 1 + (SELECT coalesce(max(number), 0) FROM purchases)
    OR EXISTS (SELECT 1 FROM purchases WHERE image = NEW.image)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: purchases are numbered on, each image bought once'); END""",
        """CREATE TRIGGER answers_in_order BEFORE INSERT ON answers
WHEN NEW.number IS NOT 1 + (SELECT coalesce(max(number), 0) FROM answers)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: purchases are answered in their order, each once'); END""",
    ),
}
"""What turns a version into the next one, statement by statement. They add indices, triggers, tables or columns with a
default, and never change a row: the hashes and the head stay. The next version is one more entry."""


def readable_versions() -> range:
    """Give the schema versions that this program reads; it writes the last."""
    return range(1, max(STEPS) + 2)


def schema_version(connection: sqlite3.Connection) -> int:
    """Read the version of a ledger as last committed: the file's header may be behind its write-ahead log."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the tables and guards of the newest version; the caller has begun a transaction."""
    for statement in _TABLES:
        connection.execute(statement)
    for table in ("events", "purchases", "answers"):
        for guard in _GUARDS:
            connection.execute(guard.format(table=table))
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute("PRAGMA user_version=1")
    migrate(connection)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a ledger to the newest version; the caller has begun a transaction, so it is all or nothing."""
    while schema_version(connection) in STEPS:
        version = schema_version(connection)
        for statement in STEPS[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version={version + 1}")
