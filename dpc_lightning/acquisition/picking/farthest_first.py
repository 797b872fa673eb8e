"""Greedy picking of the farthest row, exact without reading the pool for every pick."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.picking.arrays import Doubles, FloatArray, IntArray
from dpc_lightning.acquisition.picking.half_floats import widened
from dpc_lightning.acquisition.picking.in_blocks import in_blocks
from dpc_lightning.acquisition.picking.pivot_bounds import PivotBounds, half_distances

__all__ = ["FarthestFirst"]

ROWS: Final = 4_096
"""Rows that a pass over the pool holds as float32 at once."""

ACTIVE: Final = 256
"""Rows that are kept up to date with every pick, at least; one in two hundred of a large pool."""

FEW: Final = 64
"""Centres that a row is compared with first, when it has missed many."""

GOOD: Final = 4
"""Where these leave a row below the best quarter of the active ones, it is not compared with more."""

GRID: Final = 2.0**25
"""Rows of length 1 at most are rounded to multiples of 1/GRID: see `unit_rows`."""

LEAST: Final = -1e300
"""Below any distance."""

SIGMAS: Final = 8
"""Rounding of a float32 inner product of D terms stays below `SIGMAS sqrt(D) 2^-24` of the norms but for a chance of
e^-30 (Higham and Mary, SIAM Journal on Scientific Computing 41, 2019)."""


class FarthestFirst:
    """Takes one row after the other, each the farthest from all owned and taken rows.

    The distance to the nearest centre only falls, so that one which is out of date is an upper bound. A few rows of
    the largest bounds are active: they are kept in memory, and every pick brings them up to date. When a bound outside
    could beat the best of them, rows of the largest bounds are pulled in and compared with the centres that they have
    missed, with a few first: those that cannot win then are left at that. Nothing else can win, so the picks are those
    of the full computation.

    Distances are computed in float32 and known to a tolerance. Where it leaves several rows as the best, their
    distances are computed without rounding: components are rounded to a grid so fine that float64 sums are exact.
    Equal rows therefore have equal distances, and ties go to the smaller row.

    Args:
        embeddings: `(N, D)` float32 or float16; may be memory-mapped, is read in blocks.
        owned: `(L, D)`, finite.
    """

    def __init__(self, embeddings: FloatArray, owned: FloatArray) -> None:
        self._embeddings = embeddings
        count, width = embeddings.shape
        self._squares = np.empty(count)
        """Squared norms of the rows as they are read."""
        self._sum = sum(in_blocks(self._measure, count, ROWS), np.zeros(width))
        self._first_centres(owned)
        self._current = np.zeros(count, dtype=np.int64)
        """Number of centres, from the first, that the bound of a row takes into account; it may know of others too."""
        self._exact = np.zeros(count, dtype=np.bool_)
        """Whether the bound is the distance itself, to the last bit."""
        self._bound: Doubles = np.full(count, np.inf)
        self._outer: Doubles = self._bound.copy()
        """The bounds of rows that are neither active nor taken nor settled; minus infinity for the others."""
        self._active: IntArray = np.zeros(0, dtype=np.int64)
        self._rows = np.zeros((0, width), dtype=np.float32)
        self._settled: list[IntArray] = []
        """Rows outside whose distances are exact: they need no place among the active ones until the next pick."""
        self._limit = max(ACTIVE, count // 200)
        self._picks: list[int] = []
        self._scores: list[float] = []
        if self._known:
            self._bound_by_pivots()

    def take(self) -> int:
        """Take the farthest row; it is a centre from now on."""
        row = self._farthest() if self._known else self._most_central()
        self._picks.append(row)
        for rows in self._settled:
            self._outer[rows] = self._bound[rows]
        self._settled.clear()
        self._outer[row] = -np.inf
        self._bound[row] = -np.inf
        self._add_centres(self._read(np.array([row])))
        if len(self._picks) + self._owned == 1:
            self._bound_by_pivots()
            self._outer[row] = self._bound[row] = -np.inf
        else:
            self._improve(self._active, self._rows, self._known - 1, self._known)
        return row

    def picks(self) -> tuple[IntArray, FloatArray]:
        """Give the rows taken, in their order, and the squared distance of each when it was taken."""
        return np.array(self._picks, dtype=np.int64), np.array(self._scores, dtype=np.float32)

    def _farthest(self) -> int:
        while True:
            bounds = self._bound[self._active]
            least = bounds - np.where(self._exact[self._active], 0.0, 2 * self._tolerance[self._active])
            settled = np.concatenate([np.zeros(0, dtype=np.int64), *self._settled])
            exact = self._bound[settled]
            beaten = max(float(least.max(initial=-np.inf)), float(exact.max(initial=-np.inf)))
            if self._outer.max() >= max(beaten, LEAST):
                self._pull(beaten)
                continue
            near = np.concatenate([self._active[bounds >= beaten], settled[exact >= beaten]])
            doubtful = near[~self._exact[near]]
            if len(doubtful) and len(near) > 1:
                self._settle(doubtful)
                continue
            best = int(near.min())
            unsure = 0.0 if self._exact[best] else self._tolerance[best]
            self._scores.append(max(0.0, float(self._bound[best] - unsure)))
            return best

    def _pull(self, beaten: float) -> None:
        """Bring the rows of the largest bounds outside up to date, and keep the best of all active."""
        outer = self._outer
        size = min(self._limit, len(outer))
        rows = np.argpartition(-outer, size - 1)[:size] if size < len(outer) else np.arange(len(outer))
        rows = np.sort(rows[outer[rows] > -np.inf])
        stale = self._current[rows] < self._known
        again = rows[~stale & (outer[rows] >= beaten)]  # too close to call, or they would have been kept
        self._settle(again[~self._exact[again]])
        outer[again] = self._bound[again]
        level = again[self._bound[again] >= beaten]
        outer[level] = -np.inf
        self._settled.append(level)
        rows = rows[stale]
        if not len(rows):
            return
        vectors = self._read(rows)
        current = self._bring_up_to_date(rows, vectors, beaten)
        outer[rows] = self._bound[rows]
        rows, vectors = rows[current], vectors[current]
        active = np.concatenate([self._active, rows])
        vectors = np.concatenate([self._rows, vectors])
        if len(active) > self._limit:
            best = np.argpartition(-self._bound[active], self._limit - 1)
            gone = active[best[self._limit :]]
            kept = np.sort(best[: self._limit])
            outer[gone] = self._bound[gone]
            active, vectors = active[kept], vectors[kept]
        outer[active] = -np.inf
        self._active, self._rows = active, vectors

    def _bring_up_to_date(self, rows: IntArray, vectors: NDArray[np.float32], beaten: float) -> IntArray:
        """Lower bounds by the centres that rows have missed, a few of them first.

        Rows that these few lower so far that they cannot win now, and would hardly be among the active ones, are left
        at that.

        Returns:
            The places of the others, which are up to date.
        """
        bar = -np.inf
        if len(self._active) == self._limit:
            bounds = self._bound[self._active]
            place = (self._limit - 1) - (self._limit - 1) // GOOD
            bar = min(beaten, float(np.partition(bounds, place)[place]))
        missed = self._current[rows]
        depth = np.frexp((self._known - missed).astype(np.float64))[1]  # rows that missed about the same number
        current = []
        for same in np.unique(depth):
            group = np.flatnonzero(depth == same)
            since, step = int(missed[group].min()), FEW
            while since < self._known and len(group):
                last = since + 2 * step > self._known or bar == -np.inf
                until = self._known if last else since + step
                self._improve(rows[group], vectors[group], since, until)
                if not last:
                    group = group[self._bound[rows[group]] >= bar]
                since, step = until, 2 * step
            current.append(group)
        return np.sort(np.concatenate(current))

    def _improve(self, rows: IntArray, vectors: NDArray[np.float32], since: int, until: int) -> None:
        """Lower bounds by the centres from `since` to `until`, in float32."""
        halves = half_distances(vectors, self._centres[since:until], self._half_squares[since:until])
        upper = 2 * halves.min(axis=1).astype(np.float64) + self._squares[rows] + self._tolerance[rows]
        bound = self._bound[rows]
        self._exact[rows] &= (upper - 2 * self._tolerance[rows] > bound) | (bound == 0)
        self._bound[rows] = np.minimum(bound, np.maximum(upper, 0))
        self._current[rows] = np.maximum(self._current[rows], until)

    def _settle(self, rows: IntArray) -> None:
        """Compute distances without rounding: to the centres that could be the nearest of one of these rows."""
        centres, half_squares = self._centres[: self._known], self._half_squares[: self._known]
        for start in range(0, len(rows), 256):
            some = rows[start : start + 256]
            vectors = self._read(some)
            halves = half_distances(vectors, centres, half_squares)
            reach = halves.min(axis=1) + self._tolerance[some]
            near = self._grid(centres[(halves <= reach[:, None]).any(axis=0)])
            exact = self._grid(vectors)
            least = (np.square(near).sum(axis=1) - 2 * (exact @ near.T)).min(axis=1) + np.square(exact).sum(axis=1)
            self._bound[some] = np.maximum(least, 0) / self._scale**2
        self._exact[rows] = True
        self._current[rows] = self._known

    def _grid(self, rows: NDArray[np.float32]) -> Doubles:
        grid: Doubles = np.rint(rows.astype(np.float64) * (self._scale * GRID)) / GRID
        return grid

    def _most_central(self) -> int:
        """Find the row nearest to the mean; of equal rows the first."""
        mean = self._sum / max(1, len(self._bound))
        distance = np.empty(len(self._bound))
        narrow = mean.astype(np.float32)

        def measure(block: slice) -> None:
            distance[block] = self._squares[block] - 2 * (self._block(block) @ narrow)

        in_blocks(measure, len(distance), ROWS)
        distance += mean @ mean
        near = np.flatnonzero(distance <= distance.min() + 2 * self._tolerance)
        wide = np.square(self._read(near).astype(np.float64) - mean).sum(axis=1)
        best = int(np.argmin(wide))
        self._scores.append(-float(wide[best]))
        return int(near[best])

    def _first_centres(self, owned: FloatArray) -> None:
        self._owned = len(owned)
        self._known = 0
        self._centres = np.zeros((max(64, len(owned)), self._embeddings.shape[1]), np.float32)
        self._half_squares = np.zeros(len(self._centres), np.float32)
        self._add_centres(np.asarray(owned, dtype=np.float32))
        largest = max(float(self._squares.max(initial=0)), 2 * float(self._half_squares.max(initial=0)))
        length = np.sqrt(largest) if largest else 1.0
        self._scale = 2.0 ** -np.ceil(np.log2(length))
        norms = np.sqrt(self._squares)
        product = 2 * SIGMAS * np.sqrt(self._embeddings.shape[1]) * 2.0**-24
        grid = (SIGMAS + 3) * 2.0**-24  # of the grid, and of half squares in float32
        self._tolerance = length * (product * norms + grid * (norms + length))

    def _add_centres(self, rows: NDArray[np.float32]) -> None:
        if self._known + len(rows) > len(self._centres):
            room = np.zeros((len(self._centres), self._centres.shape[1]), np.float32)
            self._centres = np.concatenate([self._centres, room])
            self._half_squares = np.concatenate([self._half_squares, np.zeros(len(room), np.float32)])
        new = slice(self._known, self._known + len(rows))
        self._centres[new] = rows
        self._half_squares[new] = np.square(rows, dtype=np.float64).sum(axis=1) / 2
        self._known = new.stop

    def _bound_by_pivots(self) -> None:
        pivots = PivotBounds(self._centres[: self._known], self._half_squares[: self._known])
        self._bound[:] = np.maximum(pivots.of(self._block, self._squares, ROWS) + self._tolerance, 0)
        self._current[:] = self._known if self._known == 1 else 0
        self._outer[:] = self._bound

    def _measure(self, block: slice) -> NDArray[np.float32]:
        rows = self._block(block)
        self._squares[block] = np.einsum("ij,ij->i", rows, rows)
        return np.ones(len(rows), np.float32) @ rows

    def _block(self, block: slice) -> NDArray[np.float32]:
        return widened(self._embeddings[block])

    def _read(self, rows: IntArray) -> NDArray[np.float32]:
        return widened(self._embeddings[rows])
