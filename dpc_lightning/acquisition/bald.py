"""BALD for several labels an image: what the draws disagree upon, not what all of them are unsure of."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.head_dropout import HeadDropout, check_dropout
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import sum_over_classes, top_rows

__all__ = ["Bald", "entropy_of_pair", "mutual_information"]

ROUNDING: Final = 1e-13
"""A difference below this share of the two entropies is rounding: the draws agree."""


class Bald(Acquisition):
    """Takes the images whose labels would say most about the weights of the last layer.

    The mutual information of the weights and the labels of image i is, for independent heads,

    `Σ_k H(mean_t p_ikt) - mean_t H(p_ikt)`

    over T draws t of dropout before the last layer (`HeadDropout`): large where single draws are sure and contradict
    each other, small where all are unsure alike. The same masks serve all images.

    Score: the sum in nats, in [0, C log 2]. Stochastic: the generator draws the masks; of equal images the smaller
    index. Cost: one product of N D by D T C numbers, and T C exponentials and logarithms an image. Memory: one float64
    an image and a block. Use it where noise of the labels makes entropy buy what nobody can tell. Like all rules of
    single images it buys near duplicates: `BatchBald` does not.

    Source:
        Houlsby et al., Bayesian active learning for classification and preference learning, 2011; Gal et al., Deep
        Bayesian active learning with image data, ICML 2017.

    Args:
        samples: draws T.
        rate: share of the embedding's columns that a draw leaves out: that of the network's last dropout, where it has
            one.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "head"})
    stochastic: bool = True
    time: str = "O(N D T C), T draws"
    memory: str = "8 bytes an image and a block"

    def __init__(self, samples: int = 20, rate: float = 0.3) -> None:
        check_dropout(samples, rate)
        self.samples = samples
        self.rate = rate

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        assert pool.head is not None
        draws = HeadDropout.draw(pool.head, self.samples, self.rate, rng)
        scores = np.empty(len(pool))
        for block, logits in draws.blocks(pool.embeddings):
            scores[block] = mutual_information(logits)
        rows = top_rows(scores, count)
        return rows, scores[rows].astype(np.float32)


def mutual_information(logits: Doubles) -> Doubles:
    """Give the information that an image's labels have about the draw, in nats.

    Args:
        logits: `(C, T, n)` float64, T draws.

    Returns:
        `(n,)` float64, at least 0, equal to the last bit for equal columns. Accurate for logits of any size: neither p
        nor 1 - p is rounded to 0 before its logarithm is taken.

    Example:
        >>> mutual_information(np.array([[[-1e4, 3.0], [1e4, 3.0]]])).round(6).tolist()
        [0.693147, 0.0]
    """
    draws = logits.shape[1]
    by_class = np.empty((len(logits), logits.shape[2]))
    for values, drawn in zip(by_class, logits, strict=True):
        size = np.abs(drawn)
        small = np.exp(-size)
        rarer = small / (1 + small)
        entropy = np.log1p(small) + size * rarer
        positive = drawn >= 0
        yes = sum_over_classes(np.where(positive, 1 - rarer, rarer)) / draws
        no = sum_over_classes(np.where(positive, rarer, 1 - rarer)) / draws
        of_mean = entropy_of_pair(np.minimum(yes, no))
        values[:] = of_mean - sum_over_classes(entropy) / draws
        values[values <= ROUNDING * of_mean] = 0
    return sum_over_classes(by_class)


def entropy_of_pair(smaller: Doubles) -> Doubles:
    """Give the entropy in nats of an answer from the probability of the rarer one.

    Args:
        smaller: any shape, in [0, 1/2].

    Returns:
        The same shape, in [0, log 2].

    Example:
        >>> entropy_of_pair(np.array([0.0, 0.5])).round(6).tolist()
        [0.0, 0.693147]
    """
    logs = np.log(np.maximum(smaller, np.finfo(np.float64).tiny))
    return np.asarray(-smaller * logs - (1 - smaller) * np.log1p(-smaller), dtype=np.float64)
