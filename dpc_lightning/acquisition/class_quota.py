"""Fill the class that has the fewest positives, with images unlike those owned."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.penalty import check_penalty
from dpc_lightning.acquisition.picking.diverse_greedy import DiverseGreedy
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.acquisition.probability import sigmoid

__all__ = ["ClassQuota"]


class ClassQuota(Acquisition):
    """Takes an image of the class with the fewest positives, again and again.

    For the class k with the fewest positives so far it takes the image i that maximises

    `p_ik · clip((1 - max_j e_i·e_j) / scale, floor, 1)`

    over the embeddings e_j of what was bought in earlier rounds and picked in this one, and adds p_i to the positives
    so far. At the start these are the positives among the labelled images. Embeddings are penultimate features,
    centred on the pool, of length 1.

    Earlier rounds count, because otherwise a later one would buy their near duplicates: these are what the model is now
    sure of.

    Score: the maximised term, in [0, 1], for the class of the pick. Deterministic; of equal classes the first, of equal
    images the smaller index. Cost: at worst O((L + B) N D), in practice a few per cent of it (see `DiverseGreedy`).
    Use it where classes are rare and the pool has near duplicates. Where the model knows nothing, it has fallen below
    random: let `Random` buy the first round then.

    Source:
        Own trials on generated sheets (class quota with diversity), with `scale` .3 and `floor` .02, never tuned.

    Args:
        scale: `1 - cosine` from which on an image is not similar any more.
        floor: factor for a duplicate.
    """

    needs: frozenset[Need] = frozenset({"logits", "embeddings", "labelled_embeddings"})
    time: str = "a few per cent of O((L + B) N D)"
    memory: str = "8 (C + 4) bytes an image, 64 MiB, and the rows picked"

    def __init__(self, scale: float = 0.3, floor: float = 0.02) -> None:
        check_penalty(scale, floor)
        self.scale = scale
        self.floor = floor

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        probabilities = sigmoid(pool.logits)
        positives = pool.labelled_labels.sum(axis=0, dtype=np.float64)
        greedy = DiverseGreedy(probabilities, UnitRows(pool.embeddings, pool.bought_embeddings), self.scale, self.floor)
        only = np.eye(len(positives))
        for _ in range(count):
            poorest = int(np.argmin(positives))
            positives += probabilities[greedy.take(poorest, only[poorest])]
        return greedy.picks()
