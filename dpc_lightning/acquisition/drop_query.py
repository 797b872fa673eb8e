"""DropQuery for several labels an image: answers that dropout turns over, one image a cluster."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.head_dropout import HeadDropout, check_dropout, label_cuts, without_dropout
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.k_means import k_means
from dpc_lightning.errors import ConfigError

__all__ = ["DropQuery", "cluster"]

STEPS: Final = 20
"""Steps of k-means at most; it ends when no image changes its cluster."""

ROWS: Final = 2_048


class DropQuery(Acquisition):
    """Takes one image from each cluster of those whose answers dropout turns over.

    An image is a candidate if in more than half of T draws of dropout before the last layer (`HeadDropout`)

    `{k: p_ikt >= threshold_k} ≠ {k: p_ik >= threshold_k}`,

    that is, if any of its labels, cut at the tuned thresholds, differs from the answer without dropout: the answer of
    an image with several labels is the set of them. The embeddings of the candidates are parted into B clusters by
    k-means, and the image next to each mean is taken. If there are fewer than B candidates, all are taken, and the rest
    in order of the share of draws turned over, then of single labels turned over, then of the index. So is what is
    missing where clusters are empty (duplicates).

    What is owned plays no part, as in the paper.

    Score: the share of draws that turn the answer over. Stochastic. Cost: a product of N D by D T C numbers, and up to
    20 steps of k-means, O(m B D) each, with m candidates. Memory: 16 bytes an image, and m embeddings in float64.
    Use it where embeddings come from a large pretrained network and few labels are bought at a time.

    Source:
        Gupte et al., Revisiting active learning in the era of vision foundation models, TMLR 2024, with its `samples`,
        3, and `rate`, .75.

    Args:
        samples: draws T.
        rate: share of the embedding's columns that a draw leaves out.
        candidates: images that are clustered at most, at least 4 B are; if there are more, a random part is.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "head"})
    stochastic: bool = True
    time: str = "O(N D T C), T draws, and O(m B D) a step of k-means, m candidates"
    memory: str = "16 bytes an image and 8 D a candidate"

    def __init__(self, samples: int = 3, rate: float = 0.75, candidates: int = 10_000) -> None:
        check_dropout(samples, rate)
        if not candidates >= 1:
            msg = f"Expected `init_args.candidates` in 1 …, but got {candidates}."
            raise ConfigError(msg)
        self.samples = samples
        self.rate = rate
        self.candidates = candidates

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        answers, labels = self._turned_over(pool, rng)
        turned = np.flatnonzero(2 * answers > self.samples)
        most = max(self.candidates, 4 * count)
        if len(turned) > most:
            turned = np.sort(rng.choice(turned, most, replace=False))
        if len(turned) > count:
            turned = turned[cluster(np.array(pool.embeddings[turned], dtype=np.float64), count, rng)]
        order = np.lexsort((-labels, -answers))
        taken = np.zeros(len(pool), dtype=np.bool_)
        taken[turned] = True
        rows = np.concatenate([order[taken[order]], order[~taken[order]]])[:count]
        return rows, (answers[rows] / self.samples).astype(np.float32)

    def _turned_over(self, pool: PoolView, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Count for each image the draws that give another answer, and the labels that differ in all draws."""
        assert pool.head is not None
        draws = HeadDropout.draw(pool.head, self.samples, self.rate, rng)
        whole = without_dropout(pool.head)
        cuts = label_cuts(pool.thresholds)[:, None, None]
        answers, labels = np.empty(len(pool), dtype=np.int64), np.empty(len(pool), dtype=np.int64)
        for block, logits in draws.blocks(pool.embeddings):
            differs = (logits >= cuts) != (whole.logits(pool.embeddings[block]) >= cuts)
            answers[block] = differs.any(axis=0).sum(axis=0)
            labels[block] = differs.sum(axis=(0, 1))
        return answers, labels


def cluster(rows: Doubles, count: int, rng: np.random.Generator) -> IntArray:
    """Part rows into clusters by k-means and give the row next to the mean of each.

    It is seeded by k-means++ and uses no thread and no other generator, so that the result is a function of its
    arguments.

    Args:
        rows: `(m, D)` float64.
        count: clusters, at least 1 and at most m.
        rng: draws the seeds.

    Returns:
        Up to `count` distinct positions, fewer if clusters are empty; of rows equally near the smallest.

    Example:
        >>> spots = np.array([[0.0], [0.1], [0.2], [9.0], [9.1], [9.2]])
        >>> sorted(cluster(spots, 2, np.random.default_rng(0)).tolist())
        [1, 4]
    """
    member, means = k_means(rows, count, rng, STEPS)
    every = np.arange(len(rows))
    gaps = np.square(rows - means[member]).sum(axis=1)
    order = np.lexsort((every, gaps, member))
    return np.asarray(order[np.append(True, np.diff(member[order]) > 0)], dtype=np.int64)
