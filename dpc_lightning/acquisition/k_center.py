"""Pick images that lie far from everything that is owned."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.picking.farthest_first import FarthestFirst
from dpc_lightning.errors import AcquisitionError

__all__ = ["KCenter"]


class KCenter(Acquisition):
    """Takes the image that is farthest from all that is owned, again and again (k-center, CoreSet).

    `argmax_i min_j |h_i - h_j|²` over the features h_j of labelled, bought and picked images. The picks of all are at
    most twice as far from any image of the pool as the best choice would be. Without a labelled image the first pick is
    the one nearest to the mean of the pool.

    Score: the squared distance when it was picked, which falls from pick to pick; for the first pick of all, minus that
    to the mean. Deterministic; of equal images the smaller index. Cost: at worst O((L + B) N D), in practice one to
    three passes over the pool (see `FarthestFirst`). Memory: 60 bytes an image and one row in two hundred. Use it where
    all kinds of images are to be seen, whatever the model thinks; outliers are bought first.

    Source:
        Gonzalez, Clustering to minimize the maximum intercluster distance, Theoretical Computer Science 38, 1985
        (greedy, factor 2); Sener and Savarese, Active learning for convolutional neural networks: a core-set approach,
        ICLR 2018.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "labelled_embeddings"})
    time: str = "O((L + B) N D) at worst, in practice 1 to 3 passes over the pool"
    memory: str = "60 bytes an image and one row in two hundred"

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
