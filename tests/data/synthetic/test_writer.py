"""Writing data roots of generated sheets."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dpc_lightning.data.manifest import check_groups, read_hidden_labels, read_labelled, read_pool
from dpc_lightning.data.synthetic import writer
from dpc_lightning.data.synthetic.render import render_image
from dpc_lightning.data.synthetic.settings import CLASSES, SheetSettings
from dpc_lightning.data.synthetic.writer import write_sheets
from dpc_lightning.errors import ConfigError, DataError

SMALL = SheetSettings(training=12, unlabelled=40, validation=6, test=9, px=16)


def tree(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_root_is_what_a_run_reads(tmp_path: Path) -> None:
    write_sheets(tmp_path / "root", SMALL, progress=False)
    training = read_labelled(tmp_path / "root" / "training")
    assert training.classes == CLASSES
    others = {name: read_labelled(tmp_path / "root" / name, CLASSES).manifest for name in ("validation", "test")}
    pool = read_pool(tmp_path / "root" / "unlabelled")
    check_groups({"training": training.manifest, "unlabelled": pool, **others})
    assert [len(training.manifest), len(pool), len(others["validation"]), len(others["test"])] == [12, 40, 6, 9]
    hidden = read_hidden_labels(tmp_path / "root" / "unlabelled", CLASSES, pool)
    assert hidden is not None
    for index in (0, 7, 39):
        image, labels, group = render_image(SMALL, "unlabelled", index)
        read = cv2.imread(str(pool.path(index)))
        assert read is not None
        assert np.array_equal(read[:, :, ::-1], image)
        assert hidden[index].tolist() == labels.tolist()
        assert pool.groups is not None
        assert pool.groups[index] == group


def test_processes_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_STRETCH_PIXELS", 5 * 16 * 16)
    monkeypatch.chdir(tmp_path)  # a worker finds the package from any folder
    write_sheets(tmp_path / "one", SMALL, workers=1, progress=False)
    write_sheets(tmp_path / "two", SMALL, workers=2, progress=False)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_failing_process_is_an_error_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "_STRETCH_PIXELS", 5 * 16 * 16)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)  # no folder for the images
    with pytest.raises(DataError, match=r"Cannot write .*root: a process that generates sheets failed: .*sheet_0000"):
        write_sheets(tmp_path / "root", SMALL, workers=2, progress=False)
    assert not [path for path in tmp_path.iterdir() if path.name != ".root.lock"]


def test_without_validation_and_with_an_empty_pool(tmp_path: Path) -> None:
    write_sheets(tmp_path / "root", replace(SMALL, validation=0, unlabelled=0), progress=False)
    assert not (tmp_path / "root" / "validation").exists()
    assert len(read_pool(tmp_path / "root" / "unlabelled")) == 0


def test_same_settings_are_accepted_and_others_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write_sheets(root, SMALL, progress=False)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_sheets(root, replace(SMALL, redundancy=SMALL.knobs().redundancy), progress=False)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    with pytest.raises(DataError, match="px is 16 there and 32 here"):
        write_sheets(root, replace(SMALL, px=32), progress=False)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_folder_of_other_origin_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "precious.txt").touch()
    with pytest.raises(DataError, match="left untouched"):
        write_sheets(tmp_path / "root", SMALL, progress=False)
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["precious.txt"]


def test_description_names_all_dials(tmp_path: Path) -> None:
    write_sheets(tmp_path / "root", SMALL, progress=False)
    there = json.loads((tmp_path / "root" / writer.SETTINGS_FILE).read_text(encoding="utf-8"))
    assert there["version"] == writer.GENERATOR_VERSION
    assert there["redundancy"] == 0.5
    assert there["unlabelled"] == 40


@pytest.mark.parametrize("workers", [0, -1, True])
def test_wrong_number_of_workers(tmp_path: Path, workers: int) -> None:
    with pytest.raises(ConfigError, match="`workers`"):
        write_sheets(tmp_path / "root", SMALL, workers=workers, progress=False)


def test_killed_in_the_middle_and_started_again(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path; import sys\n"
        "from dpc_lightning.data.synthetic import SheetSettings, write_sheets\n"
        "write_sheets(Path(sys.argv[1]), SheetSettings(unlabelled=200000, px=32), workers=2, progress=False)\n"
    )
    root = tmp_path / "root"
    package = str(Path(writer.__file__).parents[3])
    process = subprocess.Popen([sys.executable, "-c", program, str(root)], env={**os.environ, "PYTHONPATH": package})
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".root.writing-*/*/images/*.png")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(tmp_path.glob(".root.writing-*/*/images/*.png"))
    assert not root.exists()
    written = -1  # its own processes end at their next answer, which takes a while on a busy machine
    while written != (found := len(list(tmp_path.glob(".root.writing-*/*/images/*")))) and time.monotonic() < deadline:
        written = found
        time.sleep(1)
    write_sheets(root, SMALL, progress=False)
    assert len(read_pool(root / "unlabelled")) == 40
    assert not list(tmp_path.glob(".root.writing-*"))
