"""`data check`: a good root has no errors, and every kind of damage to it is found, all at once."""

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from dpc_lightning.data.check import check_root
from dpc_lightning.data.root_report import RootReport
from dpc_lightning.errors import DataError

HEADER = ["image", "group", "dent", "scratch"]


def write_split(root: Path, split: str, count: int, seed: int) -> None:
    (root / split / "images").mkdir(parents=True)
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        cv2.imwrite(str(root / split / "images" / f"{number}.png"), rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        rows.append([f"{number}.png", f"{split}-{number // 2}", str(number % 2), str(int(number == 0))])
    write_table(root / split, [HEADER, *rows])


def write_table(folder: Path, rows: list[list[str]]) -> None:
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows(rows)


def read_table(folder: Path) -> list[list[str]]:
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for seed, (split, count) in enumerate((("training", 4), ("unlabelled", 6), ("validation", 2), ("test", 5))):
        write_split(tmp_path / "root", split, count, seed)
    return tmp_path / "root"


def look(root: Path) -> RootReport:
    return check_root(root, progress=False)


def test_good_root_has_no_errors_and_right_figures(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    report = look(root)
    assert (report.errors, report.warnings) == ([], [])
    assert [len(split.listed) for split in report.splits] == [4, 6, 2, 5]
    assert [split.prevalence("dent") for split in report.splits] == [0.5, 0.5, 0.5, 0.4]
    assert report.splits[0].sizes == {(8, 8)}
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def drop_image(root: Path) -> None:
    (root / "test" / "images" / "3.png").unlink()


def add_image(root: Path) -> None:
    cv2.imwrite(str(root / "training" / "images" / "new.png"), np.zeros((8, 8, 3), dtype=np.uint8))


def truncate(root: Path) -> None:
    file = root / "unlabelled" / "images" / "2.png"
    file.write_bytes(file.read_bytes()[:60])


def empty(root: Path) -> None:
    (root / "unlabelled" / "images" / "3.png").write_bytes(b"")


def wrong_value(root: Path) -> None:
    rows = read_table(root / "training")
    rows[2][3] = "2"
    write_table(root / "training", rows)


def short_row(root: Path) -> None:
    rows = read_table(root / "validation")
    write_table(root / "validation", [rows[0], rows[1], rows[2][:3]])


def listed_twice(root: Path) -> None:
    rows = read_table(root / "test")
    write_table(root / "test", [*rows, rows[1]])


def shared_group(root: Path) -> None:
    rows = read_table(root / "test")
    rows[1][1] = "training-0"
    write_table(root / "test", rows)


def other_order(root: Path) -> None:
    rows = read_table(root / "unlabelled")
    write_table(root / "unlabelled", [[row[0], row[1], row[3], row[2]] for row in rows])


def no_group(root: Path) -> None:
    rows = read_table(root / "training")
    rows[1][1] = " "
    write_table(root / "training", rows)


def path_in_name(root: Path) -> None:
    rows = read_table(root / "training")
    write_table(root / "training", [*rows, ["../x.png", "g", "0", "0"]])


def header_only(root: Path) -> None:
    write_table(root / "validation", [HEADER])


FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (drop_image, "lists 3.png, but it is not in"),
    (add_image, "new.png is not listed in"),
    (truncate, "2.png"),
    (empty, "the file is empty"),
    (wrong_value, "Line 3 of"),
    (short_row, "expected 4 cells, but got 3"),
    (listed_twice, "0.png is listed before"),
    (shared_group, "Group training-0 spans the splits training (0.png) and test (0.png)"),
    (other_order, "Expected the classes of training in their order"),
    (no_group, "the group is empty"),
    (path_in_name, "'../x.png'"),
    (header_only, "lists no image"),
]


@pytest.mark.parametrize(("fault", "message"), FAULTS)
def test_fault_is_found(root: Path, fault: Callable[[Path], None], message: str) -> None:
    fault(root)
    assert any(message in error for error in look(root).errors), look(root).errors


def test_all_faults_are_found_at_once(root: Path) -> None:
    chosen = [fault for fault in FAULTS if fault[0] not in {short_row, listed_twice, no_group}]
    for fault, _ in chosen:
        fault(root)
    errors = look(root).errors
    for _, message in chosen:
        assert any(message in error for error in errors), message


@pytest.mark.parametrize("split", ["training", "unlabelled", "test"])
def test_missing_split(root: Path, split: str) -> None:
    (root / split).rename(root / "elsewhere")
    assert any(f"{split} is missing" in error for error in look(root).errors)


def test_missing_table(root: Path) -> None:
    (root / "training" / "labels.csv").unlink()
    (root / "unlabelled" / "labels.csv").unlink()
    report = look(root)
    assert any("labels.csv is missing" in error for error in report.errors)
    assert any("only be bought from people" in warning for warning in report.warnings)
    assert not any("unlabelled" in error for error in report.errors)


def test_missing_images_folder_and_odd_tables(root: Path) -> None:
    (root / "test" / "images").rename(root / "elsewhere")
    (root / "training" / "labels.csv").write_bytes(b"image,dent\n\xff\xfe,1\n")
    write_table(root / "validation", [["image", "dent", "dent"], ["0.png", "1", "1"]])
    errors = look(root).errors
    for message in ("Expected a folder of images at", "cannot be read as a comma separated file", "in line 1 of"):
        assert any(message in error for error in errors), errors


def test_same_pixels_within_and_across_splits(root: Path) -> None:
    pixels = cv2.imread(str(root / "training" / "images" / "0.png"))
    assert pixels is not None
    cv2.imwrite(str(root / "test" / "images" / "0.png"), pixels, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    cv2.imwrite(str(root / "test" / "images" / "1.png"), pixels)
    report = look(root)
    assert not report.errors
    twins = {split.name: (split.twins_inside, split.twins_outside) for split in report.splits}
    assert twins == {"training": (0, 1), "unlabelled": (0, 0), "validation": (0, 0), "test": (1, 2)}
    assert any("1 images of training/ have the same pixels as one of test/" in line for line in report.warnings)
    assert any("1 images of test/ have the same pixels as one of test/ itself" in line for line in report.warnings)
    assert any("different labels" in line for line in report.warnings)


def test_blank_twins_are_told_apart(root: Path) -> None:
    for name in ("0.png", "1.png"):
        cv2.imwrite(str(root / "test" / "images" / name), np.full((8, 8, 3), 255, dtype=np.uint8))
    assert any("(1 of a single colour)" in line for line in look(root).warnings)


def test_class_without_an_example_is_a_warning(root: Path) -> None:
    rows = read_table(root / "training")
    write_table(root / "training", [rows[0], *([*row[:3], "0"] for row in rows[1:])])
    report = look(root)
    assert not report.errors
    assert any("training/labels.csv: no image has the class scratch" in line for line in report.warnings)


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        look(tmp_path / "absent")
