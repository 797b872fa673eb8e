"""The ledger as a file: foreign and damaged ones, versions, locks, journal modes."""

import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase import ledger_file
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.ledger_file import network_file_system
from tests.purchase.oracles import Free, open_ledger, truth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def refused(path: Path, says: str) -> None:
    """Refused for writing and reading, and not a byte is different."""
    before = path.read_bytes()
    with pytest.raises(LedgerError, match=says):
        open_ledger(path)
    with pytest.raises(LedgerError, match=says):
        Ledger.read(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"not a database at all" * 99, b"\0" * 5_000, b"x"])
def test_a_file_that_is_no_database_is_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "it is kept as it is")


def test_a_foreign_database_is_kept(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE mine (x)")
        connection.commit()
    refused(path, "no ledger of this program")


@pytest.mark.parametrize("version", [0, 3, 99])
def test_another_version_is_kept(path: Path, version: int) -> None:
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version={version}")
        connection.commit()
    refused(path, f"schema version {version}, but this program reads versions 1 to 2")


def test_a_damaged_schema_is_refused_although_sqlite_cannot_say_what_is_wrong(path: Path) -> None:
    """The message of SQLite repeats the damaged text, which is then no text."""
    open_ledger(path).close()
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE purchases", b"CREATE TABLE purch\xffses"))
    refused(path, "no ledger, or damaged; it is kept as it is")


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_truncated_ledger_is_refused(path: Path, keep: float) -> None:
    with open_ledger(path, budget=2_000, pool_size=2_000) as ledger:
        ledger.buy(range(2_000), round=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="malformed|missing|changed|disk I/O|disk image"):
        open_ledger(path, budget=2_000, pool_size=2_000)
    assert path.read_bytes() == before


def test_a_start_that_was_killed_before_its_first_commit_is_begun_anew(path: Path) -> None:
    path.touch()
    with pytest.raises(LedgerError, match="empty"):
        Ledger.read(path)
    with open_ledger(path) as ledger:
        ledger.buy([1], round=1)
    with Ledger.read(path) as view:
        assert view.rows == 1


def test_missing_ledgers_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is none"):
        Ledger.read(tmp_path / "no.sqlite")
    with pytest.raises(LedgerError, match="folder does not exist"):
        open_ledger(tmp_path / "no" / "ledger.sqlite")


def test_a_failed_start_leaves_the_ledger_free(path: Path) -> None:
    open_ledger(path, budget=9).close()
    with pytest.raises(LedgerError, match="a pool of 20"):
        open_ledger(path, pool_size=3)
    open_ledger(path).close()


def test_a_second_writer_is_told_who_writes(path: Path) -> None:
    with open_ledger(path) as ledger:
        with pytest.raises(LedgerError, match=r"is in use by process \d+ on "):
            open_ledger(path)
        code = "from pathlib import Path; from tests.purchase.oracles import open_ledger; "
        code += f"open_ledger(Path({str(path)!r}))"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert "LedgerError" in other.stderr
        assert "is in use by process" in other.stderr
        assert ledger.buy([1], round=1).tolist() == truth([1]).tolist()
    open_ledger(path).close()


def test_readers_see_what_is_committed_and_disturb_nobody(path: Path) -> None:
    with open_ledger(path) as ledger:
        with Ledger.read(path) as view:
            assert view.rows == 0
            ledger.buy([1], round=1)
            assert view.rows == 1
            assert view.purchases().labels.tolist() == truth([1]).tolist()
            assert view.head == ledger.head
            assert view.budget == 5
            assert view.left == 4
            assert view.verify(ledger.head) == 3
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                view._connection.execute("INSERT INTO events VALUES (9, 'x', '{}', 0, '')")
            ledger.buy([2], round=1)
            ledger.close()
            assert view.rows == 2
        assert "LedgerView" in repr(view)


def test_a_ledger_in_a_folder_that_cannot_be_written_can_be_read(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.buy([1], round=1)
    path.parent.chmod(0o500)
    try:
        with Ledger.read(path) as view:
            assert view.rows == 1
    finally:
        path.parent.chmod(0o700)


def test_a_network_file_system_gets_another_journal(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ledger_file, "network_file_system", lambda _: "nfs4")
    with caplog.at_level(logging.WARNING), open_ledger(path, Free()) as ledger:
        assert "nfs4 is a network file system" in caplog.text
        assert ledger._connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
        ledger.buy([1], round=1)
    monkeypatch.undo()
    with open_ledger(path) as ledger:
        assert ledger.rows == 1


def test_network_file_systems_are_known_by_the_table_of_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path}/far\\040away nfs4 rw 0 0\n"
        f"/dev/sdb1 {tmp_path}/far\\040away/disk xfs rw 0 0\n"
    )
    assert network_file_system(tmp_path / "ledger.sqlite", mounts) is None
    assert network_file_system(tmp_path / "far away" / "ledger.sqlite", mounts) == "nfs4"
    assert network_file_system(tmp_path / "far away" / "disk" / "ledger.sqlite", mounts) is None
    assert network_file_system(tmp_path / "far away", tmp_path / "absent") is None
