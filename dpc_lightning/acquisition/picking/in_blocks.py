"""Passes over a pool, block by block, in as many threads as the process may use."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

__all__ = ["in_blocks", "thread_count"]

Result = TypeVar("Result")


def thread_count() -> int:
    """Give the number of threads for passes: `OMP_NUM_THREADS` if it is set, or the processors of this process."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_blocks(work: Callable[[slice], Result], rows: int, size: int) -> list[Result]:
    """Work on blocks of rows, several at once.

    Each block is worked on by one thread, whose products run on that thread alone: so the results are those of one
    thread, to the last bit, and threads of BLAS do not get into each other's way. NumPy lets others run while it
    computes and converts.

    Args:
        work: what is done with a block; it may write to places that belong to the block.
        rows: how many.
        size: rows in a block; the last one may be shorter.

    Returns:
        What `work` gave, in the order of the blocks.

    Example:
        >>> in_blocks(lambda block: block.stop - block.start, rows=10, size=4)
        [4, 4, 2]
    """
    blocks = [slice(start, min(start + size, rows)) for start in range(0, rows, size)]
    threads = min(thread_count(), len(blocks))
    if threads <= 1:
        return [work(block) for block in blocks]
    with _libraries().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, blocks))


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
