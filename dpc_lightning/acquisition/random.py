"""Pick by chance: the reference that every rule has to beat."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView

__all__ = ["Random"]


class Random(Acquisition):
    """Draws images uniformly, without a look at them.

    Score: none (NaN). Stochastic. Cost and memory: O(N). Use it as the reference, or for a first round while the model
    knows nothing yet.
    """

    stochastic: bool = True
    time: str = "O(N)"
    memory: str = "8 bytes an image"

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        rows = rng.permutation(len(pool))[:count].astype(np.int64)
        return rows, np.full(count, np.nan, dtype=np.float32)
