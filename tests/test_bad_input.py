"""Bad input through the real command line: what is said, where, the way out, and that nothing is left half-written.

Each case spoils a small data root, the settings or the disk in one way.
"""

import csv
import errno
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from dpc_lightning import checkpoint_file
from dpc_lightning.__main__ import main
from dpc_lightning.data import image_store
from dpc_lightning.data.train_view import DataWarning
from dpc_lightning.purchase.ledger import Ledger
from tests.data.sample_root import write_root
from tests.small_run import purchases

Spoil = Callable[[Path], object]
SETTINGS = (
    "--threads=1",
    "--data.image_size=32",
    "--data.generator=null",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.check_val_every_n_epoch=null",
    "--purchase.labels=4",
    "--purchase.rounds=2",
    "--purchase.pretrain_epochs=1",
    "--purchase.round_epochs=1",
    "--purchase.acquisition=Random",
    "--evaluate.epochs=1",
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root without a fault. Not to be changed."""
    return write_root(tmp_path_factory.mktemp("clean") / "data", training=20, pool=12, test=7, validation=8)


def words(root: Path, run_dir: Path, *more: str) -> list[str]:
    return ["fit", *SETTINGS, f"--data.root={root}", f"--run_dir={run_dir}", *more]


def edit(split: str, change: Callable[[list[list[str]]], object]) -> Spoil:
    """Change the rows of a split's labels.csv; the header is row 0."""

    def spoil(root: Path) -> None:
        file = root / split / "labels.csv"
        with file.open(newline="") as stream:
            rows = list(csv.reader(stream))
        change(rows)
        with file.open("w", newline="") as stream:
            csv.writer(stream).writerows(rows)

    return spoil


def setting(rows: list[list[str]], row: int, column: int, value: str) -> None:
    rows[row][column] = value


def without_column(rows: list[list[str]], column: int) -> None:
    for row in rows:
        del row[column]


def swapped(rows: list[list[str]]) -> None:
    for row in rows:
        row[1], row[2] = row[2], row[1]


def image(split: str, change: Callable[[Path], object]) -> Spoil:
    """Change the third image of a split."""
    return lambda root: change(sorted((root / split / "images").iterdir())[2])


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


@dataclass(frozen=True)
class Case:
    """What is spoilt, and the words that the message must have."""

    says: tuple[str, ...]
    spoil: Spoil = lambda _: None
    more: tuple[str, ...] = ()


LABELS = "labels.csv"
DATA = {
    "no root": Case(("/data", "--data.root"), shutil.rmtree),
    "no split": Case(("training", "--data.root"), lambda root: shutil.rmtree(root / "training")),
    "no pool": Case(("unlabelled", "images"), lambda root: shutil.rmtree(root / "unlabelled")),
    "no images folder": Case(("test/images",), lambda root: shutil.rmtree(root / "test" / "images")),
    "no labels.csv": Case((f"training/{LABELS}", "`image`"), lambda root: (root / "training" / LABELS).unlink()),
    "no rows": Case(
        (f"training/{LABELS}", "header only"), edit("training", lambda rows: rows.__delitem__(slice(1, None)))
    ),
    "no text": Case((f"training/{LABELS}",), lambda root: (root / "training" / LABELS).write_text("")),
    "unknown column": Case((f"test/{LABELS}", "crack"), edit("test", lambda rows: setting(rows, 0, 1, "crack"))),
    "missing column": Case((f"test/{LABELS}", "dent"), edit("test", lambda rows: without_column(rows, 2))),
    "missing image column": Case(
        (f"training/{LABELS}", "`image`"), edit("training", lambda rows: setting(rows, 0, 0, "file"))
    ),
    "duplicate column": Case(
        (f"training/{LABELS}", "dent"), edit("training", lambda rows: setting(rows, 0, 1, "dent"))
    ),
    "other class order": Case((f"test/{LABELS}", "order"), edit("test", swapped)),
    "other class order in the pool": Case((f"unlabelled/{LABELS}", "order"), edit("unlabelled", swapped)),
    "value 2": Case(
        (f"training/{LABELS}", "line 4", "dent", "'2'"), edit("training", lambda rows: setting(rows, 3, 2, "2"))
    ),
    "value missing": Case(
        (f"training/{LABELS}", "line 4", "dent"), edit("training", lambda rows: setting(rows, 3, 2, ""))
    ),
    "hidden value 2": Case(
        (f"unlabelled/{LABELS}", "line 4"), edit("unlabelled", lambda rows: setting(rows, 3, 2, "2"))
    ),
    "short row": Case((f"training/{LABELS}", "line 4"), edit("training", lambda rows: rows[3].pop())),
    "listed but absent": Case(
        (f"training/{LABELS}", "line 4", "not there", "remove the rows"), image("training", Path.unlink)
    ),
    "present but not listed": Case(
        (f"unlabelled/{LABELS}", "not listed", "Add rows"),
        lambda root: shutil.copy(root / "unlabelled/images/un0001.png", root / "unlabelled/images/new.png"),
    ),
    "same file twice": Case(
        (f"training/{LABELS}", "lines 2 and 5"), edit("training", lambda rows: setting(rows, 4, 0, rows[1][0]))
    ),
    "a path for a name": Case(
        (f"training/{LABELS}", "line 2"), edit("training", lambda rows: setting(rows, 1, 0, "../a.png"))
    ),
    "truncated image": Case(("unlabelled/images/un0002.png",), image("unlabelled", truncate)),
    "zero bytes": Case(("training/images/tr0002.png", "empty"), image("training", lambda file: file.write_bytes(b""))),
    "no image": Case(("test/images/te0002.png",), image("test", lambda file: file.write_bytes(b"hello" * 50))),
}
PURCHASE = {
    "negative budget": Case(("`purchase.labels`", "at least 0", "-1"), more=("--purchase.labels=-1",)),
    "fractional budget": Case(("purchase.labels", "2.5"), more=("--purchase.labels=2.5",)),
    "no number": Case(("purchase.labels", "many"), more=("--purchase.labels=many",)),
    "no rounds": Case(("`purchase.rounds`", "at least 1"), more=("--purchase.rounds=0",)),
    "more rounds than labels": Case(("`purchase.rounds`", "to 4 or less"), more=("--purchase.rounds=5",)),
    "negative seconds": Case(("`purchase.seconds`", "-1"), more=("--purchase.seconds=-1",)),
    "seconds that are no number": Case(("`purchase.seconds`", "nan"), more=("--purchase.seconds=.nan",)),
    "unknown rule": Case(("purchase.acquisition", "Nonsense"), more=("--purchase.acquisition=Nonsense",)),
    "misspelt key": Case(("lables",), more=("--purchase.lables=4",)),
    "misspelt group": Case(("purchases",), more=("--purchases.labels=4",)),
    "unknown backbone": Case(("`model.backbone`", "efficientnet_b99"), more=("--model.backbone=efficientnet_b99",)),
    "unknown backbone of the judge": Case(("`evaluate.backbone`", "nonsense"), more=("--evaluate.backbone=nonsense",)),
    "no such configuration": Case(("nowhere.yaml",), more=("--config=nowhere.yaml",)),
}


def refused(command: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """Carry out a command that must end with a status other than 0; gives what it said on standard error."""
    try:
        status: object = main(command)
    except SystemExit as stop:  # the way of argument parsers
        status = stop.code
    assert status not in {0, None}
    said = capfd.readouterr().err
    assert "Traceback" not in said
    return said


def nothing_half_written(run_dir: Path) -> None:
    """There is no result, no draft of a file, and the ledger is absent or whole."""
    assert not (run_dir / "summary.json").exists()
    assert not [path for path in run_dir.rglob("*") if path.name.endswith((".tmp", ".part"))]
    if (run_dir / "ledger.sqlite").exists():
        with Ledger.read(run_dir / "ledger.sqlite") as ledger:
            ledger.verify()
            assert len(ledger.purchases().index) == 0


@pytest.mark.parametrize("name", [*DATA, *PURCHASE])
def test_bad_input_is_named_with_its_place_and_nothing_is_half_written(
    clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    case, root = (DATA | PURCHASE)[name], tmp_path / "data"
    shutil.copytree(clean, root)
    case.spoil(root)
    before = {path for path in tmp_path.rglob("*") if ".cache" not in path.parts}
    said = refused(words(root, tmp_path / "run", *case.more), capfd)
    for word in case.says:
        assert word in said.replace("\n", " "), said
    nothing_half_written(tmp_path / "run")
    after = {path for path in root.rglob("*") if ".cache" not in path.parts}
    assert {path for path in after - before if not path.name.startswith(".")} == set()


def test_a_typo_in_yaml_names_the_key(clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "typo.yaml"
    for text, word in (("purchase: {labls: 3}", "labls"), ("purchase: [", f"line 2, column 1 of {file}")):
        file.write_text(text + "\n")
        assert word in refused(words(clean, tmp_path / "run", f"--config={file}"), capfd)
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("word", ["--purchase=4", "--evaluate=null", "--trainer=[1]"])
def test_a_group_without_settings_is_named(
    clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], word: str
) -> None:
    group = word.partition("=")[0].removeprefix("--")
    command = [each for each in words(clean, tmp_path / "run") if not each.startswith(f"--{group}.")]
    assert group in refused([*command, word], capfd)


def test_a_misspelt_monitor_is_named(clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    stopping = "--trainer.callbacks=[{class_path: EarlyStopping, init_args: {monitor: val/f1_marco}}]"
    more = (stopping, "--trainer.check_val_every_n_epoch=1")
    said = refused(words(clean, tmp_path / "run", *more), capfd)
    assert "val/f1_marco" in said
    assert "val/f1_macro" in said  # what there is
    nothing_half_written(tmp_path / "run")


@pytest.mark.parametrize("kind", ["16 bit", "grey", "RGBA", "CMYK", "palette"])
def test_unusual_images_are_converted(clean: Path, tmp_path: Path, kind: str) -> None:
    root = tmp_path / "data"
    shutil.copytree(clean, root, ignore=shutil.ignore_patterns(".cache"))
    ramp = np.linspace(0, 65535, 100).reshape(10, 10).astype(np.uint16)
    grey = Image.fromarray((ramp >> 8).astype(np.uint8))
    made = {"16 bit": Image.fromarray(ramp), "grey": grey, "RGBA": grey.convert("RGBA"), "palette": grey.convert("P")}
    for split in ("training", "unlabelled", "test"):
        file = sorted((root / split / "images").iterdir())[2]
        if kind == "CMYK":
            grey.convert("CMYK").save(file, format="TIFF")
        else:
            made[kind].save(file)
    assert main(words(root, tmp_path / "run", "--purchase.labels=12", "--purchase.rounds=1")) == 0
    assert len(purchases(tmp_path / "run")) == 12


def test_a_class_without_positives_in_training_is_warned_of_by_name(clean: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(clean, root)
    edit("training", lambda rows: [row.__setitem__(3, "0") for row in rows[1:]])(root)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        assert main(words(root, tmp_path / "run")) == 0
    said = [str(each.message) for each in caught if each.category is DataWarning]
    assert len(said) == 1
    assert "['particle']" in said[0]
    assert "Add labelled images" in said[0]


@pytest.mark.parametrize("labels", [0, 12, 99])
def test_no_budget_and_one_larger_than_the_pool_are_legal(clean: Path, tmp_path: Path, labels: int) -> None:
    assert main(words(clean, tmp_path / "run", f"--purchase.labels={labels}", "--purchase.rounds=2")) == 0
    assert len(purchases(tmp_path / "run")) == min(labels, 12)


@pytest.mark.parametrize("size", [19, 20])
def test_a_last_batch_of_one_image_is_no_error(clean: Path, tmp_path: Path, size: int) -> None:
    """20 images in batches of 19, and 21 in batches of 20 after buying one: BatchNorm cannot learn from one."""
    batches = (f"--model.batch_size={size}", f"--evaluate.batch_size={size}")
    assert main(words(clean, tmp_path / "run", *batches, "--purchase.labels=1", "--purchase.rounds=1")) == 0


def test_a_file_in_place_of_the_run_folder(clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        said = refused(words(clean, place), capfd)
        assert str(place) in said
        assert "--run_dir" in said
    assert (tmp_path / "file").read_text() == "mine"


FULL = OSError(errno.ENOSPC, "No space left on device")


def full(*_: object, **__: object) -> None:
    raise FULL


WRITERS = {
    "a checkpoint": (checkpoint_file, "write_atomically"),
    "a small file": (os, "fsync"),
    "the image store": (image_store, "write_atomically"),
    "the picture": (Figure, "savefig"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_space_is_said_and_the_same_command_goes_on_when_there_is_room(
    clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, writer: str
) -> None:
    root = tmp_path / "data"
    shutil.copytree(clean, root, ignore=shutil.ignore_patterns(".cache"))
    with monkeypatch.context() as patch:
        patch.setattr(*WRITERS[writer], full)
        said = refused(words(root, tmp_path / "run"), capfd)
    assert "No space left on device" in said
    assert "Make room" in said or "Free some space" in said
    if writer != "the picture":
        nothing_half_written(tmp_path / "run")
    assert main(words(root, tmp_path / "run")) == 0
    assert len(purchases(tmp_path / "run")) == 4
    assert (tmp_path / "run" / "purchases.png").exists()


def test_a_foreign_ledger_is_refused_and_left_alone(
    clean: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.sqlite").write_bytes(b"something else entirely" * 100)
    said = refused(words(clean, tmp_path / "run"), capfd)
    assert "ledger.sqlite" in said
    assert (tmp_path / "run" / "ledger.sqlite").read_bytes() == b"something else entirely" * 100
