"""Pick images for which the model sees too many or too few classes, and separates them badly."""

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import blocks
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.errors import ConfigError

__all__ = ["CardinalityInconsistency", "separation"]

FLOOR = 1e-6
"""Smallest separation, in units of a logit."""


class CardinalityInconsistency(Scored):
    """Takes the images of the largest `(1 / separation)^β · |positives - mean cardinality|^(1-β)`.

    `separation` is the gap between the smallest positive logit and the largest negative one, in which 0 stands for the
    missing one of an image that is all positive or all negative. `positives` counts the classes with a positive logit;
    the mean cardinality is the number of positives of a labelled image, 0 where none is labelled.

    Score: that product, at least 0. Deterministic. Cost: one pass over the logits, O(NC), and a partial sort. Memory:
    one float64 a row and a block. Use it where images have about the same number of labels each; where most have none,
    as on a production line, what it calls inconsistent is common.

    Source:
        Li and Guo, Active learning with multi-label SVM classification, IJCAI 2013, equations 8 to 10. There β is
        chosen anew in every round by the expected error; here it is fixed.

    Args:
        beta: weight β of the separation, in [0, 1]; 0 leaves the inconsistency alone, which takes few values.
    """

    needs: frozenset[Need] = frozenset({"logits"})
    time: str = "O(N C)"
    memory: str = "8 bytes an image and a block"

    def __init__(self, beta: float = 0.5) -> None:
        if not 0 <= beta <= 1:
            msg = f"Expected `init_args.beta` in [0, 1], but got {beta}."
            raise ConfigError(msg)
        self.beta = beta

    def scores(self, pool: PoolView) -> Doubles:
        """Give the product for each image, `(N,)`."""
        usual = float(pool.labelled_labels.sum(axis=1).mean()) if len(pool.labelled_labels) else 0.0
        scores = np.empty(len(pool))
        for block in blocks(len(pool)):
            logits = pool.logits[block]
            off = np.abs((logits > 0).sum(axis=1) - usual)
            scores[block] = separation(logits) ** -self.beta * off ** (1 - self.beta)
        return scores


def separation(logits: FloatArray) -> Doubles:
    """Give the gap between the smallest positive and the largest negative logit, at least 1e-6.

    Args:
        logits: `(N, C)`.

    Returns:
        `(N,)` float64.

    Example:
        >>> separation(np.array([[2.0, 1.0, -3.0], [-1.0, -2.0, -5.0]], dtype=np.float32)).tolist()
        [4.0, 1.0]
    """
    wide = logits.astype(np.float64)
    positive = wide > 0
    lowest = np.where(positive, wide, np.inf).min(axis=1)
    highest = np.where(positive, -np.inf, wide).max(axis=1)
    lowest = np.where(np.isinf(lowest), 0, lowest)
    highest = np.where(np.isinf(highest), 0, highest)
    gap: Doubles = np.maximum(lowest - highest, FLOOR)
    return gap
