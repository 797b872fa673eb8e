"""Put noise upon the scores of another rule, so that a batch is not all of one kind."""

from typing import Literal

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed
from dpc_lightning.acquisition.mean_entropy import MeanEntropy
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import top_rows
from dpc_lightning.acquisition.scored import Scored
from dpc_lightning.errors import ConfigError

__all__ = ["PowerNoised", "check_noise", "noised"]

Noise = Literal["power", "softmax", "rank"]


class PowerNoised(Composed):
    """Draws images in proportion to a power of their scores, without putting them back.

    | noise | probability of the next image |
    |---|---|
    | `power` | `s^β` of the score s of the inner rule |
    | `softmax` | `exp(β s)` |
    | `rank` | `r^-β` of the rank r, 1 for the best |

    A batch of the best scores is full of near duplicates, because scores change with each label that is bought and the
    batch does not know it; noise is the cheapest cure. `power` counts negative scores from the smallest one; images of
    score 0 come last.

    Score: that of the inner rule. Stochastic. Cost: that of the inner rule, and O(N). Memory: 16 bytes an image beside.
    Use it in place of the plain rule wherever more than a few labels are bought at once.

    Example in YAML:

        acquisition:
          class_path: PowerNoised
          init_args: {rule: MeanEntropy}

    Source:
        Kirsch et al., Stochastic batch acquisition: a simple baseline for deep active learning, TMLR 2023; drawn by
        Gumbel's noise and a partial sort, as there.

    Args:
        rule: a rule that scores each image by itself; `MeanEntropy` if left out.
        noise: which of the three.
        beta: β: 0 is chance, and the larger it is the nearer to the plain rule.
    """

    time: str = "O(its rule + N)"
    memory: str = "16 bytes an image and that of its rule"

    def __init__(self, rule: Scored | None = None, noise: Noise = "power", beta: float = 1.0) -> None:
        rule = MeanEntropy() if rule is None else rule
        super().__init__({"rule": rule})
        check_noise(rule, noise, beta)
        self.rule = rule
        self.noise: Noise = noise
        self.beta = beta
        self.stochastic = True

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        scores = self.rule.scores(pool)
        rows = top_rows(noised(scores, self.noise, self.beta, rng), count)
        return rows, scores[rows].astype(np.float32)


def check_noise(rule: Scored, noise: str, beta: float) -> None:
    """Check the settings of noise.

    Raises:
        ConfigError: if the rule scores no images by themselves, or a setting is out of its range.
    """
    key = "init_args"
    if not isinstance(rule, Scored):
        msg = (
            f"Expected `{key}.rule` to score each image by itself, as MeanEntropy does, but "
            f"{type(rule).__name__} picks a batch as a whole."
        )
        raise ConfigError(msg)
    if noise not in {"power", "softmax", "rank"}:
        msg = f"Expected `{key}.noise` to be power, softmax or rank, but got {noise!r}."
        raise ConfigError(msg)
    if not 0 <= beta < np.inf:
        msg = f"Expected `{key}.beta` of at least 0, but got {beta}."
        raise ConfigError(msg)


def noised(scores: Doubles, noise: Noise, beta: float, rng: np.random.Generator) -> Doubles:
    """Put Gumbel's noise upon scores: the largest are then a draw without replacement.

    Args:
        scores: `(N,)` float64, finite.
        noise: `power`, `softmax` or `rank`; see `PowerNoised`.
        beta: at least 0.
        rng: the source of the noise.

    Returns:
        `(N,)` float64, finite.
    """
    gumbel = rng.gumbel(size=len(scores))
    if noise == "softmax":
        return beta * scores + gumbel
    if noise == "rank":
        order = np.argsort(-scores, kind="stable")
        rank = np.empty(len(scores))
        rank[order] = np.arange(1, len(scores) + 1)
        return gumbel - beta * np.log(rank)
    positive = scores - min(0.0, float(scores.min(initial=0.0)))
    logs = np.log(positive, out=np.full(len(scores), -1e300), where=positive > 0)
    return np.where(positive > 0, beta * logs, -1e300 if beta else 0.0) + gumbel
