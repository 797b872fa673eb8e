import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.data import manifest as module
from dpc_lightning.data.manifest import (
    Manifest,
    check_groups,
    list_images,
    read_hidden_labels,
    read_labelled,
    read_pool,
)
from dpc_lightning.errors import DataError
from tests.data.sample_root import CLASSES, random_labels, write_split


def _relabel(folder: Path, text: str) -> None:
    (folder / "labels.csv").write_text(text, encoding="utf-8")


def test_a_split_is_read_in_the_order_of_its_file(tmp_path: Path) -> None:
    labels = random_labels(5)
    write_split(tmp_path / "training", labels, groups=list("aabbc"))
    table = read_labelled(tmp_path / "training")
    assert table.classes == CLASSES
    assert table.manifest.groups == tuple("aabbc")
    assert np.array_equal(table.labels, labels)
    assert [table.manifest.path(index).is_file() for index in range(5)] == [True] * 5
    lines = (tmp_path / "training/labels.csv").read_text().splitlines()
    _relabel(tmp_path / "training", "\n".join([lines[0], *lines[:0:-1]]))
    again = read_labelled(tmp_path / "training", CLASSES)
    assert again.manifest.images == table.manifest.images[::-1]
    assert np.array_equal(again.labels, labels[::-1])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("image,dent\n", "header only"),
        ("image\n0000.png\n0001.png\n", "0/1 column for each class"),
        ("image,dent\n0000.png,1\n0001.png,1\n0000.png,0\n", r"'0000.png' is in lines 2 and 4"),
        ("image,dent\n0000.png,1\n", r"1 are not listed: 0001.png"),
        ("image,dent\n0000.png,1\n0001.png,1\nx.png,1\n", r"1 are not there: x.png \(line 4\)"),
        ("image,dent\n../0000.png,1\n", "Paths are not allowed"),
        ("image,dent\n..,1\n", "Paths are not allowed"),
        ("image,dent\nimages\\0000.png,1\n", "Paths are not allowed"),
        ("image,dent\n/etc/passwd,1\n", "Paths are not allowed"),
        ("image,dent\n,1\n", "line 2"),
        ("image,group,dent\n0000.png,a,1\n0001.png, ,1\n", "group in line 3"),
        ("image,dent\n0000.png,1\n0001.png,2\n", "line 3, column `dent`"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, text: str, match: str) -> None:
    write_split(tmp_path, random_labels(2))
    _relabel(tmp_path, text)
    with pytest.raises(DataError, match=match) as error:
        read_labelled(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_missing_folders_are_named(tmp_path: Path) -> None:
    for read in (read_labelled, read_pool):
        with pytest.raises(DataError, match=r"--data.root"):
            read(tmp_path / "training")
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match=r"labels.csv with the columns"):
        read_labelled(tmp_path)


def test_classes_must_be_those_of_training(tmp_path: Path) -> None:
    write_split(tmp_path / "test", random_labels(2), classes=("dent", "scratch", "particle"))
    with pytest.raises(DataError, match=r"order \['dent', 'scratch', 'particle'\]"):
        read_labelled(tmp_path / "test", CLASSES)


def test_the_pool_is_read_without_looking_at_labels(tmp_path: Path) -> None:
    write_split(tmp_path, random_labels(3))
    lines = (tmp_path / "labels.csv").read_text().splitlines()
    _relabel(tmp_path, "\n".join([lines[0], *(line.split(",")[0] + ",no,label,here" for line in lines[1:])]))
    pool = read_pool(tmp_path)
    assert pool.images == ("0000.png", "0001.png", "0002.png")
    assert not (tmp_path / "index.csv").exists()
    with pytest.raises(DataError, match="Expected 0 or 1"):
        read_hidden_labels(tmp_path, CLASSES, pool)


def test_hidden_labels(tmp_path: Path) -> None:
    labels = random_labels(3)
    write_split(tmp_path / "a", labels)
    pool = read_pool(tmp_path / "a")
    assert np.array_equal(read_hidden_labels(tmp_path / "a", CLASSES, pool), labels)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="rows have changed"):
        read_hidden_labels(tmp_path / "a", CLASSES, Manifest(tmp_path / "a", pool.images[::-1]))
    with pytest.raises(DataError, match="missing"):
        read_hidden_labels(tmp_path / "a", ("other",), pool)
    write_split(tmp_path / "b", None, count=3)
    assert read_hidden_labels(tmp_path / "b", CLASSES, read_pool(tmp_path / "b")) is None
    _relabel(tmp_path / "b", "image\n0000.png\n0001.png\n0002.png\n")
    assert read_hidden_labels(tmp_path / "b", CLASSES, read_pool(tmp_path / "b")) is None


