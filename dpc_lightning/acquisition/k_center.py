"""Pick images that lie far from everything that is owned."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.probability import Doubles
from dpc_lightning.errors import AcquisitionError

__all__ = ["FarthestFirst", "KCenter"]

ROWS: Final = 4_096
"""Rows that a pass over the pool holds as float32 at once."""

ACTIVE: Final = 256
"""Rows that are looked at for each pick, at least."""

CLOSE: Final = 3e-6
"""Distances that differ by less than this share of the squared norms are rounding: float64 decides."""


class KCenter(Acquisition):
    """Takes the image that is farthest from all that is owned, again and again (k-center, CoreSet).

    `argmax_i min_j |h_i - h_j|²` over the features h_j of labelled, bought and picked images. The picks of all are at
    most twice as far from any image of the pool as the best choice would be. Without a labelled image the first pick is
    the one nearest to the mean of the pool.

    Score: the squared distance when it was picked, which falls from pick to pick; for the first pick of all, minus that
    to the mean. Deterministic; of equal images the smaller index. Cost: at worst O((L + B) N D), in practice one to three
    passes over the pool. Memory: 16 bytes an image and a few per cent of the pool. Use it where all kinds of images are to
    be seen, whatever the model thinks; outliers are bought first.

    Source:
        Gonzalez, Clustering to minimize the maximum intercluster distance, Theoretical Computer Science 38, 1985 (greedy,
        factor 2); Sener and Savarese, Active learning for convolutional neural networks: a core-set approach, ICLR 2018.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})
    time: str = "O((L + B) N D) at worst, in practice 1 to 3 passes over the pool"
    memory: str = "16 bytes an image and a few per cent of the pool"

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        owned = pool.owned_embeddings
        if owned.shape[1] != pool.embeddings.shape[1]:
            if len(owned):
                msg = f"Expected labelled embeddings of {pool.embeddings.shape[1]} columns, but got {owned.shape[1]}."
                raise AcquisitionError(msg)
            owned = np.zeros((0, pool.embeddings.shape[1]), np.float32)
        greedy = FarthestFirst(pool.embeddings, owned)
        for _ in range(count):
            greedy.take()
        return greedy.picks()


class FarthestFirst:
    """Takes one row after the other, each the farthest from all owned and taken rows.

    A distance to the nearest centre only falls, so one that is out of date is an upper bound. All rows whose bound is above
    a threshold are active: they are kept in memory and brought up to date with each pick. When the best of them falls to
    the threshold, rows with the next largest bounds are pulled in and brought up to date, by one matrix product with the
    centres that they have missed. Nothing else can win, so the picks are those of the full computation.

    Distances are computed in float32, and in float64 where the best ones are too close to tell apart.

    Args:
        embeddings: `(N, D)` float32 or float16; may be memory-mapped.
        owned: `(L, D)`.
    """

    def __init__(self, embeddings: FloatArray, owned: FloatArray) -> None:
        self._embeddings = embeddings
        self._mean = _mean(embeddings)
        self._centres = np.asarray(owned, dtype=np.float64) - self._mean
        self._centres32 = self._centres.astype(np.float32)
        self._bound: Doubles = np.empty(len(embeddings))
        """Squared distance to the nearest of the first `_current` centres, with its rounding: never too small."""
        self._current = np.zeros(len(embeddings), dtype=np.int64)
        self._active = np.zeros(0, dtype=np.int64)
        self._rows = np.zeros((0, embeddings.shape[1]), dtype=np.float32)
        self._outside = np.inf
        """The largest bound among rows that are not active."""
        self._picks: list[int] = []
        self._scores: list[float] = []
        self._first_bounds()
