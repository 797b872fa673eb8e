import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.data.samplers import EpochBatches, ShardBatches
from dpc_lightning.errors import ConfigError

counts = st.integers(0, 70)
sizes = st.integers(1, 12)
worlds = st.integers(1, 5)


def _ranks(count: int, size: int, world: int, **options: bool) -> list[EpochBatches]:
    return [EpochBatches(count, size, seed=3, phase=1, rank=rank, world_size=world, **options) for rank in range(world)]


@given(counts, sizes, worlds, st.booleans())
def test_ranks_have_the_same_number_of_batches_of_the_same_sizes(
    count: int, size: int, world: int, drop_last: bool
) -> None:
    ranks = [[len(batch) for batch in batches] for batches in _ranks(count, size, world, drop_last=drop_last)]
    assert all(rank == ranks[0] for rank in ranks)
    assert len(_ranks(count, size, world, drop_last=drop_last)[0]) == len(ranks[0])
    assert all(1 <= n <= size + 1 for n in ranks[0])
    if len(ranks[0]) > 1 and size > 1:
        assert min(ranks[0]) > 1
    assert bool(ranks[0]) == bool(count)


@given(counts, sizes, worlds)
def test_all_ranks_together_cover_each_image(count: int, size: int, world: int) -> None:
    seen = np.zeros(count, dtype=int)
    for batches in _ranks(count, size, world):
        for batch in batches:
            for epoch, position in batch:
                assert epoch == 0
                seen[position] += 1
    assert (seen >= 1).all()
    assert seen.sum() == -(-count // world) * world if count else True
    assert seen.sum() - count < world


@given(counts, sizes, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_order_is_a_pure_function(count: int, size: int, seed: int, phase: int, epoch: int) -> None:
    used = EpochBatches(count, size, seed=seed, phase=phase)
    list(used)
    np.random.default_rng(0).random(5)
    used.set_epoch(epoch)
    fresh = EpochBatches(count, size, seed=seed, phase=phase)
    fresh.sampler.set_epoch(epoch)
    assert list(used) == list(fresh) == list(used)
    assert all(number == epoch for batch in used for number, _ in batch)


def test_seed_phase_and_epoch_each_change_the_order() -> None:
    orders = {
        tuple(EpochBatches(30, 5, seed=seed, phase=phase).order(epoch).tolist())
        for seed in range(3)
        for phase in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 27


def test_every_place_is_equally_likely() -> None:
    batches = EpochBatches(4, 1, seed=0, phase=0)
    first = np.bincount([batches.order(epoch)[0] for epoch in range(4_000)], minlength=4)
    assert np.abs(first - 1_000).max() < 5 * np.sqrt(4_000 * 0.25 * 0.75)


def test_two_ranks_take_the_batches_of_one() -> None:
    one = list(EpochBatches(24, 8, seed=0, phase=0))
    two = [list(EpochBatches(24, 4, seed=0, phase=0, rank=rank, world_size=2)) for rank in range(2)]
    assert [sorted(batch) for batch in one] == [sorted(a + b) for a, b in zip(*two, strict=True)]


@given(st.integers(1, 70), sizes, worlds, st.data())
def test_starting_later_gives_the_rest_once(count: int, size: int, world: int, data: st.DataObject) -> None:
    for batches in _ranks(count, size, world):
        whole = list(batches)
        first = data.draw(st.integers(0, len(whole)))
        batches.start_at(first)
        assert list(batches) == whole[first:]
        assert list(batches) == whole


@pytest.mark.parametrize(
    ("count", "size", "expected"), [(1, 4, [1]), (5, 4, [5]), (9, 4, [4, 5]), (10, 4, [4, 4, 2]), (3, 1, [1, 1, 1])]
)
def test_a_last_batch_of_one_is_merged(count: int, size: int, expected: list[int]) -> None:
    assert [len(batch) for batch in EpochBatches(count, size, seed=0, phase=0)] == expected


def test_drop_last_keeps_an_only_batch() -> None:
    assert [len(batch) for batch in EpochBatches(7, 3, seed=0, phase=0, drop_last=True)] == [3, 3]
    assert [len(batch) for batch in EpochBatches(2, 3, seed=0, phase=0, drop_last=True)] == [2]


@given(counts, sizes, worlds)
def test_whole_batches_of_one_list_are_dealt_out_in_turn(count: int, size: int, world: int) -> None:
    one = list(ShardBatches(count, size))
    assert [position for batch in one for position in batch] == list(range(count))
    assert all(len(batch) == size for batch in one[:-1])
    shards = [ShardBatches(count, size, rank, world) for rank in range(world)]
    assert [list(shard) for shard in shards] == [one[rank::world] for rank in range(world)]
    assert [len(shard) for shard in shards] == [len(list(shard)) for shard in shards]


@given(counts, sizes, worlds)
def test_padded_shards_are_of_even_length_and_repeat_an_image_of_rank_0(count: int, size: int, world: int) -> None:
    shards = [ShardBatches(count, size, rank, world) for rank in range(world)]
    padded = [ShardBatches(count, size, rank, world, pad=True) for rank in range(world)]
    assert [len(shard) for shard in padded] == [len(shards[0])] * world
    assert [len(shard) for shard in padded] == [len(list(shard)) for shard in padded]
    for short, even in zip(shards, padded, strict=True):
        assert list(even)[: len(short)] == list(short)
        assert list(even)[len(short) :] in ([], [[0]])
    assert list(padded[0]) == list(shards[0])


def test_a_shard_of_a_large_pool_takes_no_memory() -> None:
    shard = ShardBatches(10**12, 256, rank=1, world_size=2)
    assert next(iter(shard)) == list(range(256, 512))
    assert len(shard) == -(-(10**12) // 512)


@pytest.mark.parametrize("values", [(-1, 2, 0, 1), (5, 0, 0, 1), (5, 2, 1, 1), (5, 2, -1, 1), (5, 2, 0, 0)], ids=str)
def test_numbers_out_of_range_are_refused(values: tuple[int, int, int, int]) -> None:
    count, size, rank, world = values
    with pytest.raises(ConfigError):
        ShardBatches(count, size, rank, world)
    with pytest.raises(ConfigError):
        EpochBatches(count, size, seed=0, phase=0, rank=rank, world_size=world)
    with pytest.raises(ConfigError):
        EpochBatches(5, 2, seed=-1, phase=0)