def test_an_index_is_given_once_and_for_ever(tmp_path: Path) -> None:
    write_split(tmp_path, None, count=3)
    first = read_pool(tmp_path)
    assert first.images == ("0000.png", "0001.png", "0002.png")
    written = (tmp_path / "index.csv").stat().st_mtime_ns
    assert read_pool(tmp_path) == first
    assert (tmp_path / "index.csv").stat().st_mtime_ns == written
    shutil.copy(tmp_path / "images/0000.png", tmp_path / "images/,0.png")
    grown = read_pool(tmp_path)
    assert grown.images == (*first.images, ",0.png")
    assert grown.fingerprint(3) == first.fingerprint()
    (tmp_path / "images/0001.png").unlink()
    with pytest.raises(DataError, match=r"are gone: 0001\.png"):
        read_pool(tmp_path)


def test_labels_that_come_later_must_keep_the_indices(tmp_path: Path) -> None:
    write_split(tmp_path, None, count=2)
    read_pool(tmp_path)
    _relabel(tmp_path, "image\n0001.png\n0000.png\n")
    with pytest.raises(DataError, match="frozen at first use"):
        read_pool(tmp_path)
    _relabel(tmp_path, "image\n0000.png\n0001.png\n")
    assert len(read_pool(tmp_path)) == 2


def test_two_processes_that_index_at_once_agree(tmp_path: Path) -> None:
    write_split(tmp_path, None, count=40)
    with ThreadPoolExecutor(8) as threads:
        pools = list(threads.map(read_pool, [tmp_path] * 8))
    assert all(pool == pools[0] for pool in pools)
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_that_cannot_be_written_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    write_split(tmp_path, None, count=1)
    monkeypatch.setattr(module, "write_atomically", refuse)
    with pytest.raises(DataError, match=r"index.csv.*Permission denied.*writable"):
        read_pool(tmp_path)


def test_an_empty_pool_is_legal(tmp_path: Path) -> None:
    write_split(tmp_path / "a", None)
    assert len(read_pool(tmp_path / "a")) == 0
    assert len(read_pool(tmp_path / "a")) == 0
    write_split(tmp_path / "b", random_labels(0))
    pool = read_pool(tmp_path / "b")
    hidden = read_hidden_labels(tmp_path / "b", CLASSES, pool)
    assert hidden is not None
    assert hidden.shape == (0, len(CLASSES))


def test_hidden_files_are_left_out_and_odd_names_refused(tmp_path: Path) -> None:
    write_split(tmp_path, random_labels(1))
    (tmp_path / "images/.DS_Store").touch()
    assert list_images(tmp_path) == ["0000.png"]
    (tmp_path / "images" / "\udcff.png").touch()
    with pytest.raises(DataError, match="UTF-8"):
        list_images(tmp_path)


@given(st.lists(st.text(min_size=1), unique=True), st.data())
def test_fingerprint_tells_any_change_of_an_index(names: list[str], data: st.DataObject) -> None:
    before = Manifest(Path("pool"), tuple(names))
    count = data.draw(st.integers(0, len(names)))
    after = Manifest(Path("elsewhere"), tuple(names[:count]))
    assert before.fingerprint(count) == after.fingerprint()
    shuffled = tuple(data.draw(st.permutations(names)))
    assert (Manifest(Path("pool"), shuffled).fingerprint() == before.fingerprint()) == (shuffled == before.images)
    with pytest.raises(DataError, match="missing rows"):
        before.fingerprint(len(names) + 1)


def test_names_are_kept_apart_in_the_fingerprint() -> None:
    assert Manifest(Path(), ("ab", "c")).fingerprint() != Manifest(Path(), ("a", "bc")).fingerprint()


def test_a_group_stays_in_one_split() -> None:
    training = Manifest(Path("training"), ("a.png", "b.png"), ("board 1", "board 2"))
    check_groups({"training": training, "test": Manifest(Path("test"), ("a.png",), ("board 3",))})
    check_groups({"training": training, "test": Manifest(Path("test"), ("a.png",))})
    with pytest.raises(DataError, match=r"'board 2' is in training \(b.png\) and in test \(c.png\)"):
        check_groups({"training": training, "test": Manifest(Path("test"), ("c.png",), ("board 2",))})
