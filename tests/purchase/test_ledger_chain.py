"""Whatever is changed, moved or removed behind the program's back is found and named."""

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.acquisition import Selection
from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase import ledger as ledger_module
from dpc_lightning.purchase.ledger import Ledger
from tests.purchase.oracles import open_ledger, truth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Rows: 1 created, 2 picks, 3-5 purchases, 6-8 answers, 9 an event, 10-11 purchases, 12-13 answers."""
    path = tmp_path / "ledger.sqlite"
    with open_ledger(path, budget=9) as ledger:
        ledger.record_picks(1, Selection(np.array([7, 1, 4]), np.array([1, 2, 3], dtype=np.float32)))
        ledger.buy([7, 1, 4], round=1, scores=[1, 2, 3])
        ledger.record_event("stop", {"step": 17})
        ledger.buy([6, 0], round=2)
    return path


def tamper(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("table", ["events", "purchases", "answers"])
@pytest.mark.parametrize("statement", ["DELETE FROM {}", "UPDATE {} SET time = 0"])
def test_triggers_refuse_changes(path: Path, table: str, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement.format(table))


@pytest.mark.parametrize("table", ["events", "purchases", "answers"])
def test_our_own_connection_cannot_replace_a_row(path: Path, table: str) -> None:
    with open_ledger(path, budget=9) as ledger, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        ledger._connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE purchases SET image = 3 WHERE number = 2", r"row 4 \(purchase 2, image 3\) was changed"),
        ("UPDATE purchases SET round = 3 WHERE number = 5", r"row 11 \(purchase 5, image 0\) was changed"),
        ("UPDATE purchases SET score = 2.0000000000000004 WHERE number = 2", "row 4"),
        ("UPDATE purchases SET score = NULL WHERE number = 2", "row 4"),
        ("UPDATE purchases SET time = time + 1 WHERE number = 1", "row 3"),
        ("UPDATE purchases SET hash = 'x' WHERE number = 1", "row 3"),
        ("UPDATE answers SET labels = '000' WHERE number = 1", r"row 6 \(answer to purchase 1\) was changed"),
        ("UPDATE events SET payload = replace(payload, '17', '18') WHERE kind = 'stop'", r"row 9 \(event 'stop'\)"),
        ("UPDATE events SET payload = replace(payload, '20', '21') WHERE seq = 1", r"row 1 \(event 'created'\)"),
        ("DELETE FROM purchases WHERE number = 2", "row 4 is missing"),
        ("DELETE FROM answers WHERE number = 2", "row 7 is missing"),
        ("DELETE FROM events WHERE kind = 'stop'", "row 9 is missing"),
        ("DELETE FROM events WHERE seq = 1", "row 1 is missing"),
        (
            "UPDATE answers SET seq = 13 - seq + 12 WHERE seq > 11",
            r"row 12 \(answer to purchase 5\) was changed or moved",
        ),
        ("UPDATE purchases SET seq = 7 - seq WHERE number < 3; ", "row 3"),
    ],
)
def test_a_changed_missing_or_moved_row_is_named(path: Path, statement: str, says: str) -> None:
    tamper(path, statement)
    before = path.read_bytes()
    with Ledger.read(path) as view, pytest.raises(LedgerError, match=says):
        view.verify()
    with pytest.raises(LedgerError, match=says):
        open_ledger(path, budget=9)
    assert path.read_bytes() == before, "a damaged ledger is kept as it is"


def test_a_ledger_of_an_earlier_version_that_hashed_the_sign_of_zero_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "old.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module, "checked_scores", lambda scores, _: list(scores))
        with open_ledger(path) as ledger:
            ledger.buy([7, 1, 4], round=1, scores=[-0.0, 0.0, -1.0])
    with open_ledger(path) as ledger:
        head = ledger.head
        assert ledger.verify(head) == 7
        assert ledger.buy([6], round=2).shape == (1, 3)
        assert ledger.verify(head) == 9
    tamper(path, "UPDATE purchases SET score = 1 WHERE number = 1")
    with pytest.raises(LedgerError, match=r"purchase 1, image 7\) was changed"):
        open_ledger(path)


def test_rows_removed_at_the_end_are_found_by_the_head(path: Path) -> None:
    with Ledger.read(path) as view:
        head = view.head
        assert view.verify(head) == 13
    tamper(path, "DELETE FROM answers WHERE number = 5")
    with Ledger.read(path) as view:
        view.verify()  # a shorter chain is a chain
        with pytest.raises(LedgerError, match=f"no row has the hash {head}"):
            view.verify(head)


def test_an_earlier_head_stays_in_the_chain(path: Path) -> None:
    with open_ledger(path, budget=9) as ledger:
        head = ledger.head
        ledger.buy([2], round=3)
        assert ledger.head != head
        assert ledger.verify(head) == 15
    with Ledger.read(path) as view:
        assert view.head != head
        assert view.verify(head) == 15


def test_every_row_has_part_in_the_head(tmp_path: Path) -> None:
    heads = set()
    for number, indices in enumerate([[1, 2], [2, 1], [1, 3]]):
        with open_ledger(tmp_path / f"{number}.sqlite") as ledger:
            assert ledger.buy(indices, round=1).tolist() == truth(indices).tolist()
            heads.add(ledger.head)
    assert len(heads) == 3


def test_a_damaged_index_is_found_although_every_row_is_whole(path: Path) -> None:
    """An event that a look-up by its kind does not find would be as good as gone."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'events_by_kind'").fetchone()
        connection.execute("DELETE FROM sqlite_master WHERE name = 'events_by_kind'")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"{sql} WHERE kind <> 'stop'")  # an index that misses a row
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'events_by_kind'", (sql,))
    with Ledger.read(path) as view:
        assert view.events("stop") == [], "the damage does what is said of it"
        with pytest.raises(
            LedgerError, match=r"is damaged \(.*(missing from index|wrong # of entries).* kept as it is"
        ):
            view.verify()
    with pytest.raises(LedgerError, match="is damaged"):
        open_ledger(path, budget=9)


@pytest.mark.parametrize("seq", ["NULL", "'x'", "X'00'", "2.5"])
def test_a_row_whose_place_is_nonsense_is_an_error_of_ours(path: Path, seq: str) -> None:
    """As a flipped bit may leave it: constraints do not hold in a damaged file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'seq INTEGER NOT NULL', 'seq BLOB')")
    tamper(path, f"UPDATE answers SET seq = {seq} WHERE number = 2")
    with Ledger.read(path) as view, pytest.raises(LedgerError, match="is missing"):
        view.verify()
