"""Let one rule follow upon another, round by round or when the classes are known well enough."""

from collections.abc import Sequence

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed, check_rules, numbered
from dpc_lightning.errors import ConfigError

__all__ = ["Switch"]


class Switch(Composed):
    """Lets the rules of a list follow upon each other.

    Without `until_positives` the first rule buys in round 1, the second one in round 2, and the last one goes on. With
    it there are two rules: the first one buys while a class has fewer positives among the labelled images, the second
    one as soon as none has.

    Which rule buys follows from round and labels alone, so that a run that goes on after a stop needs no memory of it.

    Score: that of the rule which buys. Deterministic if all its rules are. Cost: that of the rule which buys; scoring
    computes what any of them needs. Use it where one rule is good early and another one late, for example `Random` for
    the first round of a model that knows nothing.

    Example in YAML:

        acquisition:
          class_path: Switch
          init_args: {rules: [Random, Badge]}

    Source:
        Own; that the best rule changes with the number of labels: Hacohen et al., ICML 2022.

    Args:
        rules: the rules, at least two.
        until_positives: positives of each class from which on the second of two rules buys.
    """

    time: str = "O(the rule that buys)"
    memory: str = "that of the rule that buys"

    def __init__(self, rules: Sequence[Acquisition], until_positives: int | None = None) -> None:
        check_rules(rules, fewest=2)
        super().__init__(numbered(rules))
        key = "init_args.until_positives"
        if until_positives is not None and until_positives < 1:
            msg = f"Expected `{key}` of at least 1, but got {until_positives}."
            raise ConfigError(msg)
        if until_positives is not None and len(rules) != 2:
            msg = f"Expected two rules with `{key}`, but got {len(rules)}."
            raise ConfigError(msg)
        self.rules = list(rules)
        self.until_positives = until_positives

    def rule_for(self, pool: PoolView) -> Acquisition:
        """Give the rule that buys in this round."""
        if self.until_positives is None:
            return self.rules[min(pool.round, len(self.rules)) - 1]
        fewest = pool.labelled_labels.sum(axis=0, dtype=np.int64).min(initial=self.until_positives)
        return self.rules[int(fewest >= self.until_positives)]

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        picked = self.rule_for(pool).select(pool, count, rng)
        return np.searchsorted(pool.indices, picked.indices), picked.scores
