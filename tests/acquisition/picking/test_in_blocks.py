"""Passes in several threads give what one thread gives."""

import os
import threading
from collections.abc import Callable

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from dpc_lightning.acquisition import (
    Acquisition,
    Badge,
    ClassQuota,
    KCenter,
    KMeansPlusPlus,
    MeanEntropy,
    scored,
)
from dpc_lightning.acquisition.picking import farthest_first, kmeans_plus_plus, unit_rows
from dpc_lightning.acquisition.picking.in_blocks import in_blocks, thread_count
from tests.acquisition.pools import random_pool


def blas_threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.mark.parametrize("threads", ["1", "3"])
def test_results_come_in_the_order_of_the_blocks(monkeypatch: pytest.MonkeyPatch, threads: str) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert in_blocks(lambda block: (block.start, block.stop), 10, 4) == [(0, 4), (4, 8), (8, 10)]
    assert in_blocks(lambda block: block.start, 0, 4) == []


def test_blocks_run_at_once_and_each_on_one_thread_of_blas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    before = blas_threads()
    both = threading.Barrier(2, timeout=20)

    def meet(block: slice) -> set[int]:
        both.wait()  # never, if there were one thread
        return blas_threads() if block.start == 0 else {1}

    assert in_blocks(meet, 2, 1) == [{1}, {1}]
    assert blas_threads() == before


def test_an_error_in_a_block_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")

    def fail(block: slice) -> None:
        if block.start == 3:
            raise ValueError("block 3")

    with pytest.raises(ValueError, match="block 3"):
        in_blocks(fail, 8, 1)


@pytest.mark.parametrize(("given", "expected"), [("3", 3), ("0", None), ("", None), ("many", None), ("-2", None)])
def test_the_number_of_threads_is_that_of_openmp_or_of_the_processors(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: int | None
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert thread_count() == (expected or len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("rule", [KCenter, Badge, KMeansPlusPlus, ClassQuota, MeanEntropy])
def test_picks_are_the_same_with_several_threads(
    monkeypatch: pytest.MonkeyPatch, rule: Callable[[], Acquisition]
) -> None:
    monkeypatch.setattr(scored, "LARGE", 100)
    for module in (farthest_first, kmeans_plus_plus, scored, unit_rows):
        monkeypatch.setattr(module, "ROWS", 64)
    pool = random_pool(2_000, labelled=70, width=24)
    picks = []
    for threads in ("1", "4"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        picks.append(rule().select(pool, 60, np.random.default_rng(0)))
    assert (picks[0].indices == picks[1].indices).all()
    assert (picks[0].scores == picks[1].scores).all()
