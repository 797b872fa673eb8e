"""Pick the typical image of each cluster that has no label yet."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.k_means import k_means
from dpc_lightning.acquisition.probability import Doubles
from dpc_lightning.acquisition.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["TypiClust", "principal", "typicality"]

COMPONENTS = 48
"""Principal components that k-means sees of wider features."""

STEPS = 10
"""Steps of k-means. More lower its inertia by less than a hundredth."""

SMALL = 5
"""Clusters of fewer images are asked last."""


class TypiClust(Acquisition):
    """Takes the most typical image of the largest clusters that hold the fewest owned images.

    Pool and owned images are parted by k-means into as many clusters as there are owned images and picks, at most
    `clusters`. Of the clusters with the fewest owned or picked images the largest gives its most typical one, again and
    again; clusters of fewer than five images come last. Typical is what has a small mean distance to its `neighbours`
    nearest images of the same cluster. Features are centred on the pool and of length 1; k-means sees their 48
    principal components.

    Score: one over that mean distance. Stochastic, by the seeds of k-means. Cost: O((N + L) K D) for K clusters and
    each of ten steps, and the distances within the clusters. Memory: 8 (N + L) D bytes. Use it with very few labels;
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
    memory: str = "8 (N + L) D bytes"
    largest_pool: int | None = 100_000

    def __init__(self, clusters: int = 500, neighbours: int = 20) -> None:
        for name, value in (("clusters", clusters), ("neighbours", neighbours)):
            if value < 1:
                msg = f"Expected `purchase.acquisition.init_args.{name}` of at least 1, but got {value}."
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
        score = np.empty(len(pool))
        queues: list[list[int]] = []
        for cluster in range(wanted):
            inside = np.flatnonzero(member == cluster)
            typical = typicality(unit[inside], self.neighbours)
            free = inside < len(pool)
            score[inside[free]] = typical[free]
            queues.append(inside[free][np.argsort(-typical[free], kind="stable")].tolist())
        picked: list[int] = []
        while len(picked) < count:
            open_ones = [cluster for cluster in range(wanted) if queues[cluster]]
            best = min(open_ones, key=lambda k: (bool(size[k] < SMALL), int(owned[k]), -int(size[k]), queues[k][0]))
            picked.append(queues[best].pop(0))
            owned[best] += 1
        rows_picked = np.array(picked, dtype=np.int64)
        return rows_picked, np.minimum(score[rows_picked], 1e30).astype(np.float32)


def principal(rows: Doubles, count: int) -> Doubles:
    """Give the largest principal components of rows that are centred.

    Args:
        rows: `(m, D)` float64.
        count: components at most.

    Returns:
        `(m, count)` float64, or the rows themselves if they have no more columns.

    Example:
        >>> abs(principal(np.array([[3.0, 0.0], [-3.0, 0.1]]), 1)).round(2).ravel().tolist()
        [3.0, 3.0]
    """
    if rows.shape[1] <= count:
        return rows
    narrow = rows.astype(np.float32)
    _, directions = np.linalg.eigh((narrow.T @ narrow).astype(np.float64))
    components: Doubles = (narrow @ directions[:, -count:].astype(np.float32)).astype(np.float64)
    return components


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
