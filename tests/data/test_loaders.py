import gc
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.data.datasets import AugmentedDataset, EvalDataset, Item, LabelledDataset
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.loaders import Batch, ResumableLoader, shard_loader
from dpc_lightning.data.manifest import read_labelled
from dpc_lightning.data.samplers import EpochBatches, ShardBatches
from dpc_lightning.data.transforms import Augmentation
from dpc_lightning.errors import DataError
from tests.data.sample_root import CLASSES, random_labels, write_split


class Counting(AugmentedDataset):
    """Remembers what was loaded."""

    loaded: list[tuple[int, int]]

    def __getitem__(self, key: tuple[int, int]) -> Item:
        self.loaded.append(key)
        return super().__getitem__(key)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> LabelledDataset:
    folder = tmp_path_factory.mktemp("split")
    write_split(folder, random_labels(23))
    table = read_labelled(folder)
    return LabelledDataset(ImageStore.open_or_build(table.manifest, 8, folder / ".cache"), table.labels, CLASSES)


def _loader(
    base: LabelledDataset, size: int = 4, workers: int = 0, rank: int = 0, world_size: int = 1
) -> ResumableLoader:
    dataset = Counting(base, Augmentation("full", blur=False, seed=0))
    dataset.loaded = []
    batches = EpochBatches(len(base), size, seed=0, phase=2, rank=rank, world_size=world_size)
    return ResumableLoader(dataset, batches, num_workers=workers)


def _epoch(loader: ResumableLoader, epoch: int) -> list[Batch]:
    passing = iter(loader)  # Lightning makes the iterator first and says the epoch later
    loader.batch_sampler.sampler.set_epoch(epoch)  # type: ignore[union-attr]
    return list(passing)


def _same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a["index"], b["index"])
        and torch.equal(a["image"], b["image"])
        and torch.equal(a["label"], b["label"])
        for a, b in zip(first, second, strict=True)
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 9), st.data())
def test_going_on_from_any_batch_equals_an_uninterrupted_epoch(
    base: LabelledDataset, size: int, data: st.DataObject
) -> None:
    whole = _loader(base, size)
    expected = [_epoch(whole, epoch) for epoch in range(3)]
    stop = data.draw(st.integers(0, len(whole) - 1))
    interrupted = _loader(base, size)
    _epoch(interrupted, 0)
    assert interrupted.state_dict() == {"done": 0, "images": 0}
    passing = iter(interrupted)
    interrupted.batch_sampler.set_epoch(1)  # type: ignore[union-attr]
    before = [next(passing) for _ in range(stop)]
    state = interrupted.state_dict()
    assert state == {"done": stop, "images": stop * size}
    resumed = _loader(base, size)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    rest = _epoch(resumed, 1)
    assert _same(before + rest, expected[1])
    assert len(resumed.dataset.loaded) == sum(len(batch["index"]) for batch in rest)  # type: ignore[attr-defined]
    assert resumed.done == 0
    assert _same(_epoch(resumed, 2), expected[2])


# From 3.12 on Python warns when a process that has threads forks; these workers start no thread and take no lock.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")
def test_workers_give_the_same_batches_and_can_go_on(base: LabelledDataset) -> None:
    expected = [_epoch(_loader(base), epoch) for epoch in range(3)]
    loader = _loader(base, workers=2)
    loader.load_state_dict({"done": 2, "images": 8})
    assert _same(_epoch(loader, 1), expected[1][2:])
    assert loader.done == 0
    assert _same(_epoch(loader, 2), expected[2])
    abandoned = iter(loader)
    loader.batch_sampler.set_epoch(0)  # type: ignore[union-attr]
    next(abandoned)
    assert loader.state_dict() == {"done": 1, "images": 4}
    assert _same(_epoch(loader, 1), expected[1])
    del abandoned, loader
    gc.collect()


def test_the_state_is_0_as_soon_as_the_last_batch_is_out(base: LabelledDataset) -> None:
    loader = _loader(base)
    passing = iter(loader)
    for _ in range(len(loader)):
        next(passing)
    assert loader.done == 0


def test_length_stays_that_of_the_whole_epoch(base: LabelledDataset) -> None:
    loader = _loader(base)
    loader.load_state_dict({"done": 4})
    assert len(loader) == 6
    assert len(_epoch(loader, 0)) == 2


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 9), st.integers(1, 4), st.integers(1, 4), st.data())
def test_on_another_number_of_ranks_no_image_is_left_out(
    base: LabelledDataset, size: int, before: int, now: int, data: st.DataObject
) -> None:
    old = [_loader(base, size, rank=rank, world_size=before) for rank in range(before)]
    stop = data.draw(st.integers(0, len(old[0]) - 1))
    trained: set[int] = set()
    for loader in old:
        passing = iter(loader)
        trained |= {int(index) for _ in range(stop) for index in next(passing)["index"]}
    new = [_loader(base, size, rank=rank, world_size=now) for rank in range(now)]
    for loader in new:
        loader.load_state_dict(old[0].state_dict())
    assert {loader.done for loader in new} == {new[0].done}
    assert 0 <= new[0].done < len(new[0])
    rest = [int(index) for loader in new for batch in _epoch(loader, 0) for index in batch["index"]]
    assert trained | set(rest) == set(range(len(base)))
    again = len(trained & set(rest))
    assert again < now * (size + 1) + max(before, now)  # fewer than a step, a last merged batch, and what evens ranks
    if before == now:
        assert again < now


@pytest.mark.parametrize("done", [-1, 6, 99])
def test_a_state_of_another_phase_is_refused(base: LabelledDataset, done: int) -> None:
    with pytest.raises(DataError, match="another phase"):
        _loader(base).load_state_dict({"done": done})
    with pytest.raises(DataError, match="another phase"):
        _loader(base).load_state_dict({"done": done, "images": done * 8})  # of two ranks


def test_loading_draws_nothing_from_the_global_generators(base: LabelledDataset) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    words = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002  the global one is meant
    _epoch(_loader(base), 0)
    list(shard_loader(EvalDataset(base), ShardBatches(len(base), 4)))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state(legacy=False)["state"]["key"], words)  # noqa: NPY002  as above


def test_a_shard_is_stacked_in_order(base: LabelledDataset) -> None:
    batches = list(shard_loader(EvalDataset(base), ShardBatches(len(base), 4, rank=1, world_size=2), pin_memory=True))
    rows = torch.cat([batch["row"] for batch in batches])
    assert rows.tolist() == [*range(4, 8), *range(12, 16), *range(20, 23)]
    assert batches[0]["image"].shape == (4, 3, 8, 8)
    assert batches[0]["label"].dtype == torch.float32


def test_a_broken_image_in_a_plain_folder_reaches_the_caller(tmp_path: Path) -> None:
    from dpc_lightning.data.datasets import FolderDataset

    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"a\.png"):
        list(shard_loader(FolderDataset(tmp_path, 8), ShardBatches(1, 1)))
