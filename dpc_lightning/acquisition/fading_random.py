"""Buy at random as long as the model knows nothing."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed
from dpc_lightning.acquisition.mix import Mix
from dpc_lightning.acquisition.random import Random
from dpc_lightning.errors import ConfigError

__all__ = ["FadingRandom"]


class FadingRandom(Composed):
    """Buys a share at random, which fades as the model learns, and the rest by another rule.

    A model that knows nothing has a mean average precision of about the prevalence g, which guessing gives too. The
    random share is

    `1 - clip((mAP - g) / (trust (1 - g)), 0, 1)`

    with the mAP of the current model on validation; an unknown one counts as nothing known, and so does a pool without
    a labelled image.

    Score: that of the inner rule, NaN for random picks. Stochastic. Cost: that of the inner rule. Use it where the
    start set is so small that rules which trust the model may fall below random; own trials have seen that with quota
    rules on boards at a validation mAP of .22.

    Example in YAML:

        acquisition:
          class_path: FadingRandom
          init_args: {rule: ExpectedGain}

    Source:
        Own.

    Args:
        rule: the rule that buys once the model knows something.
        trust: share of the way from guessing to a perfect mAP at which nothing is bought at random any more.
    """

    time: str = "O(its rule)"
    memory: str = "that of its rule"

    def __init__(self, rule: Acquisition, trust: float = 0.2) -> None:
        super().__init__({"rule": rule})
        if not 0 < trust <= 1:
            msg = f"Expected `init_args.trust` in (0, 1], but got {trust}."
            raise ConfigError(msg)
        self.rule = rule
        self.trust = trust
        self.stochastic = True

    def random_share(self, pool: PoolView) -> float:
        """Give the share of the round that is bought at random, in [0, 1]."""
        if not len(pool.labelled_labels):
            return 1.0  # without a label nobody knows what guessing gives
        guess = float(pool.prevalence.mean()) if len(pool.prevalence) else 0.0
        known = pool.validation_map - guess
        if not np.isfinite(known) or guess >= 1:
            return 1.0
        return float(1 - np.clip(known / (self.trust * (1 - guess)), 0, 1))

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        share = self.random_share(pool)
        picked = Mix([self.rule, Random()], [1 - share, share]).select(pool, count, rng)
        return np.searchsorted(pool.indices, picked.indices), picked.scores
