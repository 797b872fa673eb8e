import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.data.data_root import DataRoot, open_root
from dpc_lightning.errors import DataError
from tests.data.sample_root import CLASSES, random_labels, write_root, write_split


def _open(root: Path, fraction: float = 0.2, seed: int = 0) -> DataRoot:
    return open_root(root, 8, root / ".cache", validation_fraction=fraction, seed=seed)


def test_validation_is_set_aside_from_training(tmp_path: Path) -> None:
    root = write_root(tmp_path)
    data = _open(root)
    assert data.classes == CLASSES
    assert sorted([*data.labelled.rows, *data.validation.rows]) == list(range(20))
    assert len(data.validation) == pytest.approx(4, abs=1)
    assert {data.validation.source(0), data.test.source(0)} == {"training", "test"}
    assert np.array_equal(_open(root).validation.rows, data.validation.rows)
    assert not np.array_equal(_open(root, seed=1).validation.rows, data.validation.rows)
    assert (len(data.pool), len(data.pool_store), len(data.test)) == (15, 15, 7)


def test_a_validation_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    data = _open(write_root(tmp_path, validation=6))
    assert len(data.labelled) == 20
    assert len(data.validation) == 6
    assert data.validation.source(0) == "validation"


def test_a_missing_root_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"--data.root.*--data.generator"):
        _open(tmp_path / "no")


@pytest.mark.parametrize("split", ["training", "unlabelled", "test"])
def test_a_missing_split_is_named(tmp_path: Path, split: str) -> None:
    root = write_root(tmp_path)
    shutil.rmtree(root / split)
    with pytest.raises(DataError, match=split):
        _open(root)
    assert not (root / ".cache").exists()


def test_an_empty_pool_opens(tmp_path: Path) -> None:
    assert len(_open(write_root(tmp_path, pool=0)).pool_store) == 0


@pytest.mark.parametrize("split", ["test", "validation"])
def test_another_order_of_classes_is_refused(tmp_path: Path, split: str) -> None:
    root = write_root(tmp_path, validation=4)
    file = root / split / "labels.csv"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([f"image,{','.join(CLASSES[::-1])}", *lines[1:]]))
    with pytest.raises(DataError, match="order"):
        _open(root)


def test_a_group_in_two_splits_is_refused(tmp_path: Path) -> None:
    root = write_root(tmp_path, test=0)
    write_split(root / "test", random_labels(4), groups=list("aabb"))
    file = root / "unlabelled/labels.csv"
    with file.open() as stream:
        rows = list(csv.reader(stream))
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([[*rows[0], "group"], *([*row, "b"] for row in rows[1:])])
    with pytest.raises(DataError, match=r"group 'b' is in unlabelled \(.*\) and in test \(0002.png\)"):
        _open(root)
