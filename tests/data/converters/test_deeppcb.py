"""The DeepPCB converter on a small made-up copy of DeepPCB's layout."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from dpc_lightning.data.converters.deeppcb import CLASSES, TileSettings, convert_deeppcb, read_boards
from dpc_lightning.data.manifest import check_groups, read_hidden_labels, read_labelled, read_pool
from dpc_lightning.errors import ConfigError, DataError

SETTINGS = TileSettings(tile=40, training=20, unlabelled=70, validation=10, test=33)


def make_board(source: Path, group: str, number: int, rows: list[str], side: int = 160) -> Path:
    name = f"{group}{number:03d}"
    images, notes = source / f"group{group}" / group, source / f"group{group}" / f"{group}_not"
    images.mkdir(parents=True, exist_ok=True)
    notes.mkdir(parents=True, exist_ok=True)
    board = np.repeat(np.random.default_rng(number).integers(0, 2, (side // 8, side // 8)), 8, axis=0).repeat(8, axis=1)
    cv2.imwrite(str(images / f"{name}_test.jpg"), (board * 255).astype(np.uint8))
    (notes / f"{name}.txt").write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return notes / f"{name}.txt"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Eleven boards of 160 pixels: 16 tiles of 40 pixels each."""
    place = tmp_path / "PCBData"
    for number in range(11):
        group = "00041" if number % 2 else "12000"
        make_board(place, group, number, [f"{10 + number} 50 {20 + number} 60 {number % 6 + 1}", "100 100 159 160 4"])
    lines = "".join(
        f"group00041/00041/00041{number:03d}.jpg group00041/00041_not/00041{number:03d}.txt\n" for number in (1, 3)
    )
    (place / "trainval.txt").write_text(lines, encoding="utf-8")
    return place


