"""Looking at the ledger of a run."""

import csv
import io
import shutil
import sqlite3
from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from tests.small_run import purchases


def test_show_counts_what_was_bought(finished_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "show", str(finished_run[1])]) == 0
    shown = capsys.readouterr().out
    assert "12 of 12 labels charged, 0 left; 0 not answered yet" in shown


def test_export_gives_the_rows_of_purchases_csv(
    finished_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ledger", "export", str(finished_run[1])]) == 0
    exported = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert exported == [
        {key: value for key, value in row.items() if key != "image"} for row in purchases(finished_run[1])
    ]


def test_verify_accepts_a_whole_ledger(finished_run: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify", str(finished_run[1])]) == 0
    assert "is whole" in capsys.readouterr().out


def test_verify_checks_against_a_head_from_a_log(
    finished_run: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    shutil.copy(finished_run[1] / "ledger.sqlite", run_dir)
    assert main(["ledger", "show", str(run_dir)]) == 0
    head = capsys.readouterr().out.split()[-1]
    assert main(["ledger", "verify", str(run_dir)]) == 0
    assert "without a head, rows cut off at the end go unseen" in capsys.readouterr().out
    assert main(["ledger", "verify", str(run_dir), "--head", head.upper()]) == 0
    assert f"also against the head given)\nhead {head}\n" in capsys.readouterr().out
    tamper(run_dir, "DELETE FROM answers WHERE number = 12")
    assert main(["ledger", "verify", str(run_dir)]) == 0  # a shorter chain is a chain
    assert main(["ledger", "verify", str(run_dir), "--head", head]) == 2
    assert f"no row has the hash {head}" in capsys.readouterr().err
    for wrong in ("", "abc", head[:-1] + "g", head + "0"):
        assert main(["ledger", "verify", str(run_dir), "--head", wrong]) == 2
        assert "`--head` to be 64 hexadecimal digits" in capsys.readouterr().err


@pytest.mark.parametrize("summary", ["", "{", "[]", "{}", "7"])
def test_a_broken_summary_is_named(
    finished_run: tuple[Path, Path], tmp_path: Path, summary: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(finished_run[1] / "ledger.sqlite", tmp_path)
    (tmp_path / "summary.json").write_text(summary)
    assert main(["ledger", "verify", str(tmp_path)]) == 2
    assert f"Expected {tmp_path / 'summary.json'} to be a summary" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["show", "export"])
def test_altered_rows_are_not_shown(
    finished_run: tuple[Path, Path], tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(finished_run[1] / "ledger.sqlite", tmp_path)
    tamper(tmp_path, "UPDATE answers SET labels = '111111' WHERE number = 3")
    assert main(["ledger", command, str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "(answer to purchase 3) was changed" in said.err
    assert not said.out


def tamper(folder: Path, statement: str) -> None:
    connection = sqlite3.connect(folder / "ledger.sqlite")
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    assert connection.execute(statement).rowcount == 1
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE answers SET labels = '111111' WHERE number = 3",
        "UPDATE purchases SET image = image + 1 WHERE number = 12",
        "DELETE FROM answers WHERE number = 12",
    ],
)
def test_verify_finds_what_was_changed(
    finished_run: tuple[Path, Path], tmp_path: Path, change: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(finished_run[1], copy)
    tamper(copy, change)
    assert main(["ledger", "verify", str(copy)]) == 2
    assert str(copy / "ledger.sqlite") in capsys.readouterr().err


def test_a_folder_without_a_ledger_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
