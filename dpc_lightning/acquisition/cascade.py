"""Let one rule choose the candidates, and another one pick among them."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed, check_part
from dpc_lightning.errors import ConfigError

__all__ = ["Cascade"]


class Cascade(Composed):
    """Lets `first` keep some candidates, and `then` pick among these.

    Score: that of `then`. Deterministic if both rules are. Cost: that of `first` on the pool and of `then` on the
    candidates, whose rows are copied. Use it to give a rule that is dear, or that looks at variety only, what is worth
    looking at. Further stages are cascades within it.

    Example in YAML:

        acquisition:
          class_path: Cascade
          init_args: {first: MeanEntropy, factor: 10, then: Badge}

    Source:
        Filtering by margin before looking for variety: Citovsky et al., Batch active learning at scale, NeurIPS 2021.

    Args:
        first: the rule that keeps the candidates: its picks.
        then: the rule that picks among them.
        candidates: how many images `first` keeps; as many as are asked for, if these are more.
        factor: or how many it keeps for each image that is asked for. One of the two is to be given.
    """

    time: str = "O(first on the pool + then on the candidates)"
    memory: str = "the more of both, and the candidates' rows"

    def __init__(
        self, first: Acquisition, then: Acquisition, candidates: int | None = None, factor: float | None = None
    ) -> None:
        super().__init__({"first": first, "then": then})
        key = "init_args"
        if (candidates is None) == (factor is None):
            msg = f"Expected one of `{key}.candidates` and `{key}.factor`, but got {candidates} and {factor}."
            raise ConfigError(msg)
        if candidates is not None and candidates < 1:
            msg = f"Expected `{key}.candidates` of at least 1, but got {candidates}."
            raise ConfigError(msg)
        if factor is not None and not 1 <= factor < np.inf:
            msg = f"Expected `{key}.factor` of at least 1, but got {factor}."
            raise ConfigError(msg)
        self.first = first
        self.then = then
        self.candidates = candidates
        self.factor = factor

    def check_pool(self, images: int, count: int = 1) -> None:
        """Ask `first` about the pool, and `then` about the candidates.

        Raises:
            AcquisitionError: if either refuses.
        """
        kept = self._kept(count, images)
        check_part("first", self.first, images, kept)
        check_part("then", self.then, kept, count)

    def rows_to_score(self, images: int, count: int, rng: np.random.Generator) -> IntArray | None:
        """Ask `first` what it wants to have scored: see `Acquisition.rows_to_score`."""
        return self.first.rows_to_score(images, self._kept(count, images), rng)

    def _kept(self, count: int, images: int) -> int:
        wanted = self.candidates if self.factor is None else self.factor * count
        assert wanted is not None
        return int(min(images, max(count, np.ceil(wanted))))

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        kept = self.first.select(pool, self._kept(count, len(pool)), rng)
        rows = np.sort(np.searchsorted(pool.indices, kept.indices))
        picked = self.then.select(pool.subset(rows), count, rng)
        return np.searchsorted(pool.indices, picked.indices), picked.scores
