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
    connection = sqlite3.connect(copy / "ledger.sqlite")
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (trigger,) in triggers:
        connection.execute(f"DROP TRIGGER {trigger}")
    assert connection.execute(change).rowcount == 1
    connection.commit()
    connection.close()
    assert main(["ledger", "verify", str(copy)]) == 2
    assert str(copy / "ledger.sqlite") in capsys.readouterr().err


def test_a_folder_without_a_ledger_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ledger", "verify", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
