"""Exact D² sampling of outer products `r ⊗ h` that are never formed."""

import math
from typing import Final

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, FloatArray, IntArray
from dpc_lightning.acquisition.picking.in_blocks import in_blocks

__all__ = ["OuterProducts", "Stacked", "d2_sample"]

ROWS: Final = 256
"""Rows that a pass over the pool holds in float64 at once."""

COLUMNS: Final = 2_048
"""Drawn points that a pass over the pool compares a block with at once."""

ZERO: Final = 1e-10
"""A squared distance below this share of the two squared norms is rounding: the points are the same."""


class Stacked:
    """The rows of two arrays as those of one, without a copy.

    Args:
        first: `(N, D)`.
        second: `(L, D)`.

    Example:
        >>> stacked = Stacked(np.array([[1.0], [2.0]]), np.array([[3.0]]))
        >>> stacked[np.array([2, 0])].tolist(), stacked[1:9].tolist()
        ([[3.0], [1.0]], [[2.0], [3.0]])
    """

    def __init__(self, first: FloatArray, second: FloatArray) -> None:
        self.first = first
        self.second = second

    def __len__(self) -> int:
        return len(self.first) + len(self.second)

    def __getitem__(self, rows: IntArray | slice) -> FloatArray:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            if stop <= len(self.first):
                return self.first[start:stop]
            rows = np.arange(start, stop)
        inside = rows < len(self.first)
        chosen = np.empty((len(rows), self.first.shape[1]), dtype=np.float32)
        chosen[inside] = self.first[rows[inside]]
        chosen[~inside] = self.second[rows[~inside] - len(self.first)]
        return chosen


class OuterProducts:
    """The points `g_i = r_i ⊗ h_i`, as a matrix that is never formed.

    The inner product of outer products is the product of inner products, so that
    `|g_i - g_j|² = |r_i|²|h_i|² + |r_j|²|h_j|² - 2 (r_i·r_j)(h_i·h_j)` costs C + D multiplications, not C · D.

    Args:
        left: `(N, C)` float64, the r.
        right: `(N, D)` float32 or float16, the h; may be memory-mapped, is read in blocks.
    """

    def __init__(self, left: Doubles, right: FloatArray | Doubles | Stacked) -> None:
        self.left = left
        self.right = right
        self.norms: Doubles = np.empty(len(left))
        """`(N,)` squared norms."""
        in_blocks(self._measure, len(left), ROWS)

    def __len__(self) -> int:
        return len(self.left)

    def distances(self, rows: IntArray | slice, others: IntArray) -> Doubles:
        """Squared distances, never below 0; exactly 0 for equal points.

        Args:
            rows: `(m,)` rows.
            others: `(k,)` rows.

        Returns:
            `(m, k)` float64.
        """
        both = self.norms[rows][:, None] + self.norms[others]
        inner = self.left[rows] @ self.left[others].T
        inner *= self._features(rows) @ self._features(others).T
        inner *= 2
        squares = np.subtract(both, inner, out=inner)
        both *= ZERO
        squares[squares <= both] = 0
        return squares

    def _measure(self, block: slice) -> None:
        rows = self._features(block)
        self.norms[block] = np.square(self.left[block]).sum(axis=1) * np.square(rows).sum(axis=1)

    def _features(self, rows: IntArray | slice) -> Doubles:
        return np.array(self.right[rows], dtype=np.float64, order="C")


def d2_sample(
    points: OuterProducts, count: int, rng: np.random.Generator, centres: IntArray | None = None
) -> tuple[IntArray, Doubles]:
    """Draw points one after the other with probability proportional to the squared distance to the nearest one drawn.

    Without centres the first is drawn in proportion to the squared distance to the origin. The others are drawn by
    rejection: a stale distance is an upper bound, since distances only fall; propose in proportion to stale distances,
    accept with probability true / stale. Whatever happened before, the next accepted point has exactly the wanted
    distribution, and only proposed rows are read. When most proposals are refused, all distances are brought up to date
    in one pass. Where every distance is 0 (duplicates), the rest is drawn uniformly among the rows not drawn yet.

    Cost: 2 to 3 passes over the pool as a rule, plus about two rows a draw; at worst a pass an eighth of a block.
    Memory: 3 float64 a row, a block of rows, and the rows drawn.

    Args:
        points: N points.
        count: how many to draw, at most N less the centres.
        rng: the only source of randomness.
        centres: `(L,)` rows that count as drawn already. √L of them give the first bounds, in one pass; the others
            are compared with what is proposed, and each further pass takes in as many again.

    Returns:
        `(count,)` distinct rows in the order drawn and `(count,)` squared distances at the time of drawing.

    Source:
        Arthur and Vassilvitskii, k-means++: the advantages of careful seeding, SODA 2007.
    """
    return _Sampler(points, count, rng, np.zeros(0, dtype=np.int64) if centres is None else centres).run()


