"""Draw images far from all that is owned."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.picking.kmeans_plus_plus import OuterProducts, Stacked, d2_sample
from dpc_lightning.errors import AcquisitionError

__all__ = ["KMeansPlusPlus"]


class KMeansPlusPlus(Acquisition):
    """Draws images far from what is owned and from each other, as k-means++ seeds its clusters.

    Each pick is drawn with the probability

    `P(i) = d_i² / Σ_j d_j²`

    where d_i is the distance of the embeddings of i and of the nearest image labelled, bought or picked so far. Where
    nothing is owned, the first is drawn uniformly. What the model says does not matter. It draws where others take the
    farthest image: where many images are, many picks are, and a single outlier is likely, not certain.

    Score: the squared distance at the time of drawing, 0 among duplicates, NaN for the first where nothing is owned.
    Stochastic. Cost: a few passes over the pool, O(N D √L), and about two proposals a pick that are compared with all
    that is owned; at worst, where √L of the owned images say little about the others, O(N D L). Memory: five float64 an
    image and a block. Use it at the start, where the model knows nothing that `Badge` could go by.

    Source:
        Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})
    stochastic: bool = True
    time: str = "O(N D √L), a few passes over the pool; at worst O(N D (L + B))"
    memory: str = "40 bytes an image and a block"

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        owned = pool.owned_embeddings
        if owned.shape[1] != pool.embeddings.shape[1]:
            msg = f"Expected labelled embeddings of {pool.embeddings.shape[1]} columns, but got {owned.shape[1]}."
            raise AcquisitionError(msg)
        rows = Stacked(pool.embeddings, owned)
        points = OuterProducts(np.ones((len(rows), 1)), rows)
        if len(owned):
            picks, squares = d2_sample(points, count, rng, np.arange(len(pool), len(rows)))
        else:
            first = rng.integers(len(pool), size=1)
            more, squares = d2_sample(points, count - 1, rng, first)
            picks, squares = np.concatenate([first, more]), np.concatenate([[np.nan], squares])
        return picks, squares.astype(np.float32)
