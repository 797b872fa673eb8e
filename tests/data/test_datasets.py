from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from dpc_lightning.data.datasets import (
    AggregatedDataset,
    AugmentedDataset,
    EvalDataset,
    FolderDataset,
    LabelledDataset,
    OwnedDataset,
    UnlabelledDataset,
)
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.manifest import read_labelled, read_pool
from dpc_lightning.data.transforms import Augmentation
from dpc_lightning.errors import DataError
from tests.data.sample_root import CLASSES, random_labels, write_root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("root"), training=9, pool=12, test=0)


@pytest.fixture(scope="module")
def labelled(root: Path) -> LabelledDataset:
    table = read_labelled(root / "training")
    return LabelledDataset(ImageStore.open_or_build(table.manifest, 8, root / ".cache"), table.labels, CLASSES)


@pytest.fixture(scope="module")
def pool(root: Path) -> ImageStore:
    return ImageStore.open_or_build(read_pool(root / "unlabelled"), 8, root / ".cache")


def _reachable(thing: object) -> Iterator[object]:
    """Everything that can be reached from an object by attributes, keys and elements."""
    waiting, seen = [thing], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, (str, bytes, int, float, type)):
            continue
        seen.add(id(one))
        yield one
        waiting += vars(one).values() if hasattr(one, "__dict__") else []
        waiting += [*one.keys(), *one.values()] if isinstance(one, dict) else []
        waiting += one if isinstance(one, (list, tuple, set)) else []
        base = getattr(one, "base", None)
        waiting += [] if base is None else [base]


def _label_tables(thing: object, count: int) -> list[object]:
    shapes = [one for one in _reachable(thing) if getattr(one, "ndim", 0) == 2]
    return [one for one in shapes if one.shape == (count, len(CLASSES))]  # type: ignore[attr-defined]


def test_no_label_is_reachable_from_unlabelled_images(pool: ImageStore, labelled: LabelledDataset) -> None:
    assert _label_tables(labelled, len(labelled))  # the search finds labels where there are some
    unlabelled = UnlabelledDataset(pool, exclude=[3, 4])
    assert _label_tables(unlabelled, len(pool)) == []
    assert {one.ndim for one in _reachable(unlabelled) if isinstance(one, np.ndarray)} == {1, 4}
    assert set(unlabelled[0]) == {"index", "image"}


def test_items_of_a_labelled_split(labelled: LabelledDataset) -> None:
    item = labelled[2]
    assert item["index"] == 2
    assert item["image"].dtype == torch.uint8
    assert np.array_equal(item["image"].numpy(), labelled.pixels(2).transpose(2, 0, 1))
    assert item["label"].dtype == torch.float32
    assert item["label"].tolist() == labelled.labels[2].tolist()
    assert len(list(labelled)) == 9  # type: ignore[call-overload]


def test_rows_keep_their_manifest_index(labelled: LabelledDataset) -> None:
    part = LabelledDataset(labelled._store, labelled.labels, CLASSES, rows=[7, 2])
    assert [item["index"] for item in (part[0], part[1])] == [7, 2]
    assert np.array_equal(part.labels, labelled.labels[[7, 2]])
    assert torch.equal(part[0]["image"], labelled[7]["image"])


@given(st.sets(st.integers(0, 11)))
@settings(deadline=None)
def test_what_is_bought_leaves_the_unlabelled_images(pool: ImageStore, bought: set[int]) -> None:
    unlabelled = UnlabelledDataset(pool, exclude=list(bought))
    assert [unlabelled[place]["index"] for place in range(len(unlabelled))] == sorted(set(range(12)) - bought)


@given(st.lists(st.integers(0, 11), unique=True))
@settings(deadline=None)
def test_aggregated_is_training_then_purchases_in_order(
    labelled: LabelledDataset, pool: ImageStore, bought: list[int]
) -> None:
    labels = random_labels(12, seed=5)[bought]
    both = AggregatedDataset(labelled, pool, bought, labels)
    assert len(both) == 9 + len(bought)
    assert [both[place]["index"] for place in range(9, len(both))] == bought
    assert [both.source(place) for place in range(len(both))] == ["training"] * 9 + ["unlabelled"] * len(bought)
    assert np.array_equal(both.labels, np.concatenate([labelled.labels, labels]))
    for place, index in enumerate(bought, 9):
        assert np.array_equal(both[place]["image"].numpy(), pool.array[index].transpose(2, 0, 1))
        assert both[place]["label"].tolist() == both.labels[place].tolist()


