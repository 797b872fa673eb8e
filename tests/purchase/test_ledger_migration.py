"""Ledgers of version 1 go on as version 2: all or nothing, row for row."""

import itertools
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase import ledger_migration
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.ledger_chain import GENESIS, answer_text, event_text, link, purchase_text
from tests.purchase.oracles import Scripted, open_ledger, truth

VERSION_1 = """
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL, time REAL NOT NULL, hash TEXT NOT NULL
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
CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of events may change'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of events may go'); END;
CREATE TRIGGER purchases_no_update BEFORE UPDATE ON purchases
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of purchases may change'); END;
CREATE TRIGGER purchases_no_delete BEFORE DELETE ON purchases
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of purchases may go'); END;
CREATE TRIGGER answers_no_update BEFORE UPDATE ON answers
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of answers may change'); END;
CREATE TRIGGER answers_no_delete BEFORE DELETE ON answers
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no row of answers may go'); END;
PRAGMA application_id=1146110769;
PRAGMA user_version=1;
"""
"""The schema as version 1 wrote it. Never to be changed: such files exist."""

CREATED = '{"budget":5,"classes":["dent","dirt","scratch"],"fingerprint":"20 images","pool_size":20}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of version 1 that holds purchases 7 and 2, answered, and 5, not answered."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(VERSION_1)
        head, seq = GENESIS, 1
        head = link(head, event_text(seq, "created", CREATED, 0.5))
        connection.execute("INSERT INTO events VALUES (1, 'created', ?, 0.5, ?)", (CREATED, head))
        for number, image in enumerate((7, 2, 5), start=1):
            seq += 1
            head = link(head, purchase_text(seq, number, 1, image, 0.25, 1.5))
            connection.execute("INSERT INTO purchases VALUES (?,?,1,?,0.25,1.5,?)", (number, seq, image, head))
        for number, labels in ((1, "111"), (2, "010")):
            seq += 1
            head = link(head, answer_text(seq, number, labels, 2.5))
            connection.execute("INSERT INTO answers VALUES (?,?,?,2.5,?)", (number, seq, labels, head))
    return path


def version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        tables = ("events", "purchases", "answers")
        return [row for table in tables for row in connection.execute(f"SELECT * FROM {table}").fetchall()]


def objects(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT name FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        return {name for (name,) in found}


def test_a_ledger_of_version_1_is_read_without_a_change_and_bought_on_as_version_2(path: Path) -> None:
    before, bytes_before = rows(path), path.read_bytes()
    with Ledger.read(path) as view:
        head = view.head
        assert view.verify() == 6
        assert (view.rows, view.left, view.unanswered.tolist()) == (3, 2, [5])
    assert path.read_bytes() == bytes_before
    oracle = Scripted()
    with open_ledger(path, oracle) as ledger:
        assert (ledger.head, ledger.rows) == (head, 3)
        assert rows(path) == before
        assert ledger.buy([9, 5], round=2).tolist() == truth([9, 5]).tolist()
        assert ledger.verify(head) == 9
    assert oracle.asked == [[5], [9]]
    assert version(path) == 2
    open_ledger(path.with_name("new.sqlite")).close()
    assert objects(path) == objects(path.with_name("new.sqlite")), "a migrated ledger has what a new one has"


def test_a_refused_ledger_of_version_1_is_left_as_it_is(path: Path) -> None:
    before = path.read_bytes()
    for wrong in ({"budget": 2}, {"pool_size": 19}):
        with pytest.raises(LedgerError):
            open_ledger(path, **wrong)  # type: ignore[arg-type]  # either is an int
    assert path.read_bytes() == before


@pytest.mark.parametrize("done", range(5))
def test_a_migration_that_fails_half_way_leaves_version_1(
    path: Path, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    before, names = rows(path), objects(path)
    steps = tuple(ledger_migration.STEPS[1])
    assert len(steps) == 4
    with monkeypatch.context() as patch:
        patch.setattr(ledger_migration, "STEPS", {1: (*steps[:done], "SELECT no_such_function()")})
        with pytest.raises(LedgerError, match="no_such_function"):
            open_ledger(path)
    assert (version(path), rows(path), objects(path)) == (1, before, names)
    with open_ledger(path) as ledger:
        assert ledger.buy([5], round=1).tolist() == truth([5]).tolist()
    assert version(path) == 2


KILLED = """
import os, signal, sys
from pathlib import Path
from dpc_lightning.purchase import ledger, ledger_migration
from tests.purchase.oracles import open_ledger
place = sys.argv[2]
def deadly(statements):
    yield from statements
    os.kill(os.getpid(), signal.SIGKILL)
if place == "before the commit":
    ledger_migration.STEPS = {1: deadly(ledger_migration.STEPS[1])}
else:
    ledger.configure = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
open_ledger(Path(sys.argv[1]))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
@pytest.mark.parametrize(("place", "found"), [("before the commit", 1), ("after the commit", 2)])
@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_killed_migration_is_version_1_or_2_and_goes_on(path: Path, place: str, found: int, journal: str) -> None:
    with closing(sqlite3.connect(path)) as connection:  # the journal in which a killed run has left the file
        assert connection.execute(f"PRAGMA journal_mode={journal}").fetchone()[0] == journal
    before = rows(path)
    child = subprocess.run([sys.executable, "-c", KILLED, str(path), place], check=False)
    assert child.returncode == -signal.SIGKILL
    with Ledger.read(path) as view:
        assert view.verify() == 6
        assert view._fetch("PRAGMA user_version") == [(found,)]
        assert len(view._fetch("SELECT 1 FROM sqlite_master WHERE name LIKE '%in_order'")) == (3 if found == 2 else 0)
    with open_ledger(path) as ledger:
        ledger.settle()
        assert ledger.purchases(3).index.tolist() == [7, 2, 5]
    assert version(path) == 2
    assert [row for row in rows(path) if row in before] == before


def test_a_kind_of_event_is_found_without_reading_the_others(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        (plan,) = ledger._fetch("EXPLAIN QUERY PLAN SELECT payload FROM events WHERE kind = ? ORDER BY seq", ("x",))
        assert "USING INDEX events_by_kind (kind=?)" in plan[-1]


@pytest.mark.parametrize(
    ("verb", "table", "columns"),
    [
        ("INSERT OR REPLACE", "purchases", "number, seq, round, image + 9, score, time, hash"),
        ("INSERT OR REPLACE", "purchases", "number + 1, seq, round, image, score, time, hash"),
        ("INSERT", "purchases", "number + 5, seq, round, image + 9, score, time, hash"),
        ("INSERT OR REPLACE", "answers", "number, seq, '000', time, hash"),
        ("INSERT OR REPLACE", "events", "seq, 'other', payload, time, hash"),
    ],
)
def test_another_programs_connection_cannot_replace_a_row(tmp_path: Path, verb: str, table: str, columns: str) -> None:
    with open_ledger(tmp_path / "l.sqlite") as ledger:
        ledger.buy([1], round=1)
    with (
        closing(sqlite3.connect(tmp_path / "l.sqlite")) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(f"{verb} INTO {table} SELECT {columns} FROM {table} LIMIT 1")


def test_every_version_has_a_step_to_the_next() -> None:
    known = ledger_migration.readable_versions()
    assert list(ledger_migration.STEPS) == list(known)[:-1]
    for statement in itertools.chain(*ledger_migration.STEPS.values()):
        assert not any(word in statement.split() for word in ("UPDATE", "DELETE", "DROP")), "a row may never change"
