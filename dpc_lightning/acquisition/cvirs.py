"""Pick images of doubtful classes whose predicted labels are unlike those that are known."""

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, LabelArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import sum_over_classes
from dpc_lightning.acquisition.scored import Scored

__all__ = ["Cvirs", "label_distances"]


class Cvirs(Scored):
    """Takes the images of the largest product of doubt and inconsistency (CVIRS).

    - Doubt: in each class the images are ranked by their margin `|2 p - 1|`; the score of an image is the mean over
      classes of the share of the pool that has a larger margin (Borda's count).
    - Inconsistency: the mean over the labelled images of the distance between predicted and known labels: 1 where all
      classes differ, else their normalised variation of information, which is large for label sets that say little
      about each other. Predicted labels are those above the tuned thresholds. Without a labelled image it is 1.

    Score: the product, in [0, 1]. Deterministic. Cost: a sort of each class, O(C N log N), and C times the number of
    different label sets on both sides. Memory: 24 bytes an image and the label sets. Use it where images have many
    labels each. With few classes there are few label sets, and doubt decides.

    Source:
        Reyes, Morell and Ventura, Effective active learning strategy for multi-label learning, Neurocomputing 273,
        2018. Equal margins have equal ranks here.
    """

    needs: frozenset[Need] = frozenset({"logits"})
    time: str = "O(C N log N)"
    memory: str = "24 bytes an image and the label sets"

    def scores(self, pool: PoolView) -> Doubles:
        """Give doubt times inconsistency for each image, `(N,)`."""
        return _doubt(pool.logits) * _inconsistency(pool)


def _doubt(logits: FloatArray) -> Doubles:
    images, classes = logits.shape
    shares = np.empty((1, images))
    total = np.zeros(images)
    for column in range(classes):
        size = np.abs(logits[:, column])
        shares[0] = images - np.searchsorted(np.sort(size), size, side="right")
        total += sum_over_classes(shares)
    total /= classes * max(1, images - 1)
    return total


def _inconsistency(pool: PoolView) -> Doubles:
    if not len(pool.labelled_labels):
        return np.ones(len(pool))
    level = pool.thresholds.astype(np.float64)
    predicted = (pool.logits >= np.log(level / (1 - level))).astype(np.uint8)
    sets, which = np.unique(predicted, axis=0, return_inverse=True)
    known, times = np.unique(pool.labelled_labels, axis=0, return_counts=True)
    mean: Doubles = np.array([label_distances(row, known) @ times for row in sets]) / times.sum()
    inconsistency: Doubles = mean[which.reshape(-1)]
    return inconsistency


def label_distances(labels: LabelArray, others: LabelArray) -> Doubles:
    """Distances of a label set to others: normalised variation of information, and 1 where all classes differ.

    Args:
        labels: `(C,)` uint8.
        others: `(n, C)` uint8.

    Returns:
        `(n,)` float64 in [0, 1]; 0 for equal sets.

    Example:
        >>> others = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 0, 0]], dtype=np.uint8)
        >>> label_distances(np.array([1, 0, 1, 0], dtype=np.uint8), others).round(9).tolist()
        [0.0, 1.0, 1.0]
    """
    classes = len(labels)
    both = np.stack([((labels == a) & (others == b)).sum(axis=1) for a in (0, 1) for b in (0, 1)], axis=1) / classes
    joint = _entropy(both)
    mine = _entropy(np.stack([both[:, 0] + both[:, 1], both[:, 2] + both[:, 3]], axis=1))
    theirs = _entropy(np.stack([both[:, 0] + both[:, 2], both[:, 1] + both[:, 3]], axis=1))
    apart = np.divide(2 * joint - mine - theirs, joint, out=np.zeros(len(others)), where=joint > 0)
    apart = np.where((labels != others).all(axis=1), 1.0, apart)
    return np.clip(np.where((labels == others).all(axis=1), 0.0, apart), 0, 1)


def _entropy(shares: Doubles) -> Doubles:
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    total: Doubles = -(shares * logs).sum(axis=1)
    return total
