"""Pick what the models of the last phases disagree about."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.bald import mutual_information
from dpc_lightning.acquisition.base import FloatArray, Need, PoolView
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.errors import ConfigError

__all__ = ["Committee"]

ROWS: Final = 8_192
"""Images a block: the members' logits of a block stay in the cache."""


class Committee(Scored):
    """Takes the images about which the models at the ends of the last K phases disagree most.

    The disagreement is the Jensen-Shannon divergence of the members' answers, on average over C classes,

    `1/C Σ_k H(mean_t p_ikt) - mean_t H(p_ikt)`

    over members t: large where single members are sure and contradict each other, small where all are unsure alike.
    Members are the current model and those of the phases before it, of which the run keeps the weights. In the first
    round there is one member, which cannot disagree: the mean entropy counts then, as `MeanEntropy` has it. With
    `round_start: continue` members are snapshots of one training and agree more than with `fresh`.

    Score: the mean divergence in nats, in [0, log 2]. Deterministic. Cost: each image goes through K networks in place
    of one; then K C exponentials and logarithms an image. Memory: one float64 an image and a block, and 4 K C bytes an
    image of scores. Use it where later rounds should buy what training has not settled. Like all rules of single images
    it buys near duplicates.

    Source:
        Seung, Opper and Sompolinsky, Query by committee, COLT 1992; McCallum and Nigam, Employing EM and pool-based
        active learning for text classification, ICML 1998, for the divergence.

    Args:
        members: models K at most, the current one included.

    Raises:
        ConfigError: if they are fewer than 2.
    """

    needs: frozenset[Need] = frozenset({"logits", "committee_logits"})
    time: str = "O(N K C), K models"
    memory: str = "8 bytes an image and a block"

    def __init__(self, members: int = 3) -> None:
        if members < 2:
            msg = f"Expected `init_args.members` of at least 2 models, but got {members}."
            raise ConfigError(msg)
        self.members = members

    def scores(self, pool: PoolView) -> Doubles:
        """Give the mean divergence of each image, `(N,)`; its mean entropy where there is one member."""
        assert pool.committee_logits is not None  # `needs` names it
        logits: FloatArray = pool.committee_logits[:, : self.members]
        if logits.shape[1] == 1:
            return MeanEntropy().scores(pool)
        scores = np.empty(len(pool))
        for start in range(0, len(pool), ROWS):
            block = slice(start, start + ROWS)
            by_class = np.ascontiguousarray(logits[block].transpose(2, 1, 0), dtype=np.float64)
            scores[block] = mutual_information(by_class) / len(by_class)
        return scores
