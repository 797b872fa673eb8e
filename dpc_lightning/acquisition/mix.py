"""Share the budget of a round among rules."""

from collections.abc import Sequence

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed, check_rules, numbered
from dpc_lightning.errors import ConfigError

__all__ = ["Mix", "shares_of"]


class Mix(Composed):
    """Lets several rules buy, each its share of the round.

    The rules pick one after the other. A later one is told what the earlier ones have chosen, so that rules that look
    for variety keep away from it; of its picks the first ones that are not chosen yet are taken.

    Score: that of the rule which picked; not comparable between rules. Deterministic if all its rules are.
    Cost: the sum of its rules. Use it to hedge: half of the budget to the rule that you trust, half to one that fails
    elsewhere, or a part to `Random`, so that the purchase can serve as a sample of the pool too.

    Example in YAML:

        acquisition:
          class_path: Mix
          init_args: {rules: [ExpectedGain, Random], shares: [0.8, 0.2]}

    Source:
        Own; mixing with random picks is ε-greedy (Sutton and Barto, Reinforcement learning, 2nd ed., 2018, 2.2).

    Args:
        rules: the rules, in the order in which they pick.
        shares: what each may buy of a round, in any unit; equal shares if left out. Images are whole: the largest
            remainders are rounded up.
    """

    time: str = "O(sum of its rules)"
    memory: str = "the most of its rules"

    def __init__(self, rules: Sequence[Acquisition], shares: Sequence[float] | None = None) -> None:
        check_rules(rules)
        super().__init__(numbered(rules))
        self.rules = list(rules)
        self.shares = list(shares) if shares is not None else [1.0] * len(rules)
        key = "init_args.shares"
        if len(self.shares) != len(rules):
            msg = f"Expected one of `{key}` for each of {len(rules)} rules, but got {len(self.shares)}."
            raise ConfigError(msg)
        if not all(0 <= share < np.inf for share in self.shares) or sum(self.shares) <= 0:
            msg = f"Expected `{key}` of at least 0, one of them above it, but got {self.shares}."
            raise ConfigError(msg)

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        rows = np.zeros(0, dtype=np.int64)
        scores = np.zeros(0, dtype=np.float32)
        for rule, quota in zip(self.rules, shares_of(count, self.shares), strict=True):
            if not quota:
                continue
            picked = rule.select(pool.with_chosen(rows), quota + len(rows), rng)
            found = np.searchsorted(pool.indices, picked.indices)
            new = np.flatnonzero(~np.isin(found, rows))[:quota]
            rows = np.concatenate([rows, found[new]])
            scores = np.concatenate([scores, picked.scores[new]])
        return rows, scores


def shares_of(count: int, shares: Sequence[float]) -> list[int]:
    """Cut a whole number into shares, the largest remainders rounded up; of equal remainders the first.

    Args:
        count: the number.
        shares: at least 0, in any unit.

    Returns:
        Whole numbers whose sum is `count`.

    Example:
        >>> shares_of(10, [2, 1, 0])
        [7, 3, 0]
    """
    weights = np.asarray(shares, dtype=np.float64) / max(shares)  # no overflow in their sum
    exact = count * weights / weights.sum()
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - whole), kind="stable")
    whole[order[: count - int(whole.sum())]] += 1
    return [int(number) for number in whole]
