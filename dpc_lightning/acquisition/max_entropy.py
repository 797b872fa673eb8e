"""Pick what the model is least sure of in any one class."""

import numpy as np

from dpc_lightning.acquisition.base import Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import binary_entropy, blocks, entropy_bound
from dpc_lightning.acquisition.scored import Bound, Scored

__all__ = ["MaxEntropy"]


class MaxEntropy(Scored):
    """Takes the images of the largest binary entropy of any class, `max_k H(p_k)` in nats.

    For independent classes it orders as the smallest margin, `min_k |2 p_k - 1|`, and as the least confidence in any
    class do: all three fall with `min_k |z_k|`.

    Score: that entropy, in [0, log 2]. Deterministic. Cost: one pass over the logits, O(NC), and a partial sort.
    Memory: one float64 a row and a block. Use it where one doubtful class is reason enough to ask; with many classes
    almost every image has one, and `MeanEntropy` tells them apart better.

    Source:
        Lewis and Gale, A sequential algorithm for training text classifiers, SIGIR 1994, for one class.
    """

    needs: frozenset[Need] = frozenset({"logits"})
    time: str = "O(N C)"
    memory: str = "8 bytes an image and a block"

    def scores(self, pool: PoolView) -> Doubles:
        """Give the entropy of each image's most doubtful class, `(N,)`."""
        scores = np.empty(len(pool))
        for block in blocks(len(pool)):
            scores[block] = binary_entropy(np.abs(pool.logits[block]).min(axis=1))
        return scores

    def bound(self, pool: PoolView) -> Bound:  # noqa: ARG002  it depends on nothing else
        """Bound the entropy without a logarithm, see `entropy_bound`."""
        return lambda logits: entropy_bound(np.abs(logits).min(axis=1))
