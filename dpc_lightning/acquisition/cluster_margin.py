"""Pick doubtful images from as many clusters as there are."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.margin import Margin
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.acquisition.probability import top_rows
from dpc_lightning.errors import ConfigError

__all__ = ["ClusterMargin", "round_robin"]


ROWS: Final = 256


class ClusterMargin(Acquisition):
    """Takes doubtful images in turn from all clusters, the smallest clusters first.

    1. The `factor` times as many images as are asked for, with the smallest mean margin (see `Margin`), are candidates;
       never more than `most`.
    2. They are clustered by average linkage of the cosine of their features, which are centred on the pool, into as
       many clusters as images are asked for, times `clusters`.
    3. From the smallest cluster to the largest, each gives one image, the most doubtful it has; then again from the
       start, without the clusters that are empty, until all are bought.

    The paper clusters the whole pool once, by a parallel program of its own. Clusters matter among the candidates only,
    so that these alone are clustered here, anew in each round.

    Score: the mean nearness to the decision, in [0, 1]. Deterministic; of equal clusters the one with the smaller
    image index comes first. Cost: one pass over the logits, and O(m² (D + log m)) for m candidates. Memory: 8 m²
    bytes, at most 0.8 GB with the setting given. Use it for large batches out of pools with many near duplicates.

    Source:
        Citovsky et al., Batch active learning at scale, NeurIPS 2021.

    Args:
        factor: candidates for each image that is asked for; 1.25 to 10 in the paper.
        clusters: clusters for each image that is asked for.
        most: candidates at most, because of memory; if more images than these are asked for, the most doubtful of the
            others are added.
    """

    needs: frozenset[Need] = frozenset({"logits", "embeddings"})
    time: str = "O(N C + m² D) for m = min(factor B, most) candidates"
    memory: str = "8 m² bytes, at most 0.8 GB"

    def __init__(self, factor: float = 5.0, clusters: float = 0.5, most: int = 10_000) -> None:
        key = "init_args"
        if not 1 <= factor < np.inf:
            msg = f"Expected `{key}.factor` of at least 1, but got {factor}."
            raise ConfigError(msg)
        if not 0 < clusters < np.inf:
            msg = f"Expected `{key}.clusters` above 0, but got {clusters}."
            raise ConfigError(msg)
        if most < 1:
            msg = f"Expected `{key}.most` of at least 1, but got {most}."
            raise ConfigError(msg)
        self.factor = factor
        self.clusters = clusters
        self.most = most

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        scores = Margin().scores(pool)
        wanted = min(len(pool), max(count, min(int(np.ceil(self.factor * count)), self.most)))
        rows = top_rows(scores, wanted)
        candidates = np.sort(rows[: self.most])
        unit = UnitRows(pool.embeddings, np.zeros((0, pool.embeddings.shape[1]), np.float32)).read(candidates)
        cluster = _clusters(unit, max(1, round(self.clusters * count)))
        picked = candidates[round_robin(cluster, scores[candidates], min(count, len(candidates)))]
        if len(picked) < count:
            others = rows[self.most :]
            picked = np.concatenate([picked, others[: count - len(picked)]])
        return picked, scores[picked].astype(np.float32)


def _clusters(unit: Doubles, count: int) -> IntArray:
    """Cut average linkage of cosine distances into at most `count` clusters."""
    if len(unit) <= 1:
        return np.zeros(len(unit), dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage  # noqa: PLC0415  takes a while, and only this rule needs it

    apart = np.empty(len(unit) * (len(unit) - 1) // 2)  # pairs in the order that SciPy wants, without a square matrix
    end = 0
    for start in range(0, len(unit), ROWS):
        cosines = unit[start : start + ROWS] @ unit[start:].T
        for place, row in enumerate(cosines):
            others = row[place + 1 :]
            apart[end : end + len(others)] = 1 - others
            end += len(others)
    np.maximum(apart, 0, out=apart)
    tree = linkage(apart, method="average")
    return fcluster(tree, min(count, len(unit)), criterion="maxclust").astype(np.int64)


def round_robin(cluster: IntArray, scores: Doubles, count: int) -> IntArray:
    """Take from each cluster in turn its best image, the smallest cluster first.

    Args:
        cluster: `(m,)` number of each image's cluster.
        scores: `(m,)`, larger is better; of equal ones the smaller place.
        count: how many, at most m.

    Returns:
        `(count,)` places in the order taken.

    Example:
        >>> round_robin(np.array([0, 0, 0, 1]), np.array([0.1, 0.9, 0.5, 0.2]), 3).tolist()
        [3, 1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    _, number, size = np.unique(cluster, return_inverse=True, return_counts=True)
    number = number.reshape(-1)
    first = np.full(len(size), len(cluster))
    np.minimum.at(first, number, np.arange(len(cluster)))
    by_cluster = order[np.argsort(number[order], kind="stable")]  # clusters together, the best of each first
    starts = np.concatenate([[0], np.cumsum(size)[:-1]])
    turn = np.empty(len(cluster), dtype=np.int64)
    turn[by_cluster] = np.arange(len(cluster)) - np.repeat(starts, size)
    return np.lexsort((first[number], size[number], turn))[:count].astype(np.int64)
