"""People label by files, through the real command line: the run waits, goes on, and buys what it would have bought."""

import csv
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.purchase.ledger import Ledger
from tests.rank_processes import start, torchrun
from tests.small_run import purchases, weights, words

FILES = "--purchase.oracle=FilesOracle"


def fill(file: Path, known: dict[str, list[str]], rows: int | None = None) -> None:
    """Fill a request as an expert does who knows every label; or only its first rows."""
    with file.open(newline="") as stream:
        header, *asked = list(csv.reader(stream))
    for row in asked[:rows]:
        row[3:] = known[row[2]]
    with file.open("w", newline="", encoding="utf-16") as stream:  # as spreadsheets save "Unicode text"
        csv.writer(stream, delimiter="\t").writerows([header, *asked])


def without_labels(root: Path, copy: Path) -> dict[str, list[str]]:
    """Copy a data root, but not what is known of its pool; gives that by image."""
    shutil.copytree(root, copy, ignore=shutil.ignore_patterns("sheets.json", "*.npy", "index.csv"))
    with (copy / "unlabelled" / "labels.csv").open(newline="") as stream:
        header, *rows = list(csv.reader(stream))
    (copy / "unlabelled" / "labels.csv").unlink()
    first = max(header.index(name) for name in ("image", "group") if name in header) + 1
    return {row[header.index("image")]: row[first:] for row in rows}


def test_people_label_round_by_round_and_the_run_buys_what_it_would_have_bought(
    finished_run: tuple[Path, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    root, whole = finished_run
    known = without_labels(root, tmp_path / "data")
    run_dir = tmp_path / "run"
    command = words(tmp_path / "data", run_dir, FILES)
    requests = run_dir / "requests"

    def said_by(status: int) -> str:
        assert main(command) == status
        said = capfd.readouterr().err
        assert "Traceback" not in said
        return said

    for number in (1, 2):
        file = requests / f"round_{number}.csv"
        said = said_by(3)
        assert f"waiting for labels: 6 images of round {number} are in" in said
        assert str(file) in said
        assert "error" not in said
        shown = {path.name for path in (requests / f"round_{number}").iterdir()}
        assert shown == {line.split(",")[2] for line in file.read_text().splitlines()[1:]}
        assert not (run_dir / "summary.json").exists()
        if number == 1:
            fill(file, known, rows=3)
            half = file.read_bytes()
            said = said_by(2)
            assert f"error: {file}, line 5, column 4" in said
            assert "in row 4, but the cell is empty" in said
            with Ledger.read(run_dir / "ledger.sqlite") as view:
                assert (view.rows, len(view.unanswered)) == (6, 6)
            assert file.read_bytes() == half
            file.unlink()
            said_by(3)  # the way out: it is written anew
        fill(file, known)
    said_by(0)
    assert purchases(run_dir) == purchases(whole)
    assert weights(run_dir, "evaluate") == weights(whole, "evaluate")
    heads = re.findall(r"ledger: (\d+) of 12 labels charged, head ([0-9a-f]{64})", caplog.text)
    assert [bought for bought, _ in heads] == ["6", "12", "12"], "after each purchase, and at the end of the buying"
    for _, head in heads:
        assert main(["ledger", "verify", str(run_dir), "--head", head]) == 0
        assert "also against the head given and against summary.json" in capfd.readouterr().out


def ends_waiting(command: Sequence[str]) -> str:
    status, said = start(*command, seconds=90)
    assert status != 0
    assert said.count("waiting for labels: 6 images of round 1 are in") == 2, "each rank says why it ends"
    return said


def test_two_ranks_wait_for_people_and_neither_for_the_other(small_root: Path, tmp_path: Path) -> None:
    """The launcher ends with a status of its own; the ranks with 3."""
    said = ends_waiting((*torchrun(2), *words(small_root, tmp_path / "run", FILES, "--purchase.pretrain_epochs=1")))
    assert re.search(r"exitcode\s*:\s*3", said)
    assert (tmp_path / "run" / "requests" / "round_1.csv").exists()