class _Sampler:
    def __init__(self, points: OuterProducts, count: int, rng: np.random.Generator, centres: IntArray) -> None:
        self.points = points
        self.rng = rng
        self.bound = points.norms.copy()
        self.known = 0  # draws that `bound` takes into account in every row, but for those aside
        self.drawn: list[int] = []
        self.squares: list[float] = []
        self.given = len(centres)
        self.count = self.given + count
        self.aside = centres[:0]  # centres that `bound` does not take into account
        if self.given:
            mixed = rng.permutation(centres)
            pivots = math.isqrt(self.given)
            self.drawn = mixed[:pivots].tolist()
            self._refresh()
            self.drawn, self.aside = mixed.tolist(), mixed[pivots:]
            self.known = self.given
            self.squares = [0.0] * self.given
            self.bound[centres] = 0

    def run(self) -> tuple[IntArray, Doubles]:
        while len(self.drawn) < self.count:
            total = np.cumsum(self.bound)
            if total[-1] <= 0:
                self._draw_uniformly()
                break
            proposed = 1 if not self.drawn else min(max(16, 2 * (self.count - len(self.drawn))), 256)
            accepted = self._try(total, proposed)
            if len(self.drawn) < self.count and (len(self.drawn) == 1 or accepted < proposed / 8):
                self._refresh()
        return np.array(self.drawn[self.given :], dtype=np.int64), np.array(self.squares[self.given :])

    def _try(self, total: Doubles, proposed: int) -> int:
        rows = np.searchsorted(total, self.rng.random(proposed) * total[-1], side="right")
        rows = np.minimum(rows, np.searchsorted(total, total[-1]))  # rounding must not lead past the last possible row
        heights = self.rng.random(proposed) * self.bound[rows]
        true = self.bound[rows]
        missed = np.concatenate([self.aside, np.array(self.drawn[self.known :], dtype=np.int64)])
        if len(missed):
            true = np.minimum(true, self.points.distances(rows, missed).min(axis=1))
        mutual = self.points.distances(rows, rows) if proposed > 1 else np.zeros((1, 1))
        before = len(self.drawn)
        for position in range(proposed):
            if heights[position] < true[position]:
                self.drawn.append(int(rows[position]))
                self.squares.append(float(true[position]))
                if len(self.drawn) == self.count:
                    break
                np.minimum(true, mutual[position], out=true)
                true[rows == rows[position]] = 0
        np.minimum.at(self.bound, rows, true)
        return len(self.drawn) - before

    def _refresh(self) -> None:
        more = self.given - len(self.aside)  # as many again: all of them are seldom worth the pass
        missed = np.concatenate([self.aside[:more], np.array(self.drawn[self.known :], dtype=np.int64)])
        self.aside = self.aside[more:]
        first = self.known == 0  # the distance to the origin is no bound of the distance to the first draw

        def improve(block: slice) -> None:
            for column in range(0, len(missed), COLUMNS):
                nearest = self.points.distances(block, missed[column : column + COLUMNS]).min(axis=1)
                replaced = first and column == 0
                self.bound[block] = nearest if replaced else np.minimum(self.bound[block], nearest)

        in_blocks(improve, len(self.points), ROWS)
        self.bound[self.drawn] = 0
        self.known = len(self.drawn)

    def _draw_uniformly(self) -> None:
        left = np.setdiff1d(np.arange(len(self.points)), self.drawn)
        more = self.rng.choice(left, self.count - len(self.drawn), replace=False)
        self.drawn.extend(more.tolist())
        self.squares.extend([0.0] * len(more))
