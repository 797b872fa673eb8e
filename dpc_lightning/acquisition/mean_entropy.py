"""Pick what the model is least sure of, averaged over classes."""

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import binary_entropy, blocks, entropy_bound, sum_over_classes
from dpc_lightning.acquisition.scored import Bound, Scored

__all__ = ["MeanEntropy"]


class MeanEntropy(Scored):
    """Takes the images of the largest mean binary entropy, `(1/C) Σ_k H(p_k)` in nats.

    It is what the winner of the data purchasing challenge bought by; that program's formula in p gave NaN where p was
    rounded to 0 or 1, this one works on logits.

    Score: the mean entropy, in [0, log 2]. Deterministic. Cost: one pass over the logits, O(NC), and a partial sort.
    Memory: one float64 a row and a block. Use it where the pool has few near duplicates, or as a baseline: these are
    all uncertain together and eat the budget.

    Source:
        Lewis and Gale, A sequential algorithm for training text classifiers, SIGIR 1994, for one class.
    """

    needs: frozenset[Need] = frozenset({"logits"})
    time: str = "O(N C)"
    memory: str = "8 bytes an image and a block"

    def scores(self, pool: PoolView) -> Doubles:
        """Give the mean binary entropy of each image, `(N,)`."""
        return _entropies(pool.logits)

    def bound(self, pool: PoolView) -> Bound:
        """Bound the mean entropy without a logarithm, see `entropy_bound`."""
        share = np.full(pool.logits.shape[1], 1 / pool.logits.shape[1], np.float32)
        return lambda logits: entropy_bound(logits) @ share


def _entropies(logits: FloatArray) -> Doubles:
    scores = np.empty(len(logits))
    for block in blocks(len(logits)):
        by_class = np.ascontiguousarray(logits[block].T)
        scores[block] = sum_over_classes(binary_entropy(by_class))
    scores /= logits.shape[1]
    return scores