def test_wrong_purchases_are_refused(labelled: LabelledDataset, pool: ImageStore) -> None:
    good = np.zeros((2, len(CLASSES)))
    for indices in ([1, 1], [0, 12], [-1, 2], [0.0, 1.0], [[0, 1]]):
        with pytest.raises(DataError, match="distinct whole numbers from 0 to 11"):
            AggregatedDataset(labelled, pool, indices, good)
    for labels in (good[:1], good[:, :1], good + 0.5, good * np.nan, good[0]):
        with pytest.raises(DataError, match=r"shape \(2, 3\)"):
            AggregatedDataset(labelled, pool, [0, 1], labels)
    with pytest.raises(DataError):
        UnlabelledDataset(pool, exclude=[12])
    with pytest.raises(DataError):
        LabelledDataset(pool, good, CLASSES)


def test_positions_outside_are_refused(labelled: LabelledDataset, pool: ImageStore) -> None:
    datasets: list[OwnedDataset | UnlabelledDataset | EvalDataset] = [
        labelled,
        AggregatedDataset(labelled, pool, [], []),
        UnlabelledDataset(pool),
        EvalDataset(labelled),
    ]
    for dataset in datasets:
        for position in (-1, len(dataset)):
            with pytest.raises(IndexError, match="Expected a position"):
                dataset[position]


def test_augmentation_is_keyed_by_epoch_source_and_index(labelled: LabelledDataset, pool: ImageStore) -> None:
    both = AggregatedDataset(labelled, pool, [4], np.ones((1, 3)))
    augment = Augmentation("full", blur=False, seed=2)
    augmented = AugmentedDataset(both, augment)
    assert len(augmented) == 10
    assert np.array_equal(augmented.labels, both.labels)
    for position, source, index in ((3, "training", 3), (9, "unlabelled", 4)):
        expected = augment(both.pixels(position), epoch=6, source=source, index=index)
        item = augmented[6, position]
        assert np.array_equal(item["image"].numpy(), expected.transpose(2, 0, 1))
        assert item["index"] == index
    with pytest.raises(IndexError):
        augmented[0, 10]


def test_evaluation_knows_its_row_and_may_change_pixels(labelled: LabelledDataset) -> None:
    part = LabelledDataset(labelled._store, labelled.labels, CLASSES, rows=[7, 2], source="validation")
    item = EvalDataset(part, lambda pixels: pixels // 2)[1]
    assert (item["row"], item["index"]) == (1, 2)
    assert torch.equal(item["image"], part[1]["image"] // 2)


def test_items_do_not_share_memory_with_the_store(labelled: LabelledDataset) -> None:
    item = labelled[0]
    item["image"].zero_()
    item["label"].fill_(9)
    assert labelled[0]["image"].any()
    assert labelled[0]["label"].max() <= 1


def test_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").touch()
    with pytest.raises(DataError, match="suffix of an image"):
        FolderDataset(tmp_path, 8)
    for name, grey in (("b.PNG", 10), ("a.jpg", 200)):
        Image.new("L", (20, 12), grey).save(tmp_path / name)
    dataset = FolderDataset(tmp_path, 8)
    assert dataset.names == ("a.jpg", "b.PNG")
    assert dataset[1]["name"] == "b.PNG"
    assert dataset[1]["image"].shape == (3, 8, 8)
    assert (dataset[1]["image"] == 10).all()
    (tmp_path / "c.png").touch()
    with pytest.raises(DataError, match=r"c\.png"):
        FolderDataset(tmp_path, 8)[2]
    with pytest.raises(DataError, match="not there"):
        FolderDataset(tmp_path / "no", 8)
