"""Greedy covering of a pool by a kernel, exact without a look at every image for every pick."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["KernelCoverage", "check_positive", "cover", "gaussian_of_cosine"]

COLUMNS: Final = 64
"""Images whose kernel against the whole pool is held at once."""

ROUNDING: Final = 1e-12


class KernelCoverage(Acquisition):
    """A rule that covers the pool: it maximises `Σ_n w_n max_j k(e_n, e_j)` over what is owned and picked.

    A subclass gives the kernel and the weights. Embeddings are penultimate features, centred on the pool, of length 1.
    """

    time: str = "O(N² D), then a few columns of the kernel a pick"
    memory: str = "8 N (D + 64) bytes"
    largest_pool: int | None = 20_000

    def _weights(self, pool: PoolView) -> Doubles:
        return np.ones(len(pool))

    @abstractmethod
    def _kernel(self, rows: UnitRows, pool: PoolView) -> Callable[[Doubles], Doubles]:
        """Give the kernel: similarity in [0, 1] as a function of the cosine."""

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        rows = UnitRows(pool.embeddings, pool.owned_embeddings)
        unit = rows.read(np.arange(len(pool)))
        return cover(unit, rows.owned, self._weights(pool), self._kernel(rows, pool), count)


def cover(
    unit: Doubles, owned: Doubles, weights: Doubles, kernel: Callable[[Doubles], Doubles], count: int
) -> tuple[IntArray, FloatArray]:
    """Pick greedily what adds most to the coverage. What an image adds only falls, so a stale value is an upper bound.

    By submodularity the coverage is at least 1 - 1/e of the best that `count` images could add.

    Args:
        unit: `(N, D)` float64, rows of the kind that `UnitRows` gives.
        owned: `(L, D)` float64, what covers already.
        weights: `(N,)` float64, at least 0.
        kernel: turns cosines of any shape into similarities in [0, 1].
        count: how many, at most N.

    Returns:
        `(count,)` rows in the order picked, and `(count,)` float32: what each added, as a share of the weights. Ties go
        to the smaller row.

    Source:
        Nemhauser, Wolsey and Fisher, Mathematical Programming 14, 1978 (bound); Minoux, Accelerated greedy algorithms,
        1978 (lazy).
    """
    covered = np.zeros(len(unit))
    for start in range(0, len(owned), COLUMNS):
        covered = np.maximum(covered, kernel(unit @ owned[start : start + COLUMNS].T).max(axis=1))
    gains = np.empty(len(unit))
    for start in range(0, len(unit), COLUMNS):
        some = np.arange(start, min(start + COLUMNS, len(unit)))
        gains[some] = _gains(unit, some, covered, weights, kernel)
    seen = np.zeros(len(unit), dtype=np.int64)  # picks that a gain takes into account
    total = float(weights.sum()) or 1.0
    picks: list[int] = []
    added: list[float] = []
    while len(picks) < count:
        best = int(np.argmax(gains))
        near = np.flatnonzero(gains >= gains[best] * (1 - ROUNDING))
        stale = near[seen[near] < len(picks)]
        if len(stale) and gains[best] > 0:
            more = np.argsort(-gains, kind="stable")[: COLUMNS // 4]
            some = np.unique(np.concatenate([stale[:COLUMNS], more[seen[more] < len(picks)]]))
            gains[some] = _gains(unit, some, covered, weights, kernel)
            gains[picks] = -np.inf
            seen[some] = len(picks)
            continue
        picks.append(best)
        added.append(max(0.0, float(gains[best])) / total)
        covered = np.maximum(covered, kernel(unit @ unit[best]))
        gains[best] = -np.inf
    return np.array(picks, dtype=np.int64), np.array(added, dtype=np.float32)


def _gains(
    unit: Doubles, some: IntArray, covered: Doubles, weights: Doubles, kernel: Callable[[Doubles], Doubles]
) -> Doubles:
    more = kernel(unit @ unit[some].T)
    more -= covered[:, None]
    np.maximum(more, 0, out=more)
    more *= weights[:, None]
    gains: Doubles = more.sum(axis=0)  # row after row, so that equal columns have equal sums
    return gains


def gaussian_of_cosine(scale: float) -> Callable[[Doubles], Doubles]:
    """Give the kernel `exp(-(1 - cosine) / scale)`: a Gaussian of the distance of unit rows, with `σ² = scale`.

    Example:
        >>> gaussian_of_cosine(0.5)(np.array([1.0, 0.5])).round(3).tolist()
        [1.0, 0.368]
    """

    def kernel(cosines: Doubles) -> Doubles:
        similarity: Doubles = np.exp((cosines - 1) / scale)
        return similarity

    return kernel


def check_positive(name: str, value: float) -> None:
    """Check a setting that has to be above 0.

    Raises:
        ConfigError: if it is not, or is not finite.
    """
    if not 0 < value < np.inf:
        msg = f"Expected `init_args.{name}` above 0, but got {value}."
        raise ConfigError(msg)
