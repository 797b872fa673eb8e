"""Rules against their peers: scikit-activeml, a plain eager version, or one read of the pool.

    OMP_NUM_THREADS=1 python -m benchmarks.acquisition_speed
    OMP_NUM_THREADS=1 python -m benchmarks.acquisition_speed --cases k_center typi_clust

Ours, the peer and the probe (`torch.sum` over the pool, once for each pick) take turns in one process; medians of
`--repeats` of CPU seconds, and ratios. scikit-activeml is in the extra `[test]`. Rules without a peer here:
`acquisition_scale.py`, `bayes_speed.py` (which has `Badge`). The case `small_text` needs
`pip install --no-deps small-text==1.4.1`.
"""

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from skactiveml.pool import CoreSet, ProbCover, TypiClust
from skactiveml.utils import MISSING_LABEL

from dpc_lightning import acquisition
from dpc_lightning.acquisition import Acquisition, PoolView
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

Rows = NDArray[np.float32]
Work = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """What is compared: ours, the peer if there is one, and the probe if there is one."""

    name: str
    ours: Work
    peer: Work | None
    probe: Work | None


def clustered(images: int, width: int, seed: int = 0) -> Rows:
    """Make features of 200 clusters of unequal size, latent dimension 20, through two layers with ReLU."""
    rng = np.random.default_rng(seed)
    centres, shares = 2 * rng.standard_normal((200, 20)), 1 / np.arange(1, 201)
    latent = centres[rng.choice(200, images, p=shares / shares.sum())] + rng.standard_normal((images, 20))
    first, second = rng.standard_normal((20, 128)) / 20**0.5, rng.standard_normal((128, width)) / 128**0.5
    rows = np.maximum(np.maximum(latent @ first, 0) @ second, 0) + 0.02 * rng.standard_normal((images, width))
    narrow: Rows = rows.astype(np.float32)
    return narrow


def pool_of(embeddings: Rows, owned: Rows, classes: int = 6) -> PoolView:
    """Make a pool of these features."""
    rng = np.random.default_rng(0)
    return PoolView(
        indices=np.arange(len(embeddings)),
        logits=(2 * rng.standard_normal((len(embeddings), classes)) - 1.5).astype(np.float32),
        embeddings=embeddings,
        labelled_labels=(rng.random((len(owned), classes)) < 0.2).astype(np.uint8),
        labelled_embeddings=owned,
        f1=np.linspace(0.3, 0.8, classes, dtype=np.float32),
        thresholds=np.full(classes, 0.5, dtype=np.float32),
        budget_left=len(embeddings),
        bought=len(owned),
    )


def select(rule: Acquisition, pool: PoolView, count: int) -> Work:
    """Give the work of picking with a fixed generator."""
    return lambda: rule.select(pool, count, np.random.default_rng(0))


def query(rule: object, rows: Rows, owned: Rows, count: int) -> Work:
    """Give the work of scikit-activeml's picking."""
    both = np.concatenate([owned, rows])
    labels = np.concatenate([np.arange(len(owned)) % 6, np.full(len(rows), MISSING_LABEL)]).astype(float)
    return lambda: rule.query(both, labels, batch_size=count)  # type: ignore[attr-defined]


def reads(rows: Rows, times: int) -> Work:
    """Give the work of reading the pool so many times."""
    tensor = torch.from_numpy(rows)

    def work() -> None:
        for _ in range(times):
            torch.sum(tensor)

    return work


def k_center() -> list[Case]:
    """k-center against scikit-activeml's CoreSet, and against as many reads of the pool as there are picks."""
    cases = []
    for kind, images, width, picks, labelled in (
        ("isotropic", 10_000, 512, 100, 0),
        ("clustered", 10_000, 512, 100, 0),
        ("isotropic", 10_000, 512, 100, 1_000),
        ("clustered", 10_000, 512, 100, 1_000),
        ("clustered", 50_000, 512, 100, 0),
        ("clustered", 10_000, 1_280, 500, 0),
    ):
        rng = np.random.default_rng(1)
        every = clustered(images + labelled, width)
        if kind == "isotropic":
            every = rng.standard_normal((images + labelled, width), dtype=np.float32)
        rows, owned = every[labelled:].copy(), every[:labelled].copy()
        name = f"KCenter {kind} {images:,} x {width}, {picks} picks, {labelled:,} labelled"
        ours = select(acquisition.KCenter(), pool_of(rows, owned), picks)
        cases.append(Case(name, ours, query(CoreSet(random_state=0), rows, owned, picks), reads(rows, picks)))
    return cases


def small_text() -> list[Case]:
    """k-center against small-text's greedy coreset, which compares every image with every centre for every pick.

    It needs a labelled image to begin with. The name of a case says how many picks are the same.
    """
    from small_text.query_strategies.coresets import greedy_coreset  # noqa: PLC0415

    cases = []
    for labelled in (1, 1_000):
        every = clustered(10_000 + labelled, 512)
        rows, owned = every[labelled:].copy(), every[:labelled].copy()
        both, numbers = np.concatenate([rows, owned]), np.arange(len(every))
        pool = pool_of(rows, owned)

        def peer(both: Rows = both, numbers: NDArray[np.int64] = numbers) -> NDArray[np.int64]:
            found: NDArray[np.int64] = greedy_coreset(both, numbers[:10_000], numbers[10_000:], 100, "euclidean")
            return found

        same = peer() == acquisition.KCenter().select(pool, 100, np.random.default_rng(0)).indices
        name = f"KCenter clustered 10,000 x 512, 100 picks, {labelled:,} labelled; small-text ({same.sum()} the same)"
        cases.append(Case(name, select(acquisition.KCenter(), pool, 100), peer, None))
    return cases


