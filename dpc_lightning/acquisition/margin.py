"""Pick what lies nearest to the decision, averaged over classes."""

from typing import Literal

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, Need, PoolView
from dpc_lightning.acquisition.probability import Doubles, blocks, sigmoid, sum_over_classes
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.errors import ConfigError

__all__ = ["Margin", "nearness"]


class Margin(Scored):
    """Takes the images whose probabilities are nearest to the decision thresholds t, on average over classes.

    `(1/C) Σ_k (1 - |p_k - t_k| / (t_k if p_k < t_k else 1 - t_k))`

    With `boundary: half` (t = 1/2) this is one minus the mean margin `|2 p_k - 1|`, and orders as the mean least
    confidence does. With `boundary: tuned` the thresholds are those that validation has found best: where a class is
    rare these are low, and 1/2 is no place of doubt.

    Score: that mean, in [0, 1]. Deterministic. Cost: one pass over the logits, O(NC), and a partial sort. Memory: one
    float64 a row and a block. Use it as `MeanEntropy`; it gives more weight to images that are doubtful in few classes.

    Source:
        Scheffer et al., Active hidden Markov models for information extraction, IDA 2001 (margin). The scaling to
        tuned thresholds is an own choice.

    Args:
        boundary: `half`, or `tuned` for the thresholds of validation.
    """

    needs: frozenset[Need] = frozenset({"logits"})
    time: str = "O(N C)"
    memory: str = "8 bytes an image and a block"

    def __init__(self, boundary: Literal["half", "tuned"] = "half") -> None:
        if boundary not in {"half", "tuned"}:
            msg = f"Expected `purchase.acquisition.init_args.boundary` to be half or tuned, but got {boundary!r}."
            raise ConfigError(msg)
        self.boundary = boundary

    def scores(self, pool: PoolView) -> Doubles:
        """Give the mean nearness to the thresholds, `(N,)`."""
        thresholds = pool.thresholds if self.boundary == "tuned" else np.full_like(pool.thresholds, 0.5)
        scores = np.empty(len(pool))
        for block in blocks(len(pool)):
            scores[block] = sum_over_classes(nearness(pool.logits[block], thresholds))
        scores /= pool.logits.shape[1]
        return scores


def nearness(logits: FloatArray, thresholds: FloatArray) -> Doubles:
    """Say how near probabilities are to thresholds: 1 at the threshold, 0 where the model is certain.

    Args:
        logits: `(N, C)`.
        thresholds: `(C,)` in (0, 1).

    Returns:
        `(C, N)` float64 in [0, 1], class by class.

    Example:
        >>> nearness(np.array([[0.0, -1e4]], dtype=np.float32), np.array([0.5, 0.2], dtype=np.float32)).tolist()
        [[1.0], [0.0]]
    """
    level = thresholds.astype(np.float64)[:, None]
    probabilities = sigmoid(np.ascontiguousarray(logits.T))
    return 1 - np.abs(probabilities - level) / np.where(probabilities < level, level, 1 - level)
