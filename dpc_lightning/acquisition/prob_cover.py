"""Pick images that have as many neighbours within a radius as possible."""

from collections.abc import Callable

import numpy as np

from dpc_lightning.acquisition.base import LabelArray, Need, PoolView
from dpc_lightning.acquisition.kernel_coverage import KernelCoverage
from dpc_lightning.acquisition.probability import Doubles
from dpc_lightning.acquisition.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["ProbCover", "pure_radius"]

UNKNOWN = 0.3
"""Radius where no two labelled images have the same labels, or none is labelled."""


class ProbCover(KernelCoverage):
    """Takes the image with the most uncovered images within a radius, again and again.

    Near are images whose unit features have `1 - cosine` of at most `radius`; an image is near to itself. Owned images
    cover too. When all is covered, the smallest indices follow.

    Score: the images that the pick covered, as a share of the pool; it falls from pick to pick. Deterministic; of equal
    images the smaller index. Cost: O(N² D) once, then a few columns a pick. Memory: 8 N (D + 64) bytes. Use it with few
    labels; outliers are bought last.

    Source:
        Yehuda et al., Active learning through a covering lens, NeurIPS 2022. There the radius is found by clustering
        features that were learned without labels; here by the labels that are owned.

    Args:
        radius: `1 - cosine` in (0, 2]. If left out, it is the largest one within which at least `purity` of the pairs
            of labelled images have the same labels. purity: share in (0, 1].
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})

    def __init__(self, radius: float | None = None, purity: float = 0.95) -> None:
        key = "purchase.acquisition.init_args"
        if radius is not None and not 0 < radius <= 2:
            msg = f"Expected `{key}.radius` in (0, 2], but got {radius}."
            raise ConfigError(msg)
        if not 0 < purity <= 1:
            msg = f"Expected `{key}.purity` in (0, 1], but got {purity}."
            raise ConfigError(msg)
        self.radius = radius
        self.purity = purity

    def _kernel(self, rows: UnitRows, pool: PoolView) -> Callable[[Doubles], Doubles]:
        labelled = rows.owned[: len(pool.labelled_labels)]
        radius = pure_radius(labelled, pool.labelled_labels, self.purity) if self.radius is None else self.radius

        def near(cosines: Doubles) -> Doubles:
            similarity: Doubles = (1 - cosines <= radius).astype(np.float64)
            return similarity

        return near


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
