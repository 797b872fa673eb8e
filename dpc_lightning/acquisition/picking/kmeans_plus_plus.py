"""Exact D² sampling of outer products `r ⊗ h` that are never formed."""

import math
from typing import Final

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, FloatArray, IntArray
from dpc_lightning.acquisition.picking.half_floats import widened
from dpc_lightning.acquisition.picking.in_blocks import in_blocks

__all__ = ["OuterProducts", "Stacked", "d2_sample"]

ROWS: Final = 256
"""Rows that a pass over the pool holds in float64 at once, at least."""

MOST_ROWS: Final = 1_024
"""Of a large pool so many: threads wait for each other with small blocks."""

COLUMNS: Final = 512
"""Drawn points that a pass over the pool compares a block with at once."""

BATCH: Final = 256
"""Proposals that are looked at together, at most."""

FEWEST: Final = 16
"""Drawn points that a pass takes into account, at least."""

SUM: Final = 0.1
"""What adding up the bound of a row costs, in comparisons of two points."""

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
        in_blocks(self._measure, len(left), _block_rows(len(left)))

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
        chosen = self.right[rows]
        return np.array(widened(chosen) if chosen.dtype == np.float16 else chosen, dtype=np.float64, order="C")


def d2_sample(
    points: OuterProducts, count: int, rng: np.random.Generator, centres: IntArray | None = None
) -> tuple[IntArray, Doubles]:
    """Draw points one after the other with probability proportional to the squared distance to the nearest one drawn.

    Without centres the first is drawn in proportion to the squared distance to the origin. The others are drawn by
    rejection: a bound from above of each distance is known; propose in proportion to the bounds, accept with
    probability distance / bound. Whatever happened before, the next accepted point has exactly the wanted distribution,
    and only proposed rows are read. A pass over all rows brings the bounds down to the distances to a few of the points
    drawn, each further one takes in as many again; there is one when the proposals that are refused cost more. Where
    every distance is 0 (duplicates), the rest is drawn uniformly among the rows not drawn yet.

    Cost: a few passes over the pool, and for each draw a few rows that are compared with all drawn; at worst, where any
    few of the points say little about the others, as many comparisons as pairs of rows and draws. Memory: 3 float64 a
    row, a block of rows, and the rows drawn.

    Args:
        points: N points.
        count: how many to draw, at most N less the centres.
        rng: the only source of randomness.
        centres: `(L,)` rows that count as drawn already. √L of them give the first bounds, in one pass.

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
        self.given = centres
        self.bound = points.norms.copy()
        """Squared distance of each row to some of the centres given and drawn, 0 for themselves."""
        self.count = count
        self.drawn: list[int] = []
        self.squares: list[float] = []
        self.taken = 0
        """Centres that the bound takes into account in every row."""
        self.behind = rng.permutation(centres)
        """Those that it does not."""
        self.proposed = self.accepted = 0  # since the last pass
        if len(centres):
            self.bound[:] = np.inf
            self._refresh(math.isqrt(len(centres)))
            self.bound[centres] = 0

    def run(self) -> tuple[IntArray, Doubles]:
        while len(self.drawn) < self.count:
            total = np.cumsum(self.bound)
            if total[-1] <= 0:
                self._draw_uniformly()
                break
            proposed = min(max(16, 2 * (self.count - len(self.drawn))), BATCH) if self.taken else 1
            self.accepted += self._try(total, proposed)
            self.proposed += proposed
            if not self.taken:  # the distance to the origin, which drew the first, is no bound of that to the first
                self.bound[:] = np.inf
                self._refresh(1)
            elif self._pays():
                self._refresh(max(FEWEST, self.taken))
        return np.array(self.drawn, dtype=np.int64), np.array(self.squares)

    def _try(self, total: Doubles, proposed: int) -> int:
        rows = np.searchsorted(total, self.rng.random(proposed) * total[-1], side="right")
        rows = np.minimum(rows, np.searchsorted(total, total[-1]))  # rounding must not lead past the last possible row
        heights = self.rng.random(proposed) * self.bound[rows]
        true = self.bound[rows]
        if len(self.behind):
            true = np.minimum(true, self.points.distances(rows, self.behind).min(axis=1))
        mutual = self.points.distances(rows, rows) if proposed > 1 else np.zeros((1, 1))
        new: list[int] = []
        for position in range(proposed):
            if heights[position] < true[position]:
                new.append(int(rows[position]))
                self.squares.append(float(true[position]))
                if len(self.drawn) + len(new) == self.count:
                    break
                np.minimum(true, mutual[position], out=true)
                true[rows == rows[position]] = 0
        np.minimum.at(self.bound, rows, true)
        self.drawn += new
        self.behind = np.concatenate([self.behind, np.array(new, dtype=np.int64)])
        self.bound[new] = 0
        return len(new)

    def _pays(self) -> bool:
        """Say whether a pass would cost less than the proposals that it saves: half of those refused, is the hope."""
        left, missed = self.count - len(self.drawn), len(self.behind)
        refused = left * (self.proposed + 1) / (self.accepted + 1) - left
        saved = refused / 2 * (missed + BATCH + SUM * len(self.points) / BATCH)
        return saved > len(self.points) * min(missed, max(FEWEST, self.taken)) > 0

    def _refresh(self, more: int) -> None:
        """Take more centres into account in every row, the first that came."""
        missed, self.behind = self.behind[:more], self.behind[more:]

        def improve(block: slice) -> None:
            for column in range(0, len(missed), COLUMNS):
                nearest = self.points.distances(block, missed[column : column + COLUMNS]).min(axis=1)
                self.bound[block] = np.minimum(self.bound[block], nearest)

        in_blocks(improve, len(self.points), _block_rows(len(self.points)))
        self.bound[self.drawn] = 0
        self.taken += len(missed)
        self.proposed = self.accepted = 0

    def _draw_uniformly(self) -> None:
        left = np.setdiff1d(np.arange(len(self.points)), [*self.given, *self.drawn])
        more = self.rng.choice(left, self.count - len(self.drawn), replace=False)
        self.drawn.extend(more.tolist())
        self.squares.extend([0.0] * len(more))


def _block_rows(rows: int) -> int:
    return max(ROWS, min(MOST_ROWS, rows // 64))
