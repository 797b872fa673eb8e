"""Pick what lies nearest to the decision, averaged over classes."""

from typing import Literal

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import SLACK, blocks, sigmoid, sum_over_classes
from dpc_lightning.acquisition.scored import Bound, Scored
from dpc_lightning.errors import ConfigError

__all__ = ["Margin", "half_bound", "nearness"]


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
            msg = f"Expected `init_args.boundary` to be half or tuned, but got {boundary!r}."
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

    def bound(self, pool: PoolView) -> Bound | None:
        """Bound the nearness to 1/2, see `half_bound`; there is none to tuned thresholds."""
        if self.boundary != "half":
            return None
        share = np.full(pool.logits.shape[1], 1 / pool.logits.shape[1], np.float32)
        return lambda logits: half_bound(logits) @ share


def half_bound(logits: FloatArray) -> FloatArray:
    """Bound the nearness to 1/2 without an exponential: `2 / (1 + e^|z|) <= 2 / (2 + |z| + z²/2 + |z|³/6 + z⁴/24)`.

    Args:
        logits: any shape.

    Returns:
        The same shape, float32, larger by more than float32 may lose.

    Example:
        >>> half_bound(np.float32([0, 1e4])).round(3).tolist()
        [1.0, 0.0]
    """
    size: FloatArray = np.abs(np.clip(logits, -1e6, 1e6, dtype=np.float32))
    bound: FloatArray = size * np.float32(1 / 24)
    for term in (1 / 6, 1 / 2, 1.0, 2.0):
        bound += np.float32(term)
        if term < 2:
            bound *= size
    np.divide(np.float32(2 * (1 + SLACK)), bound, out=bound)
    return bound


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
