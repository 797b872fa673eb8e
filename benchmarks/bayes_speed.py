"""How fast and how large are BADGE, k-means++ and the rules by dropout, against scikit-activeml and plain versions.

    OMP_NUM_THREADS=1 python -m benchmarks.bayes_speed
    OMP_NUM_THREADS=1 python -m benchmarks.bayes_speed --large  # and 1M images; writes 1 GB to the temporary folder

Ratios of processor time, measured in turn in one run: medians of 5, of 3 for scikit-activeml. Expected: BADGE at least
300 times scikit-activeml, with at most a quarter of the embeddings' bytes; every rule at most 120 s on 1M images, BADGE
at most 12 s. Needs Linux's `/proc`.
"""

import argparse
import multiprocessing
import re
import statistics
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition import (
    Acquisition,
    Badge,
    Bald,
    BatchBald,
    DropQuery,
    Head,
    KMeansPlusPlus,
    PoolView,
    VariationRatio,
)
from dpc_lightning.acquisition.badge import residuals
from dpc_lightning.acquisition.base import FloatArray
from dpc_lightning.acquisition.batch_bald import JointInformation
from dpc_lightning.acquisition.head_dropout import HeadDropout
from dpc_lightning.acquisition.picking.kmeans_plus_plus import OuterProducts
from dpc_lightning.acquisition.probability import sigmoid

CLASSES, WIDTH = 6, 512
LARGE, BLOCK = 1_000_000, 50_000


def pool_of(embeddings: FloatArray, labelled: int) -> PoolView:
    """Give a pool whose model is random."""
    rng = np.random.default_rng(0)
    return PoolView(
        indices=np.arange(len(embeddings)),
        logits=(2 * rng.standard_normal((len(embeddings), CLASSES)) - 1).astype(np.float32),
        embeddings=embeddings,
        labelled_labels=np.zeros((labelled, CLASSES), dtype=np.uint8),
        labelled_embeddings=rng.standard_normal((labelled, embeddings.shape[1])).astype(np.float32),
        f1=np.full(CLASSES, 0.5, dtype=np.float32),
        thresholds=np.full(CLASSES, 0.3, dtype=np.float32),
        budget_left=len(embeddings),
        head=Head(
            (0.1 * rng.standard_normal((CLASSES, embeddings.shape[1]))).astype(np.float32),
            np.full(CLASSES, -1, dtype=np.float32),
        ),
    )


def seconds(work: Callable[[], object]) -> float:
    """Measure processor time."""
    start = time.process_time()
    work()
    return time.process_time() - start


def compare(name: str, ours: Callable[[], object], other: Callable[[], object], repeats: int) -> None:
    """Print how many times faster the first is, both measured in turn."""
    ours()
    pairs = [(seconds(ours), seconds(other)) for _ in range(repeats)]
    mine, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(f"{name:58s} {1e3 * mine:9.1f} ms {1e3 * theirs:9.1f} ms  {theirs / mine:7.1f} times", flush=True)


def picks(rule: Acquisition, pool: PoolView, count: int) -> Callable[[], object]:
    """Give the work of picking."""
    return lambda: rule.select(pool, count, np.random.default_rng(0))


def scikit_activeml(rows: NDArray[np.float64], count: int) -> Callable[[], object]:
    """Give the work of its BADGE, which takes one label of `CLASSES` an image."""
    # imported here: the processes of the large pool must not carry it
    from skactiveml.classifier import SklearnClassifier  # noqa: PLC0415
    from skactiveml.pool import Badge as ScikitActivemlBadge  # noqa: PLC0415
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    labels = np.full(len(rows), np.nan)
    labels[: 10 * CLASSES] = np.arange(10 * CLASSES) % CLASSES
    classifier = SklearnClassifier(LogisticRegression(), classes=list(range(CLASSES)), random_state=0)
    classifier.fit(rows, labels)
    rule = ScikitActivemlBadge(random_state=0)
    return lambda: rule.query(rows, labels, classifier, fit_clf=False, batch_size=count)


