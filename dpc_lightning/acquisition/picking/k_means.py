"""k-means that is a function of its arguments: no thread, no generator of its own, empty clusters allowed."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from dpc_lightning.acquisition.picking.arrays import Doubles, IntArray
from dpc_lightning.acquisition.picking.kmeans_plus_plus import OuterProducts, d2_sample

__all__ = ["k_means"]

MANY: Final = 256
"""Clusters from which on seeds are drawn once each: the greedy kind costs a pass a seed."""

ROWS: Final = 512
"""Rows whose distances to all means are held at once."""


def k_means(
    rows: NDArray[np.floating], count: int, rng: np.random.Generator, steps: int = 30
) -> tuple[IntArray, Doubles]:
    """Part rows into clusters, seeded by greedy k-means++: of a few draws the one that helps most is a seed.

    Args:
        rows: `(m, D)` float32 or float64. In float32 a row may go to a mean that is farther by rounding.
        count: clusters, at least 1 and at most m.
        rng: draws the seeds.
        steps: at most so many times rows change their clusters.

    Returns:
        `(m,)` int64, the cluster of each row, and `(count, D)` float64, their means. Of equal rows more than one may be
        a seed: the clusters of the others are empty, and their means those seeds.

    Source:
        Lloyd, IEEE Transactions on Information Theory 28, 1982; Arthur and Vassilvitskii, SODA 2007
        (seeds, and the greedy kind of them).

    Example:
        >>> spots = np.array([[0.0], [0.1], [9.0], [9.1]])
        >>> member, _ = k_means(spots, 2, np.random.default_rng(0))
        >>> bool(member[0] == member[1] != member[2] == member[3])
        True
    """
    means = rows[_seeds(rows, count, rng)].astype(np.float64)
    with_one = np.column_stack([rows, np.ones(len(rows), rows.dtype)])
    member = np.full(len(rows), -1)
    ones, every = np.ones(len(rows)), np.arange(len(rows))
    for _ in range(steps):
        nearest = _nearest_mean(with_one, means)
        if (nearest == member).all():
            break
        member = nearest
        sums = np.asarray(csr_array((ones, (member, every)), shape=(count, len(rows))) @ with_one, dtype=np.float64)
        filled = sums[:, -1] > 0
        means[filled] = sums[filled, :-1] / sums[filled, -1:]
    return member, means


def _seeds(rows: NDArray[np.floating], count: int, rng: np.random.Generator) -> IntArray:
    if count > MANY:
        first = rng.integers(len(rows), size=1)
        more, _ = d2_sample(OuterProducts(np.ones((len(rows), 1)), rows), count - 1, rng, first)
        return np.concatenate([first, more])
    norms = np.square(rows).sum(axis=1)
    zero = max(1e-10, 10 * float(np.finfo(rows.dtype).eps)) * float(norms.max(initial=0.0))
    across = np.ascontiguousarray(rows.T)  # the products below take half the time so
    tried = 2 + int(np.log(count))
    seeds = [int(rng.integers(len(rows)))]
    nearest = np.full(len(rows), np.inf, rows.dtype)
    last = norms + norms[seeds[0]] - 2 * (rows @ rows[seeds[0]])
    while True:
        np.minimum(nearest, last, out=nearest)
        nearest[nearest <= zero] = 0  # rounding: the rows are the same
        if len(seeds) == count:
            return np.array(seeds, dtype=np.int64)
        total = np.cumsum(nearest, dtype=np.float64)
        if total[-1] <= 0:
            return np.array([*seeds, *np.resize(np.arange(len(rows)), count - len(seeds))], dtype=np.int64)
        drawn = np.searchsorted(total, rng.random(tried) * total[-1], side="right")
        drawn = np.minimum(drawn, np.searchsorted(total, total[-1]))
        squares = norms[drawn, None] + norms - 2 * (rows[drawn] @ across)
        left = np.minimum(squares, nearest).sum(axis=1)
        best = int(np.argmin(left))
        seeds.append(int(drawn[best]))
        last = squares[best]


def _nearest_mean(with_one: NDArray[np.floating], means: Doubles) -> IntArray:
    """Give the nearest mean of each row, of which the last column is 1: the largest `x·m - |m|²/2`."""
    lowered = np.column_stack([means, -np.square(means).sum(axis=1) / 2]).T.astype(with_one.dtype)
    nearest = np.empty(len(with_one), dtype=np.int64)
    for start in range(0, len(with_one), ROWS):
        block = slice(start, start + ROWS)
        nearest[block] = (with_one[block] @ lowered).argmax(axis=1)
    return nearest
