"""Rules that score each image by itself and take the best: what top-k, noise and stratification are put upon."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.in_blocks import in_blocks
from dpc_lightning.acquisition.probability import ROWS, top_rows

__all__ = ["Bound", "Scored"]

Bound = Callable[[FloatArray], FloatArray]
"""From logits `(n, C)` to float32 `(n,)` that no score exceeds."""

LARGE: Final = 200_000
"""Images from which on a bound is computed first."""

STRIDE: Final = 97
"""One image in so many is looked at for a first guess; a prime, so that it does not fall in step with the data."""


class Scored(Acquisition):
    """A rule whose score of an image does not depend on the other picks: it takes the images of the largest scores.

    A rule that knows a quick upper bound of its scores gives it by `bound`. Of a large pool a sample is then scored,
    which gives a level that more images reach than are wanted, and only the images whose bound reaches the level are
    scored. The picks are the same.
    """

    @abstractmethod
    def scores(self, pool: PoolView) -> Doubles:
        """Score every image of the pool.

        Args:
            pool: rows in increasing order of image index.

        Returns:
            `(N,)` float64, finite; larger is better. Equal images have equal scores to the last bit.
        """

    def bound(self, pool: PoolView) -> Bound | None:  # noqa: ARG002  for those that have one
        """Give an upper bound of the scores that is quicker than they are, from logits alone; None if there is none.

        Args:
            pool: what else the scores depend on.
        """
        return None

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        """Take the best, if possible without the score of all."""
        bound = self.bound(pool) if len(pool) >= LARGE else None
        level = self._level_of_sample(pool, count) if bound is not None else None
        if bound is not None and level is not None:
            rows = _rows_above(pool.logits, bound, level)
            scores = self.scores(_logits_of(pool, rows))
            if np.count_nonzero(scores >= level) >= count:  # else the sample was unlike the pool
                best = top_rows(scores, count)
                return rows[best], scores[best].astype(np.float32)
        scores = self.scores(pool)
        rows = top_rows(scores, count)
        return rows, scores[rows].astype(np.float32)

    def _level_of_sample(self, pool: PoolView, count: int) -> float | None:
        """Guess a score that more than `count` images reach; None where a guess would not pay."""
        sample = np.arange(0, len(pool), STRIDE)
        share = count / len(pool) * len(sample)
        rank = int(share + 6 * np.sqrt(share) + 10)
        if rank > len(sample) / 10:
            return None
        scores = self.scores(_logits_of(pool, sample))
        return float(np.partition(scores, len(sample) - rank)[len(sample) - rank])


def _logits_of(pool: PoolView, rows: IntArray) -> PoolView:
    """Give a view of some rows without their embeddings, which may be large and are not asked for."""
    nothing = np.zeros((len(rows), 0), np.float32)
    return replace(pool, indices=pool.indices[rows], logits=pool.logits[rows], embeddings=nothing, checked=True)


def _rows_above(logits: FloatArray, bound: Bound, level: float) -> IntArray:
    def above(block: slice) -> IntArray:
        return np.flatnonzero(bound(logits[block]) >= level) + int(block.start)

    rows: IntArray = np.concatenate(in_blocks(above, len(logits), ROWS))
    return rows
