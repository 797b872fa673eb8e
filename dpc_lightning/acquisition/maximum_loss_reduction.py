"""Pick images whose most probable labels would change the model most."""

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import blocks, sigmoid, sum_over_classes
from dpc_lightning.acquisition.scored import Scored

__all__ = ["MaximumLossReduction"]


class MaximumLossReduction(Scored):
    """Takes the images of the largest `Σ_k (1 - y_k (2 p_k - 1)) / 2` for the labels y that are most likely (MMC).

    A multinomial logistic regression on the sorted probabilities of the labelled images learns how many labels m an
    image has. The m classes of the largest p are then positive (y = 1), the others negative (y = -1). With y by the
    threshold 1/2 the sum is the least confidence; MMC differs where the model sees more or fewer labels than images
    have.

    Where fewer than two different numbers of labels are known, m is the number of p above 1/2.

    Score: that sum, in [0, C]. Deterministic. Cost: a regression on the labelled images, one pass over the logits,
    O(N C²) for N C log C, and a partial sort. Memory: one float64 a row and a block. Use it where images have several
    labels each, and the start model sees too few of them.

    Source:
        Yang et al., Effective multi-label active learning for text classification, KDD 2009 (maximum loss reduction
        with maximal confidence). Their f is the output of a support vector machine, here it is 2 p - 1.
    """

    needs: frozenset[Need] = frozenset({"logits", "labelled_logits"})
    time: str = "O(N C (log C + C))"
    memory: str = "8 bytes an image and a block"

    def scores(self, pool: PoolView) -> Doubles:
        """Give the expected loss for each image, `(N,)`."""
        assert pool.labelled_logits is not None  # `needs` names it
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415  takes a second, and only this rule needs it

        numbers = pool.labelled_labels.sum(axis=1, dtype=np.int64)
        model: LogisticRegression | None = None
        if len(np.unique(numbers)) > 1:
            model = LogisticRegression(max_iter=1_000).fit(_sorted_shares(pool.labelled_logits), numbers)
        scores = np.empty(len(pool))
        for block in blocks(len(pool)):
            logits = pool.logits[block]
            many = (logits > 0).sum(axis=1) if model is None else model.predict(_sorted_shares(logits))
            scores[block] = _loss(logits, many)
        return scores


def _sorted_shares(logits: FloatArray) -> Doubles:
    """Give the probabilities of each image in falling order, divided by their sum."""
    falling = np.sort(sigmoid(logits), axis=1)[:, ::-1]
    shares: Doubles = falling / np.maximum(falling.sum(axis=1, keepdims=True), 1e-12)
    return shares


def _loss(logits: FloatArray, many: IntArray) -> Doubles:
    order = np.argsort(-logits, axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(logits.shape[1]), order.shape), axis=1)
    positive = (place < many[:, None]).T
    probabilities = sigmoid(np.ascontiguousarray(logits.T))
    return sum_over_classes(np.where(positive, 1 - probabilities, probabilities))
