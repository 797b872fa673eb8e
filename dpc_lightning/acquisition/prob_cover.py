"""Pick images that have as many neighbours within a radius as possible."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, LabelArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.radius_graph import RadiusGraph
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["ProbCover", "pure_radius"]

OWNED = 64
"""Owned images whose cosines to the whole pool are held at once."""

UNKNOWN = 0.3
"""Radius where no two labelled images have the same labels, or none is labelled."""


class ProbCover(Acquisition):
    """Takes the image with the most uncovered images within a radius, again and again.

    Near are images whose unit features have `1 - cosine` of at most `radius`; an image is near to itself. Owned images
    cover too. When all is covered, the smallest indices follow.

    Score: the images that the pick covered, as a share of the pool; it falls from pick to pick. Deterministic; of equal
    images the smaller index. Cost: O(N² D) in float32, less where the radius is small; then each pair of neighbours is
    looked at once. Memory: 16 N D bytes, and 24 bytes a pair of neighbours. Use it with few labels; outliers are bought
    last.

    Source:
        Yehuda et al., Active learning through a covering lens, NeurIPS 2022. There the radius is found by clustering
        features that were learned without labels; here by the labels that are owned.

    Args:
        radius: `1 - cosine` in (0, 2]. If left out, it is the largest one within which at least `purity` of the pairs
            of labelled images have the same labels. purity: share in (0, 1].
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})
    time: str = "O(N² D)"
    memory: str = "16 N D bytes, and 24 bytes a pair of neighbours"
    largest_pool: int | None = 50_000

    def __init__(self, radius: float | None = None, purity: float = 0.95) -> None:
        key = "init_args"
        if radius is not None and not 0 < radius <= 2:
            msg = f"Expected `{key}.radius` in (0, 2], but got {radius}."
            raise ConfigError(msg)
        if not 0 < purity <= 1:
            msg = f"Expected `{key}.purity` in (0, 1], but got {purity}."
            raise ConfigError(msg)
        self.radius = radius
        self.purity = purity

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        rows = UnitRows(pool.embeddings, pool.owned_embeddings)
        unit = rows.read(np.arange(len(pool)))
        labelled = rows.owned[: len(pool.labelled_labels)]
        radius = pure_radius(labelled, pool.labelled_labels, self.purity) if self.radius is None else self.radius
        open_ones = np.ones(len(unit), dtype=np.bool_)
        for start in range(0, len(rows.owned), OWNED):
            open_ones &= ~(1 - unit @ rows.owned[start : start + OWNED].T <= radius).any(axis=1)
        graph = RadiusGraph.of(unit, radius)
        counts = np.diff(graph.starts)
        counts -= np.bincount(graph.of_rows(np.flatnonzero(~open_ones)), minlength=len(unit))
        picks, added = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.float32)
        for turn in range(count):
            best = int(np.argmax(counts))
            picks[turn], added[turn] = best, counts[best] / len(unit)
            near = graph.neighbours[graph.starts[best] : graph.starts[best + 1]]
            new = near[open_ones[near]]
            open_ones[new] = False
            counts -= np.bincount(graph.of_rows(new.astype(np.int64)), minlength=len(unit))
            counts[picks[: turn + 1]] = -1
        return picks, added


def pure_radius(unit: Doubles, labels: LabelArray, purity: float) -> float:
    """Find the largest radius within which pairs of labelled images have the same labels often enough.

    Args:
        unit: `(L, D)` float64 unit rows; the first 2,000 are looked at.
        labels: `(L, C)` uint8.
        purity: share in (0, 1].

    Returns:
        `1 - cosine`, of at least 1e-6; 0.3 where there is no pair of the same labels.

    Example:
        >>> unit = np.array([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0]])
        >>> round(pure_radius(unit, np.array([[1], [1], [0]], dtype=np.uint8), 1.0), 6)
        0.2
    """
    unit, labels = unit[:2_000], labels[:2_000]
    first, second = np.triu_indices(len(unit), 1)
    distance = 1 - (unit @ unit.T)[first, second]
    same = (labels[first] == labels[second]).all(axis=1)
    order = np.argsort(distance, kind="stable")
    share = np.cumsum(same[order]) / np.arange(1, len(order) + 1)
    ends = np.append(np.diff(distance[order]) > 0, True)[: len(order)]  # pairs of equal distance go together
    pure = np.flatnonzero((share >= purity) & ends)
    if not same.any() or not len(pure):
        return UNKNOWN
    return float(max(1e-6, distance[order][pure[-1]]))
