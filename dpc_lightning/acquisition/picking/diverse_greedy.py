"""Greedy picking of valuable images that are unlike what is owned, exact without reading the pool for every pick."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, FloatArray, IntArray
from dpc_lightning.acquisition.picking.recent_rows import RecentRows
from dpc_lightning.acquisition.picking.taken_rows import TakenRows
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

__all__ = ["DiverseGreedy"]

ACTIVE: Final = 1_024
"""Rows among which a pick is looked for before all others are looked at."""

PULL: Final = 4
"""Rows that are looked at again first; twice as many each further time, until a pick is found."""

MOST: Final = 64
"""Rows that are looked at again at once, at most."""

KEPT: Final = 2**26
"""Bytes of rows that are kept because they will probably be looked at again."""

FEW: Final = 256
"""So many rows taken are not worth a guess which of them is the nearest."""

SKETCH: Final = 32
"""Principal directions by which it is told which rows could be near."""


class DiverseGreedy:
    """Takes one row after the other, each the best of `v_i · clip((1 - m_i) / scale, floor, 1)`.

    `m_i` is the largest cosine of row i to any image owned or taken before, `v_i = Σ_k w_k p_ik` with weights w that
    the caller gives anew for each pick. m only grows, so a penalty that is out of date is an upper bound. Each `key`
    keeps the rows of the largest bounds (its active rows) and the largest bound outside them. The best active rows are
    looked at again: their cosine to the one row taken that is probably the nearest takes most of them below the best
    row that is up to date, and only the others are brought up to date themselves. This goes on until the best row is
    up to date and beats the bound of those outside; if nothing active beats it, the active rows are chosen anew.
    Nothing else can win, so the picks are those of the full computation; ties go to the smaller row.

    Cost: rows read are a few per cent of picks times N where values differ; at worst all, as in the full computation.
    Memory: C + 4 numbers a row, 64 MiB of rows looked at, the rows picked, and the owned rows.

    Args:
        values: `(N, C)` float64, p, at least 0.
        rows: the embeddings.
        scale: `1 - m` at which the penalty ends.
        floor: smallest penalty factor, so that a duplicate is the last choice but a choice.
    """

    def __init__(self, values: Doubles, rows: UnitRows, scale: float, floor: float) -> None:
        self._values = np.ascontiguousarray(values.T)
        self._rows = RecentRows(rows, KEPT, MOST)
        self._scale, self._floor = scale, floor
        self._avoided = TakenRows(rows.owned, rows.directions(SKETCH))
        self._nearest = np.full(len(rows), -1.0)
        self._current = np.zeros(len(rows), dtype=np.int64)
        self._penalty = np.ones(len(rows))
        self._pull = PULL
        self._size = max(ACTIVE, len(rows) // 400)
        self._taken = np.zeros(len(rows), dtype=np.bool_)
        self._active: dict[int, IntArray] = {}
        self._outside: dict[int, float] = {}
        self._picks: list[tuple[int, float]] = []

    def take(self, key: int, weights: Doubles) -> int:
        """Take the best row.

        Args:
            key: names a family of weights. Within one key no weight may ever grow, else bounds would be none.
            weights: `(C,)` w, at least 0.

        Returns:
            The row; it is taken from now on.
        """
        if key not in self._active:
            self._choose_active(key, weights)
        while True:
            active = self._active[key]
            scores = self._scores(active, weights)
            pull = max(PULL, self._pull // 2)
            while len(active):
                best = int(scores.argmax())
                if scores[best] <= self._outside[key]:
                    break
                if self._current[active[best]] == len(self._avoided):
                    self._pull = pull
                    return self._keep(int(active[best]), float(scores[best]))
                self._look_again(active, scores, weights, self._outside[key], pull)
                pull = min(2 * pull, MOST)
            self._choose_active(key, weights)

    def picks(self) -> tuple[IntArray, FloatArray]:
        """Give the rows taken, in their order, and the score of each."""
        rows, scores = zip(*self._picks, strict=True) if self._picks else ((), ())
        return np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float32)

    def _scores(self, rows: IntArray | slice, weights: Doubles) -> Doubles:
        scores = self._worth(rows, weights) * self._penalty[rows]
        scores[self._taken[rows]] = -np.inf
        return scores

    def _worth(self, rows: IntArray | slice, weights: Doubles) -> Doubles:
        worth = np.zeros(self._penalty[rows].shape)
        for column in weights.nonzero()[0]:  # in fixed order: equal rows get equal sums
            worth += weights[column] * self._values[column, rows]
        return worth

    def _choose_active(self, key: int, weights: Doubles) -> None:
        bounds = self._scores(slice(None), weights)
        least = -np.inf
        if len(bounds) > self._size:
            least = np.partition(bounds, len(bounds) - self._size)[len(bounds) - self._size]
        self._active[key] = np.flatnonzero((bounds >= least) & ~self._taken)
        below = bounds[bounds < least]
        self._outside[key] = float(below.max()) if len(below) else -np.inf

    def _look_again(self, active: IntArray, scores: Doubles, weights: Doubles, outside: float, pull: int) -> None:
        """Lower the largest scores that are out of date, in place."""
        now = len(self._avoided)
        old = self._current[active] < now
        beaten = max(outside, float(scores[~old].max(initial=-np.inf)))
        stale = (old & (scores > -np.inf)).nonzero()[0]
        if len(stale) > pull:
            stale = stale[np.argpartition(scores[stale], len(stale) - pull)[-pull:]]
        rows = active[stale]
        worth = self._worth(rows, weights)
        vectors = self._rows.read(rows)
        depth = np.frexp(np.maximum(now - self._current[rows], FEW).astype(np.float64))[1]
        for level in np.unique(depth):  # rows that missed about the same number go together, the fewest first
            group = (depth == level).nonzero()[0]
            since = int(self._current[rows[group]].min())
            if now - since <= FEW:
                self._bring_near(rows[group], self._avoided.largest_cosines(vectors[group], since))
            else:
                look = self._avoided.look(vectors[group], since)
                self._bring_near(rows[group], look.near_cosines())
                left = (worth[group] * self._penalty[rows[group]] >= beaten).nonzero()[0]
                group = group[left]
                self._bring_near(rows[group], look.largest_cosines(left, self._nearest[rows[group]]))
            self._current[rows[group]] = now
            beaten = max(beaten, float((worth[group] * self._penalty[rows[group]]).max(initial=-np.inf)))
        scores[stale] = worth * self._penalty[rows]

    def _bring_near(self, rows: IntArray, cosines: Doubles) -> None:
        self._nearest[rows] = np.maximum(self._nearest[rows], cosines)
        self._penalty[rows] = np.clip((1 - self._nearest[rows]) / self._scale, self._floor, 1)

    def _keep(self, row: int, score: float) -> int:
        self._taken[row] = True
        self._picks.append((row, score))
        self._avoided.add(self._rows.read(np.array([row]))[0])
        return row