def typi_clust() -> list[Case]:
    """TypiClust against scikit-activeml's."""
    cases = []
    for labelled in (0, 1_000):
        every = clustered(10_000 + labelled, 512)
        rows, owned = every[labelled:].copy(), every[:labelled].copy()
        rule = acquisition.TypiClust(clusters=2_000)  # as many clusters as the peer makes
        peer = query(TypiClust(random_state=0), rows, owned, 100)
        name = f"TypiClust clustered 10,000 x 512, 100 picks, {labelled:,} labelled"
        cases.append(Case(name, select(rule, pool_of(rows, owned), 100), peer, None))
    return cases


def prob_cover() -> list[Case]:
    """ProbCover against scikit-activeml's at radii with so many neighbours on average, a seventh of the rows asked."""
    rows = clustered(10_000, 512)
    unit = UnitRows(rows, rows[:0]).read(np.arange(len(rows)))
    asked = unit[::7]
    distances = np.sort((1 - asked @ unit.T).ravel())
    cases = []
    for degree in (26, 74, 231, 480):
        radius = float(distances[degree * len(asked)])
        rule = ProbCover(random_state=0, n_classes=6, deltas=[float(np.sqrt(2 * radius))])
        peer = query(rule, unit.astype(np.float32), rows[:0], 100)
        ours = select(acquisition.ProbCover(radius=radius), pool_of(rows, rows[:0]), 100)
        cases.append(Case(f"ProbCover clustered 10,000 x 512, 100 picks, about {degree} neighbours", ours, peer, None))
    return cases


def class_quota() -> list[Case]:
    """The quota rule against a look at every image for every pick; the eager one is cut to 50 picks and scaled up."""
    rows = clustered(100_000, 256)
    pool = pool_of(rows, rows[:0])
    unit = UnitRows(rows, rows[:0])
    probabilities = 1 / (1 + np.exp(-pool.logits.astype(np.float64)))
    whole = np.concatenate([unit.read(np.arange(at, at + 10_000)) for at in range(0, 100_000, 10_000)])

    def eager() -> None:
        positives, nearest = np.zeros(6), np.full(len(rows), -1.0)
        for _ in range(50):
            scores = probabilities[:, int(np.argmin(positives))] * np.clip((1 - nearest) / 0.3, 0.02, 1)
            best = int(np.argmax(scores))
            positives += probabilities[best]
            nearest = np.maximum(nearest, whole @ whole[best])

    name = "ClassQuota clustered 100,000 x 256, 1,000 picks (eager: 50 picks, so times 20)"
    return [Case(name, select(acquisition.ClassQuota(), pool, 1_000), eager, None)]


def mean_entropy() -> list[Case]:
    """Top 10,000 of ten million images by mean entropy, against a fresh `torch.sigmoid` of their logits."""
    rng = np.random.default_rng(0)
    logits = (2 * rng.standard_normal((10_000_000, 6), dtype=np.float32)) - 1
    nothing = np.zeros((len(logits), 0), np.float32)
    pool = PoolView(
        indices=np.arange(len(logits)),
        logits=logits,
        embeddings=nothing,
        labelled_labels=np.zeros((0, 6), np.uint8),
        labelled_embeddings=nothing[:0],
        f1=np.zeros(6, np.float32),
        thresholds=np.full(6, 0.5, np.float32),
        budget_left=len(logits),
    )
    tensor = torch.from_numpy(logits)
    cases = []
    for rule in (acquisition.MeanEntropy(), acquisition.Margin(), acquisition.HardClass()):
        name = f"{type(rule).__name__} 10,000,000 x 6 logits, 10,000 picks; probe: torch.sigmoid"
        cases.append(Case(name, select(rule, pool, 10_000), None, lambda: torch.sigmoid(tensor)))
    return cases


CASES = {case.__name__: case for case in (k_center, typi_clust, prob_cover, class_quota, mean_entropy, small_text)}


def seconds(work: Work) -> float:
    """CPU seconds of one go."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=CASES, default=[case for case in CASES if case != "small_text"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peer_repeats", type=int, default=3)
    words = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    table = Table("case", "ours, s", "peer, s", "peer / ours", "probe, s", "ours / probe")
    for group in words.cases:
        for case in CASES[group]():
            times: dict[str, list[float]] = {"ours": [], "peer": [], "probe": []}
            for turn in range(words.repeats):
                times["ours"].append(seconds(case.ours))
                if case.probe is not None:
                    times["probe"].append(seconds(case.probe))
                if case.peer is not None and turn < words.peer_repeats:
                    times["peer"].append(seconds(case.peer))
            ours = statistics.median(times["ours"])
            cells = [case.name, f"{ours:.4g}"]
            peer, probe = (statistics.median(times[name]) if times[name] else None for name in ("peer", "probe"))
            cells += ["-", "-"] if peer is None else [f"{peer:.4g}", f"{peer / ours:.3g}"]
            cells += ["-", "-"] if probe is None else [f"{probe:.4g}", f"{ours / probe:.2g}"]
            print("  ".join(cells), flush=True)
            table.add_row(*cells)
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
