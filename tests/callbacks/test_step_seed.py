"""The seed of a training step: a function of seed, step and rank, and of nothing else."""

from types import SimpleNamespace
from typing import Any, cast

import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import LightningModule

from dpc_lightning.callbacks.step_seed import StepSeed

MODULE = cast("LightningModule", None)


def drawn(seed: int, step: int, rank: int) -> list[float]:
    stage: Any = SimpleNamespace(global_step=step, global_rank=rank)
    StepSeed(seed).on_train_batch_start(stage, MODULE, None, 0)
    return [float(value) for value in torch.rand(4)]


@given(st.integers(0, 2**31), st.integers(0, 10**7), st.integers(0, 512))
def test_the_same_place_draws_the_same_whatever_was_drawn_before(seed: int, step: int, rank: int) -> None:
    first = drawn(seed, step, rank)
    torch.rand(3)
    assert drawn(seed, step, rank) == first


def test_seed_step_and_rank_all_count() -> None:
    places = [(seed, step, rank) for seed in range(3) for step in range(5) for rank in range(3)]
    assert len({tuple(drawn(*place)) for place in places}) == len(places)
