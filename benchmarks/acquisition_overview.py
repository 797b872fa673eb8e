"""How long each rule takes, against one read of the pool's embeddings.

Run it from the repository with `OMP_NUM_THREADS=1 python -m benchmarks.acquisition_overview`. It prints the median of
CPU milliseconds and its ratio to one read (the sum of all embeddings). The pool has half of its images in groups of
twelve near duplicates; 1,000 images are labelled.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from dpc_lightning.acquisition import (
    Acquisition,
    Badge,
    ClassQuota,
    ExpectedGain,
    HardClass,
    MeanEntropy,
    PoolView,
    Random,
)

CASES = ((10_000, 512, 100), (100_000, 256, 1_000))


def pool_of(rows: int, width: int, labelled: int = 1_000, classes: int = 6) -> PoolView:
    """Make a pool with near duplicates."""
    rng = np.random.default_rng(0)
    logits = (2 * rng.standard_normal((rows, classes)) - 1.5).astype(np.float32)
    embeddings = rng.standard_normal((rows, width)).astype(np.float32)
    origin = rng.integers(rows // 2, rows, rows // 24).repeat(12)
    twins = len(origin)
    embeddings[:twins] = embeddings[origin] + 0.1 * rng.standard_normal((twins, width)).astype(np.float32)
    logits[:twins] = logits[origin] + 0.1 * rng.standard_normal((twins, classes)).astype(np.float32)
    return PoolView(
        indices=np.arange(rows),
        logits=logits,
        embeddings=np.maximum(embeddings + 0.5, 0),
        labelled_labels=(rng.random((labelled, classes)) < 0.2).astype(np.uint8),
        labelled_embeddings=np.maximum(rng.standard_normal((labelled, width)) + 0.5, 0).astype(np.float32),
        f1=np.linspace(0.3, 0.8, classes, dtype=np.float32),
        thresholds=np.full(classes, 0.5, dtype=np.float32),
        budget_left=rows,
    )


def milliseconds(work: Callable[[], object], repeats: int = 5) -> float:
    """Median CPU time."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(1_000 * (time.process_time() - start))
    return statistics.median(times)


def select(rule: Acquisition, pool: PoolView, count: int) -> None:
    """Pick with a fixed generator."""
    rule.select(pool, count, np.random.default_rng(0))


def main() -> None:
    """Print the table."""
    rules = (Random(), MeanEntropy(), HardClass(), Badge(), ClassQuota(), ExpectedGain())
    for rows, width, count in CASES:
        pool = pool_of(rows, width)
        read = milliseconds(pool.embeddings.sum)
        print(f"{rows:,} x {width}, {count:,} picks; one read {read:.1f} ms")
        for rule in rules:
            spent = milliseconds(partial(select, rule, pool, count))
            print(f"  {type(rule).__name__:14} {spent:9.1f} ms {spent / read:9.1f} reads")


if __name__ == "__main__":
    main()
