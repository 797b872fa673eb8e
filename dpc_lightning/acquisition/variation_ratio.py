"""Pick what draws of dropout cannot agree upon by majority."""

import numpy as np

from dpc_lightning.acquisition.bald import mutual_information
from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.head_dropout import HeadDropout, check_dropout, label_cuts

__all__ = ["VariationRatio"]


class VariationRatio(Acquisition):
    """Takes the images for which most draws are outvoted, on average over classes.

    The variation ratio of a class is the share of T draws of dropout (`HeadDropout`) that do not give the label that
    most of them give, `1 - max(v, T - v) / T` with v votes for the label. A draw gives a label where its logit is at
    least that of the tuned threshold: these are the answers that the model really gives.

    Few values are possible, T C / 2 + 1, so that ties are common; among images of equal ratio the larger mutual
    information (`Bald`) goes first, then the smaller index.

    Score: the mean ratio, in [0, 1/2]. Stochastic: the generator draws the masks. Cost: as `Bald`. Memory: two float64
    an image and a block. Use it where it counts whether the answer at the tuned thresholds is settled, not how far the
    draws lie apart.

    Source:
        Freeman, Elementary applied statistics, 1965; Gal et al., Deep Bayesian active learning with image data, ICML
        2017.

    Args:
        samples: draws T.
        rate: share of the embedding's columns that a draw leaves out.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "head"})
    stochastic: bool = True
    time: str = "O(N D T C), T draws"
    memory: str = "16 bytes an image and a block"

    def __init__(self, samples: int = 20, rate: float = 0.3) -> None:
        check_dropout(samples, rate)
        self.samples = samples
        self.rate = rate

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        assert pool.head is not None
        draws = HeadDropout.draw(pool.head, self.samples, self.rate, rng)
        cuts = label_cuts(pool.thresholds)
        outvoted, information = np.empty(len(pool), dtype=np.int64), np.empty(len(pool))
        for block, logits in draws.blocks(pool.embeddings):
            votes = (logits >= cuts[:, None, None]).sum(axis=1)
            outvoted[block] = np.minimum(votes, self.samples - votes).sum(axis=0)
            information[block] = mutual_information(logits)
        rows = np.lexsort((-information, -outvoted))[:count]
        return rows, (outvoted[rows] / (self.samples * draws.classes)).astype(np.float32)
