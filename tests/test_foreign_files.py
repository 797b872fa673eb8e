"""Files of a run that were changed, damaged or exchanged between two starts: refused by name, and left as they are."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, purchases, words
from tests.test_resume import Stop, same_as, stop_at_call


@pytest.fixture(scope="module")
def stopped(finished_run: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was stopped in round 2. Not to be changed."""
    run_dir = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, 7))
        with pytest.raises(Stop):
            main(words(finished_run[0], run_dir))
    return run_dir


@pytest.fixture
def run_dir(stopped: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to be spoilt."""
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def contents(folder: Path) -> dict[Path, bytes]:
    """Every file of a folder, but for locks and what SQLite adds beside its file."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("lock", "-shm", "-wal", "-journal"))
    }


def text(file: Path) -> None:
    file.write_text("these are my notes\n" * 400)


def other_database(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE purchases (number INTEGER)")
    connection.close()


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    """A bit of a bought label, on the page of its row."""
    content = bytearray(file.read_bytes())
    content[content.index(b"000000")] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("spoil", [text, other_database, truncated, flipped])
def test_a_ledger_that_is_not_ours_any_more_is_refused_and_kept(
    small_root: Path, run_dir: Path, capfd: pytest.CaptureFixture[str], spoil: Callable[[Path], None]
) -> None:
    spoil(run_dir / "ledger.sqlite")
    before = contents(run_dir)
    assert main(words(small_root, run_dir)) == 2
    said = capfd.readouterr().err
    assert str(run_dir / "ledger.sqlite") in said
    assert "Traceback" not in said
    assert "copy" in said or "Move it away" in said
    assert contents(run_dir) == before


@pytest.mark.parametrize("file", ["config.yaml", "metrics.csv"])
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b'a: [b\n"c,d\n'])
def test_other_damaged_files_are_named_and_kept(
    small_root: Path, run_dir: Path, capfd: pytest.CaptureFixture[str], file: str, content: bytes
) -> None:
    (run_dir / file).write_bytes(content)
    before = contents(run_dir)
    assert main(words(small_root, run_dir)) == 2
    said = capfd.readouterr().err
    assert str(run_dir / file) in said
    assert "Traceback" not in said
    assert contents(run_dir) == before


def test_what_these_messages_say_helps(finished_run: tuple[Path, Path], run_dir: Path) -> None:
    root, whole = finished_run
    (run_dir / "config.yaml").unlink()
    (run_dir / "metrics.csv").unlink()
    fit(root, run_dir)
    assert purchases(run_dir) == purchases(whole)


def test_a_checkpoint_of_other_classes_is_refused_before_anything_is_changed(
    small_root: Path, run_dir: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(small_root, other, ignore=shutil.ignore_patterns(".cache", "sheets.json"))
    for split in ("training", "unlabelled", "validation", "test"):
        file = other / split / "labels.csv"
        file.write_text(file.read_text().replace("dent_small", "crack", 1))
    command = words(other, run_dir, "--data.generator=null")
    before = contents(run_dir)
    assert main(command) == 2  # the folder keeps its settings, and these are others
    assert "data.root" in capfd.readouterr().err
    assert contents(run_dir) == before

    settings = yaml.safe_load((run_dir / "config.yaml").read_text())  # now as if the root itself had been exchanged
    settings["data"] |= {"root": str(other), "generator": None}
    (run_dir / "config.yaml").write_text(yaml.safe_dump(settings))
    before = contents(run_dir)
    assert main(command) == 2
    said = capfd.readouterr().err
    assert "dent_small" in said
    assert "crack" in said
    assert "Names and order must agree" in said
    assert contents(run_dir) == before


def test_a_clock_that_is_set_back_changes_nothing_but_the_times(
    finished_run: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three hours back at every look at the clock; of a budget of an hour only what was really spent is gone."""
    start, looks = time.time(), 0

    def set_back() -> float:
        nonlocal looks
        looks += 1
        return start - 3 * 3600 * looks

    root, whole = finished_run
    monkeypatch.setattr(time, "time", set_back)
    summary = fit(root, tmp_path / "run", "--purchase.seconds=3600")
    monkeypatch.undo()
    assert looks > 2
    assert 0 < summary["compute_spent_s"] < 600
    assert not summary["compute_budget_exhausted"]
    same_as(tmp_path / "run", whole)
    with Ledger.read(tmp_path / "run" / "ledger.sqlite") as ledger:
        ledger.verify(summary["ledger_head"])
        bought = ledger.purchases()
    assert bought.order.tolist() == list(range(1, 13))
    assert bought.time[0] > bought.time[-1]  # it was set back