def eager_badge(pool: PoolView, count: int) -> None:
    """Take a pass over the pool for each pick, with factorised gradients."""
    rng = np.random.default_rng(0)
    points = OuterProducts(residuals(pool.logits), pool.embeddings)
    nearest = points.norms.copy()
    for pick in range(count):
        row = rng.choice(len(pool), 1, p=nearest / nearest.sum())
        last = points.distances(np.arange(len(pool)), row)[:, 0]
        nearest = last if pick == 0 else np.minimum(nearest, last)


def eager_batch_bald(pool: PoolView, count: int, samples: int) -> None:
    """Compute every gain anew for each pick."""
    rng = np.random.default_rng(0)
    assert pool.head is not None
    joint = JointInformation(sigmoid(HeadDropout.draw(pool.head, samples, 0.3, rng).logits(pool.embeddings)), rng)
    for _ in range(count):
        best = int(joint.gains(np.arange(len(pool))).argmax())
        joint.observe(joint.probabilities[:, :, best])


def plain_bald(pool: PoolView, samples: int) -> None:
    """Mask the embeddings draw by draw, in float32."""
    rng = np.random.default_rng(0)
    assert pool.head is not None
    draws = []
    for _ in range(samples):
        kept = np.where(rng.random(pool.embeddings.shape[1]) >= 0.3, 1 / 0.7, 0).astype(np.float32)
        logits = (pool.embeddings * kept) @ pool.head.weight.T + pool.head.bias
        draws.append(1 / (1 + np.exp(-logits.astype(np.float64))))
    chances = np.clip(np.stack(draws), 1e-12, 1 - 1e-12)
    mean = chances.mean(axis=0)
    entropy = -mean * np.log(mean) - (1 - mean) * np.log(1 - mean)
    single = -chances * np.log(chances) - (1 - chances) * np.log(1 - chances)
    (entropy - single.mean(axis=0)).sum(axis=1)


def large(path: str, rule: Acquisition, count: int, labelled: int) -> None:
    """Print seconds and memory of picking from a memory-mapped pool."""
    pool = pool_of(np.load(path, mmap_mode="r"), labelled)
    used = seconds(picks(rule, pool, count))
    # not `getrusage`, which gives a started process the peak of the one that started it
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))
    most = int(peak[1]) / 2**20 if peak else float("nan")
    name = f"{type(rule).__name__}, 1M x 512 float16, B={count}, {labelled} labelled"
    print(f"{name:58s} {used:9.1f} s, {most:.2f} GiB resident", flush=True)


def main() -> None:
    """Run all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="1M images too")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    pool = pool_of(rng.standard_normal((10_000, WIDTH)).astype(np.float32), 1_000)
    print(f"{'':58s} {'ours':>12s} {'other':>12s}")
    compare("Badge, 10k x 512 x 6, B=100: eager", picks(Badge(), pool, 100), lambda: eager_badge(pool, 100), 5)
    theirs = scikit_activeml(pool.embeddings.astype(np.float64), 100)
    compare("Badge, 10k x 512 x 6, B=100: scikit-activeml", picks(Badge(), pool, 100), theirs, 3)
    compare("Bald, 10k x 512 x 6, T=20: draw by draw", picks(Bald(), pool, 100), lambda: plain_bald(pool, 20), 5)
    small = pool.subset(np.arange(2_000))
    compare(
        "BatchBald, 2k x 512 x 6, T=100, B=20: eager",
        picks(BatchBald(), small, 20),
        lambda: eager_batch_bald(small, 20, 100),
        5,
    )
    tracemalloc.start()
    picks(Badge(), pool, 100)()
    print(f"Badge, 10k x 512 x 6: extra memory {tracemalloc.get_traced_memory()[1] / pool.embeddings.nbytes:.2f}")
    tracemalloc.stop()
    if not arguments.large:
        return
    with TemporaryDirectory() as folder:
        path = str(Path(folder) / "rows.npy")
        rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(LARGE, WIDTH))
        for start in range(0, LARGE, BLOCK):
            rows[start : start + BLOCK] = rng.standard_normal((BLOCK, WIDTH), dtype=np.float32)
        rows.flush()
        del rows
        for rule, labelled in (
            (Badge(), 0),
            (KMeansPlusPlus(), 1_000),
            (Bald(), 0),
            (VariationRatio(), 0),
            (DropQuery(), 0),
            (BatchBald(), 0),
        ):
            process = multiprocessing.get_context("spawn").Process(target=large, args=(path, rule, 1_000, labelled))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
