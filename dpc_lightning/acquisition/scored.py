"""Rules that score each image by itself and take the best: what top-k, noise and stratification are put upon."""

from abc import abstractmethod

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.probability import Doubles, top_rows

__all__ = ["Scored"]


class Scored(Acquisition):
    """A rule whose score of an image does not depend on the other picks: it takes the images of the largest scores."""

    @abstractmethod
    def scores(self, pool: PoolView) -> Doubles:
        """Score every image of the pool.

        Args:
            pool: rows in increasing order of image index.

        Returns:
            `(N,)` float64, finite; larger is better. Equal images have equal scores to the last bit.
        """

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        scores = self.scores(pool)
        rows = top_rows(scores, count)
        return rows, scores[rows].astype(np.float32)
