"""What a disk or another program does to a ledger that is open: the memory follows the file, and no label is lost."""

import os
import resource
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase import ledger_file
from dpc_lightning.purchase.ledger import Ledger
from tests.purchase.oracles import Scripted, open_ledger, truth

MANY = range(10, 4_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """The kernel refuses to let a file of this process grow: to SQLite it is a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def no_more_pages(ledger: Ledger, more: int) -> Iterator[None]:
    """SQLite itself says that the disk is full."""
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count={pages + more}")
    try:
        yield
    finally:
        ledger._connection.execute("PRAGMA max_page_count=1073741823")


@pytest.mark.parametrize("full", ["sqlite", "kernel"])
def test_a_disk_that_is_full_while_a_purchase_is_charged(path: Path, full: str) -> None:
    oracle = Scripted()
    with open_ledger(path, oracle, budget=4_000, pool_size=4_000) as ledger:
        ledger.buy([1, 2], round=1)
        before = ledger.head, ledger.rows, ledger.left
        limit = no_more_pages(ledger, 3) if full == "sqlite" else no_file_larger_than(200_000)
        with limit, pytest.raises(LedgerError, match=r"(full|disk I/O error)\. What was written before is kept"):
            ledger.buy(MANY, round=2)
        assert (ledger.head, ledger.rows, ledger.left) == before
        assert oracle.asked == [[1, 2]], "what is not charged is not asked for"
        with Ledger.read(path) as view:
            assert (view.head, view.rows) == before[:2]
        assert ledger.buy([7, 3], round=2).tolist() == truth([7, 3]).tolist()  # there is room again
        assert ledger.verify(before[0]) == 1 + 8
    with open_ledger(path, budget=4_000, pool_size=4_000) as ledger:
        assert ledger.purchases(4).index.tolist() == [1, 2, 7, 3]


def test_a_disk_that_is_full_when_the_answers_come(path: Path) -> None:
    """They are charged and on no record: asked for again, and not charged again."""
    oracle = Scripted()
    with open_ledger(path, oracle, budget=4_000, pool_size=4_000) as ledger:
        ledger._charge([(index, None) for index in MANY], 1)
        with no_more_pages(ledger, 2), pytest.raises(LedgerError, match="full"):
            ledger.settle()
        assert (ledger.rows, len(ledger.unanswered)) == (len(MANY), len(MANY))
        with Ledger.read(path) as view:
            assert (view.head, len(view.purchases())) == (ledger.head, 0)
        assert ledger.buy(MANY[:3], round=1).tolist() == truth(MANY[:3]).tolist()
        assert ledger.rows == len(MANY)
    assert oracle.asked == [list(MANY)] * 2


@pytest.mark.parametrize("how", ["replaced", "deleted", "moved"])
def test_a_file_that_goes_away_under_an_open_ledger_is_written_no_more(path: Path, how: str) -> None:
    copy = path.with_name("copy.sqlite")
    with open_ledger(path) as ledger:
        ledger.buy([1], round=1)
    shutil.copy(path, copy)
    oracle = Scripted()
    with open_ledger(path, oracle) as ledger:
        ledger.buy([2], round=1)
        if how == "replaced":
            copy.replace(path)
        elif how == "deleted":
            path.unlink()
        else:
            path.rename(path.with_name("elsewhere.sqlite"))
        with pytest.raises(LedgerError, match=r"was moved, deleted or replaced since .* Put back the file"):
            ledger.buy([3], round=1)
        with pytest.raises(LedgerError, match="moved, deleted or replaced"):
            ledger.record_event("stop", {})
    assert oracle.asked == [[2]]


def test_a_writer_that_has_got_past_the_lock_is_noticed(path: Path) -> None:
    """Somebody has removed the lock's file, so two write: the second one to write buys nothing on what it remembers."""
    oracle = Scripted()
    with open_ledger(path, oracle, budget=2) as ledger:
        ledger.buy([1], round=1)
        path.with_name("ledger.sqlite.lock").unlink()
        with open_ledger(path, budget=2) as other:
            assert other.buy([5], round=1).tolist() == truth([5]).tolist()
        with pytest.raises(LedgerError, match="was written by something else since this process opened it"):
            ledger.buy([9], round=1)
    assert oracle.asked == [[1]]
    with Ledger.read(path) as view:
        assert view.purchases(2).index.tolist() == [1, 5]
        assert view.verify() == 5


def test_a_browser_that_holds_the_file_is_named_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_ledger(path) as ledger:
        ledger._connection.execute("PRAGMA busy_timeout=10")
        with closing(sqlite3.connect(path, isolation_level=None)) as browser:
            browser.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match=r"database is locked\. Another program .* browser: close it"):
                ledger.buy([1], round=1)
            browser.execute("ROLLBACK")
        assert ledger.rows == 0
        assert ledger.buy([1], round=1).tolist() == truth([1]).tolist()
    # where there is no write-ahead log, a reader is in the way of a commit too
    monkeypatch.setattr(ledger_file, "network_file_system", lambda _: "nfs4")
    with open_ledger(path) as ledger, closing(sqlite3.connect(path, isolation_level=None)) as browser:
        ledger._connection.execute("PRAGMA busy_timeout=10")
        browser.execute("BEGIN")
        browser.execute("SELECT * FROM purchases").fetchall()
        with pytest.raises(LedgerError, match="database is locked"):
            ledger.buy([2], round=1)
        browser.execute("COMMIT")
        assert (ledger.rows, ledger._connection.in_transaction) == (1, False)
        assert ledger.buy([2], round=1).tolist() == truth([2]).tolist()
        assert ledger.verify() == 5


def test_a_reader_in_the_same_process_leaves_the_writers_locks_alone(path: Path) -> None:
    """POSIX drops a process's locks on a file when it closes any handle of it."""
    if not Path("/proc/locks").exists():
        pytest.skip("no table of locks on this system")

    def locks() -> list[str]:
        held = [line.split(": ")[1].split() for line in Path("/proc/locks").read_text().splitlines()]
        inode, process = path.stat().st_ino, str(os.getpid())
        return sorted(" ".join(words) for words in held if process in words and words[4].endswith(f":{inode}"))

    with open_ledger(path) as ledger:
        before = locks()
        assert before
        with Ledger.read(path) as view:
            assert view.rows == 0
        with pytest.raises(LedgerError, match="in use"):
            open_ledger(path)
        assert locks() == before
        ledger.buy([1], round=1)
