"""Share the batch among the classes that the model sees, with noise that fades from round to round."""

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.base import FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.mix import shares_of
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.power_noised import check_noise, noised
from dpc_lightning.acquisition.probability import top_rows
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.errors import ConfigError

__all__ = ["ClassStratified"]


class ClassStratified(Composed):
    """Shares a part of the batch equally among classes, by noised scores of another rule (ClaSP).

    `share` of the batch is cut into equal parts, one a class. A class takes the best images, by noised scores, among
    those in which the model sees it (probability at or above its tuned threshold), and where these are too few the most
    probable ones. The rest of the batch is bought by noised scores alone. Noise is that of `PowerNoised`
    with `s^β`; β starts at `beta` and grows by `growth` with every round, so that the noise fades.

    Score: that of the inner rule. Stochastic. Cost: that of the inner rule, and O(N C). Memory: 24 bytes an image
    beside. Use it where classes are rare and the model sees them at least sometimes.

    Example in YAML:

        acquisition:
          class_path: ClassStratified
          init_args: {rule: MeanEntropy}

    Source:
        ClaSP PE of nnActive (Traub et al., TMLR 2026): predictive entropy, 66 % stratified, decaying power noise.
        There classes are voxels of an organ; what counts as seen in a multi-label image, and the values of β, are own
        choices.

    Args:
        rule: a rule that scores each image by itself; `MeanEntropy` if left out.
        share: part of the batch that is shared among classes.
        beta: β of the first round.
        growth: factor of β from round to round.
    """

    time: str = "O(its rule + N C)"
    memory: str = "24 bytes an image and that of its rule"

    def __init__(self, rule: Scored | None = None, share: float = 0.66, beta: float = 1.0, growth: float = 4.0) -> None:
        rule = MeanEntropy() if rule is None else rule
        super().__init__({"rule": rule})
        check_noise(rule, "power", beta)
        key = "init_args"
        if not 0 <= share <= 1:
            msg = f"Expected `{key}.share` in [0, 1], but got {share}."
            raise ConfigError(msg)
        if not 1 <= growth < np.inf:
            msg = f"Expected `{key}.growth` of at least 1, but got {growth}."
            raise ConfigError(msg)
        self.rule = rule
        self.share = share
        self.beta = beta
        self.growth = growth
        self.stochastic = True
        self.needs |= {"logits"}

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        scores = self.rule.scores(pool)
        beta = min(self.beta * self.growth ** min(pool.round - 1, 100), 1e6)
        order = noised(scores, "power", beta, rng)
        classes = pool.logits.shape[1]
        parts = shares_of(round(self.share * count), [1.0] * classes)
        free = np.ones(len(pool), dtype=np.bool_)
        chosen: list[IntArray] = []
        for column in np.argsort(pool.prevalence, kind="stable"):  # rare classes choose first
            rows = self._of_class(pool, int(column), parts[column], order, free)
            free[rows] = False
            chosen.append(rows)
        rest = np.flatnonzero(free)
        left = count - sum(map(len, chosen))
        if left:
            chosen.append(rest[top_rows(order[rest], left)])
        rows = np.concatenate(chosen)
        return rows, scores[rows].astype(np.float32)

    def _of_class(self, pool: PoolView, column: int, count: int, order: Doubles, free: NDArray[np.bool_]) -> IntArray:
        if not count:
            return np.zeros(0, dtype=np.int64)
        level = float(pool.thresholds[column])
        logits = pool.logits[:, column]
        seen = np.flatnonzero(free & (logits >= np.log(level / (1 - level))))
        if len(seen) >= count:
            return seen[top_rows(order[seen], count)]
        others = np.flatnonzero(free)
        return others[top_rows(logits[others].astype(np.float64), count)]
