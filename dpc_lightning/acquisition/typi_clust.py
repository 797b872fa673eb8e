"""Pick the typical image of each cluster that has no label yet."""

from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.k_means import k_means
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["TypiClust", "principal", "typicality"]

COMPONENTS = 48
"""Principal components that k-means sees of wider features."""

SAMPLE = 2_048
"""Rows at least that principal directions are computed from."""

STEPS = 10
"""Steps of k-means. More lower its inertia by less than a hundredth."""

SMALL = 5
"""Clusters of fewer images are asked last."""


class TypiClust(Acquisition):
    """Takes the most typical image of the largest clusters that hold the fewest owned images.

    Pool and owned images are parted by k-means into as many clusters as there are owned images and picks, at most
    `clusters`. Of the clusters with the fewest owned or picked images the largest gives its most typical one, again and
    again, of equally large ones that with the first image; clusters of fewer than five images come last. Typical is
    what has a small mean distance to its `neighbours` nearest images of the same cluster. Features are centred on the
    pool and of length 1; k-means sees their components along 48 principal directions, in float32.

    Score: one over that mean distance. Stochastic, by the seeds of k-means. Cost: O((N + L) K D) for K clusters and
    each of ten steps, and the distances within the clusters. Memory: 16 (N + L) D bytes. Use it with very few labels;
    later it buys what the model knows.

    Source:
        Hacohen, Dekel and Weinshall, Active learning on a budget: opposite strategies suit high and low budgets, ICML
        2022; 20 neighbours, 500 clusters and 5 images as there.

    Args:
        clusters: clusters at most.
        neighbours: nearest images whose distance counts.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})
    stochastic: bool = True
    time: str = "O((N + L) K D) for K clusters, ten times"
    memory: str = "16 (N + L) D bytes"
    largest_pool: int | None = 100_000

    def __init__(self, clusters: int = 500, neighbours: int = 20) -> None:
        for name, value in (("clusters", clusters), ("neighbours", neighbours)):
            if value < 1:
                msg = f"Expected `init_args.{name}` of at least 1, but got {value}."
                raise ConfigError(msg)
        self.clusters = clusters
        self.neighbours = neighbours

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        rows = UnitRows(pool.embeddings, pool.owned_embeddings)
        unit = np.concatenate([rows.read(np.arange(len(pool))), rows.owned])
        wanted = min(len(rows.owned) + count, self.clusters, len(unit))
        member, _ = k_means(principal(unit, COMPONENTS), wanted, rng, STEPS)
        size = np.bincount(member, minlength=wanted)
        owned = np.bincount(member[len(pool) :], minlength=wanted)
        insides = np.split(np.argsort(member, kind="stable"), np.cumsum(size)[:-1])
        waiting = [
            _Waiting(bool(size[cluster] < SMALL), int(owned[cluster]), -int(size[cluster]), int(inside[0]), cluster)
            for cluster, inside in enumerate(insides)
            if len(inside) and inside[0] < len(pool)
        ]
        heapify(waiting)
        queues: dict[int, Iterator[tuple[int, float]]] = {}
        picks, scores = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.float32)
        turn = 0
        while turn < count:
            best = waiting[0]
            if best.cluster not in queues:
                inside = insides[best.cluster]
                typical = typicality(unit[inside], self.neighbours)[inside < len(pool)]
                order = np.argsort(-typical, kind="stable")
                queues[best.cluster] = zip(inside[order].tolist(), typical[order].tolist(), strict=True)
            following = next(queues[best.cluster], None)
            if following is None:
                heappop(waiting)
                continue
            picks[turn], scores[turn] = following
            heapreplace(waiting, best._replace(owned=best.owned + 1))
            turn += 1
        return picks, scores


class _Waiting(NamedTuple):
    """A cluster and its place in the order in which clusters are asked."""

    small: bool
    owned: int
    minus_size: int
    first_row: int
    cluster: int


def principal(rows: Doubles, count: int) -> NDArray[np.float32]:
    """Give the components of centred rows along the largest principal directions of a sample of them.

    Args:
        rows: `(m, D)` float64. A sample is rows at equal distances, at least 2,048 if there are as many.
        count: components at most.

    Returns:
        `(m, count)` float32, or the rows themselves if they have no more columns.

    Example:
        >>> abs(principal(np.array([[3.0, 0.0], [-3.0, 0.1]]), 1)).round(2).ravel().tolist()
        [3.0, 3.0]
    """
    narrow = rows.astype(np.float32)
    width = rows.shape[1]
    if width <= count:
        return narrow
    sample = narrow[:: max(1, len(narrow) // SAMPLE)]
    _, directions = eigh(sample.T @ sample, subset_by_index=(width - count, width - 1))
    return np.asarray(narrow @ directions)


def typicality(unit: Doubles, neighbours: int) -> Doubles:
    """Give one over the mean distance of each row to its nearest other rows.

    Args:
        unit: `(m, D)` float64 unit rows.
        neighbours: how many, or all others if there are fewer.

    Returns:
        `(m,)` float64; 1e12 at most, as for rows that have duplicates only, and 0 for a row alone.

    Example:
        >>> typicality(np.array([[1.0, 0.0], [0.0, 1.0]]), 20).round(4).tolist()
        [0.7071, 0.7071]
    """
    kept = min(neighbours, len(unit) - 1)
    if kept < 1:
        return np.zeros(len(unit))
    norms = np.square(unit).sum(axis=1)
    found = np.empty(len(unit))
    for start in range(0, len(unit), 1_024):
        block = slice(start, start + 1_024)
        squares = norms[block, None] + norms - 2 * (unit[block] @ unit.T)
        places = np.arange(len(squares))
        squares[places, start + places] = np.inf  # itself, wherever duplicates stand
        nearest = np.sort(np.partition(squares, kept - 1, axis=1)[:, :kept], axis=1)
        found[block] = np.sqrt(np.maximum(nearest, 0)).sum(axis=1) / kept
    typical: Doubles = 1 / np.maximum(found, 1e-12)
    return typical
