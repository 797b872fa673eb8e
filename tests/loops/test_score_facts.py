"""Facts of scores: digests that notice a bit, and shares that are those of the loader."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from dpc_lightning.data.samplers import ShardBatches
from dpc_lightning.loops.score_facts import ScoreFacts, pool_digest, weights_digest


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_one_bit_of_a_weight_or_a_statistic_changes_the_digest(dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).to(dtype)
    network.to(memory_format=torch.channels_last)
    before = weights_digest(network)
    assert weights_digest(deepcopy(network)) == before
    for name in ("0.weight", "0.bias", "1.running_var", "1.num_batches_tracked"):
        other = deepcopy(network)
        value = other.state_dict()[name]
        value[(0,) * value.ndim] += 2**-6 if value.is_floating_point() else 1
        assert weights_digest(other) != before, name


def test_other_images_or_names_change_the_digest_of_the_pool() -> None:
    digests = {
        pool_digest(name, np.array(indices)) for name in ("a", "b") for indices in ([0, 1, 2], [0, 1, 3], [0, 1], [])
    }
    assert len(digests) == 8


@pytest.mark.parametrize(("images", "batch", "world"), [(0, 4, 2), (1, 4, 3), (23, 4, 1), (23, 4, 2), (24, 4, 7)])
def test_the_shares_are_those_of_the_loader(images: int, batch: int, world: int) -> None:
    facts = ScoreFacts(1, {"logits": 6}, "", "", images, batch, world, "cpu")
    for rank in range(world):
        for skip in range(facts.share(rank) + 1):
            loaded = list(ShardBatches(images, batch, rank, world, skip=skip))
            assert loaded == [list(range(*facts.rows(rank, number))) for number in range(skip, facts.share(rank))]
        start, stop = facts.rows(rank, facts.share(rank))
        assert start == stop