def rows_of(root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    for split in ("training", "unlabelled", "validation", "test"):
        with (root / split / "labels.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                yield split, row


def test_root_is_what_a_run_reads(source: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    convert_deeppcb(source, root, SETTINGS, progress=False)
    training = read_labelled(root / "training")
    assert training.classes == CLASSES
    tables = {name: read_labelled(root / name, CLASSES).manifest for name in ("validation", "test")}
    pool = read_pool(root / "unlabelled")
    check_groups({"training": training.manifest, "unlabelled": pool, **tables})
    assert (len(training.manifest), len(pool), len(tables["validation"]), len(tables["test"])) == (20, 70, 10, 33)
    assert read_hidden_labels(root / "unlabelled", CLASSES, pool) is not None


def test_tiles_are_cut_and_labelled_as_the_boxes_say(source: Path, tmp_path: Path) -> None:
    """Compare with a slow search of each box's centre, written without the converter's arithmetic."""
    root = tmp_path / "root"
    convert_deeppcb(source, root, SETTINGS, progress=False)
    seen = set()
    for split, row in rows_of(root):
        stem = row["image"].removesuffix(".png")
        board, line, column = stem.split("_")
        assert row["group"] == board
        left, top = int(column[1:]) * 40, int(line[1:]) * 40
        notes = next(source.glob(f"*/*/{board}.txt"))
        photograph = cv2.imread(str(next(source.glob(f"*/*/{board}_test.jpg"))), cv2.IMREAD_GRAYSCALE)
        tile = cv2.imread(str(root / split / "images" / row["image"]), cv2.IMREAD_UNCHANGED)
        assert tile is not None
        assert photograph is not None
        assert tile.ndim == 2
        assert np.abs(tile.astype(int) - photograph[top : top + 40, left : left + 40]).max() <= 1
        expected = dict.fromkeys(CLASSES, "0")
        for note in notes.read_text(encoding="utf-8").splitlines():
            x1, y1, x2, y2, number = map(int, note.split())
            if left <= (x1 + x2) / 2 < left + 40 and top <= (y1 + y2) / 2 < top + 40:
                expected[CLASSES[number - 1]] = "1"
        assert {name: row[name] for name in CLASSES} == expected
        seen.add(stem)
    assert len(seen) == 20 + 70 + 10 + 33


def test_seed_deals_and_test_stays_when_other_counts_change(source: Path, tmp_path: Path) -> None:
    def images(name: str, settings: TileSettings) -> dict[str, list[str]]:
        convert_deeppcb(source, tmp_path / name, settings, progress=False)
        listed: dict[str, list[str]] = {"training": [], "unlabelled": [], "validation": [], "test": []}
        for split, row in rows_of(tmp_path / name):
            listed[split].append(row["image"])
        return listed

    first = images("first", SETTINGS)
    assert images("again", SETTINGS) == first
    assert images("other", replace(SETTINGS, seed=1)) != first
    fewer = images("fewer", replace(SETTINGS, unlabelled=20, training=10))
    assert fewer["test"] == first["test"]


def test_same_conversion_is_accepted_and_another_refused(source: Path, tmp_path: Path) -> None:
    convert_deeppcb(source, tmp_path / "root", SETTINGS, progress=False)
    convert_deeppcb(source, tmp_path / "root", SETTINGS, progress=False)
    with pytest.raises(DataError, match="seed is 0 there and 3 here"):
        convert_deeppcb(source, tmp_path / "root", replace(SETTINGS, seed=3), progress=False)


def test_too_many_tiles_asked_for(source: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"11 boards give 176 tiles of 40 pixels, but 193 are asked for .*unlabelled lacks"
    ):
        convert_deeppcb(source, tmp_path / "root", replace(SETTINGS, unlabelled=130), progress=False)
    assert not (tmp_path / "root").exists()


def test_tile_that_does_not_divide_the_board(source: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"`--tile 48` does not divide .*_test\.jpg of 160 x 160"):
        convert_deeppcb(source, tmp_path / "root", replace(SETTINGS, tile=48), progress=False)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("1 2 3 4", "five whole numbers"),
        ("1 2 3 4 5 6", "five whole numbers"),
        ("1 2 3.5 4 5", "five whole numbers"),
        ("a 2 3 4 5", "five whole numbers"),
        ("1 2 3 4 ٣", "five whole numbers"),
        ("1 2 3 4 0", "class from 1 to 6"),
        ("1 2 3 4 7", "class from 1 to 6"),
        ("-1 2 3 4 1", "inside the board of 160 x 160"),
        ("1 2 161 4 1", "inside the board"),
        ("5 2 5 4 1", "inside the board"),
        ("1 9 3 4 1", "inside the board"),
    ],
)
def test_wrong_row_names_file_and_row(source: Path, row: str, reason: str) -> None:
    file = make_board(source, "99000", 5, ["1 2 3 4 1", row])
    with pytest.raises(DataError, match=rf"(?s){reason}.*") as caught:
        read_boards(source)
    assert f"row 2 of {file}" in str(caught.value)


def test_commas_and_empty_rows_are_understood(source: Path) -> None:
    make_board(source, "99000", 5, ["1,2,30,40,1", "", "  "])
    board = next(board for board in read_boards(source) if board.name == "99000005")
    assert board.boxes.tolist() == [[1, 2, 30, 40, 0]]


def test_board_without_boxes_is_clean(source: Path) -> None:
    make_board(source, "99000", 5, [])
    board = next(board for board in read_boards(source) if board.name == "99000005")
    assert not board.tile_labels(40).any()


def test_missing_parts_are_named(source: Path) -> None:
    file = make_board(source, "99000", 5, [])
    photograph = file.parent.with_name("99000") / "99000005_test.jpg"
    file.rename(file.with_suffix(".bak"))
    with pytest.raises(DataError, match=r"annotation .*99000005\.txt beside its photograph"):
        read_boards(source)
    file.with_suffix(".bak").rename(file)
    photograph.unlink()
    with pytest.raises(DataError, match=r"photograph .*99000005_test\.jpg of the annotation"):
        read_boards(source)


def test_listed_board_that_is_absent(source: Path) -> None:
    (source / "test.txt").write_text("\ngroup1/1/1000.jpg group1/1_not/1000.txt\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"Row 2 of .*test\.txt lists group1/1/1000\.jpg"):
        read_boards(source)


def test_board_name_twice(source: Path) -> None:
    folder = source / "group00041"
    (source / "groupX" / "X").mkdir(parents=True)
    (source / "groupX" / "X_not").mkdir(parents=True)
    (source / "groupX" / "X" / "00041001_test.jpg").write_bytes((folder / "00041" / "00041001_test.jpg").read_bytes())
    (source / "groupX" / "X_not" / "00041001.txt").touch()
    with pytest.raises(DataError, match="each board once"):
        read_boards(source)


@pytest.mark.parametrize("keep", [0, 300])
def test_broken_photograph_is_named_and_nothing_stays(source: Path, tmp_path: Path, keep: int) -> None:
    file = next(source.glob("*/*/*001_test.jpg"))
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DataError, match=file.name):
        convert_deeppcb(source, tmp_path / "root", replace(SETTINGS, unlabelled=80), progress=False)
    assert not (tmp_path / "root").exists()
    assert not list(tmp_path.glob(".root.writing-*"))


def test_wrong_source(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DataError, match="Expected the folder PCBData"):
            convert_deeppcb(place, tmp_path / "root", SETTINGS, progress=False)


@pytest.mark.parametrize(
    ("name", "value"), [("tile", 0), ("training", 0), ("unlabelled", -1), ("seed", 1.5), ("test", True)]
)
def test_wrong_setting_names_its_flag(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"`--{name}`"):
        TileSettings(**{name: value})  # type: ignore[arg-type]
