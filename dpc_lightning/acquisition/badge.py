"""BADGE for several labels an image: uncertain and diverse at once."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.kmeans_plus_plus import OuterProducts, d2_sample
from dpc_lightning.acquisition.probability import sigmoid

__all__ = ["Badge", "residuals"]


class Badge(Acquisition):
    """Draws images whose gradients are large and unlike each other.

    The gradient of the loss in the last layer, for the label that the model itself would give, is the outer product
    `g = (p - 1[p >= 1/2]) ⊗ h` of residuals and penultimate features. The picks are the seeds that k-means++ draws
    among the g. The label is cut at 1/2, not at the tuned thresholds: only then is |g| the smallest that any label
    could give, the paper's reason for taking it. The first pick is drawn in proportion to |g|² (the squared distance
    to the origin); k-means++ draws it uniformly, and the authors' program takes the largest.

    Score: the squared distance to the nearest earlier pick, |g|² for the first, 0 among duplicates. Stochastic.
    Cost: a few passes over the pool, two for a hundred picks, O(N (C + D)) each; not a pass a pick. Memory: C + 3
    float64 a row. Use it where little is known of the classes: it has not been seen below random.

    Source:
        Ash et al., Deep batch active learning by diverse, uncertain gradient lower bounds, ICLR 2020.

    Example:
        >>> view = PoolView(
        ...     indices=np.array([4, 7, 9]),
        ...     logits=np.array([[9.0], [0.1], [-9.0]], dtype=np.float32),
        ...     embeddings=np.ones((3, 2), dtype=np.float32),
        ...     labelled_labels=np.zeros((0, 1), dtype=np.uint8),
        ...     labelled_embeddings=np.zeros((0, 2), dtype=np.float32),
        ...     f1=np.zeros(1, dtype=np.float32),
        ...     thresholds=np.full(1, 0.5, dtype=np.float32),
        ...     budget_left=1,
        ... )
        >>> Badge().select(view, 1, np.random.default_rng(0)).indices.tolist()
        [7]
    """

    needs: frozenset[Need] = frozenset({"logits", "embeddings"})
    stochastic: bool = True
    time: str = "O(N (C + D)) a pass, a few passes over the pool"
    memory: str = "8 (C + 3) bytes an image"

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        points = OuterProducts(residuals(pool.logits), pool.embeddings)
        rows, squares = d2_sample(points, count, rng)
        return rows, squares.astype(np.float32)


def residuals(logits: FloatArray) -> Doubles:
    """Give `p - 1[p >= 1/2]` without cancellation: minus the sign of z times the probability of the other answer.

    Args:
        logits: `(N, C)` float32.

    Returns:
        `(N, C)` float64 in [-1/2, 1/2).

    Example:
        >>> residuals(np.array([[0.0, 1e4, -1e4]], dtype=np.float32)).tolist()
        [[-0.5, -0.0, 0.0]]
    """
    other = sigmoid(-np.abs(logits))
    return np.where(logits >= 0, -other, other)
