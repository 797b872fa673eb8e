"""Greedy picking of valuable images that are unlike what is owned, exact without reading the pool for every pick."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, IntArray
from dpc_lightning.acquisition.probability import Doubles
from dpc_lightning.acquisition.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["DiverseGreedy", "check_penalty"]

ACTIVE: Final = 2_048
"""Rows among which a pick is looked for before all others are looked at."""

PULL: Final = 32
"""Rows that are brought up to date at once."""


def check_penalty(scale: float, floor: float) -> None:
    """Check the constants of the penalty.

    Raises:
        ConfigError: if a value is out of its range.
    """
    for name, value, low in (("scale", scale, "(0, 2]"), ("floor", floor, "[0, 1]")):
        if not (0 < value <= 2 if name == "scale" else 0 <= value <= 1):
            msg = f"Expected `purchase.acquisition.init_args.{name}` in {low}, but got {value}."
            raise ConfigError(msg)


class DiverseGreedy:
    """Takes one row after the other, each the best of `v_i · clip((1 - m_i) / scale, floor, 1)`.

    `m_i` is the largest cosine of row i to any image owned or taken before, `v_i = Σ_k w_k p_ik` with weights w that
    the caller gives anew for each pick. m only grows, so a penalty that is out of date is an upper bound. Each `key`
    keeps the rows of the largest bounds (its active rows) and the largest bound outside them; the best active rows are
    brought up to date until the best one stays the best and beats that bound. If nothing active beats it, the active
    rows are chosen anew. Nothing else can win, so the picks are those of the full computation; ties go to the smaller
    row.

    Cost: rows read are a few per cent of picks times N where values differ; at worst all, as in the full computation.
    Memory: C + 3 numbers a row, the rows picked, and the owned rows.

    Args:
        values: `(N, C)` float64, p, at least 0.
        rows: the embeddings.
        scale: `1 - m` at which the penalty ends.
        floor: smallest penalty factor, so that a duplicate is the last choice but a choice.
    """

    def __init__(self, values: Doubles, rows: UnitRows, scale: float, floor: float) -> None:
        self._values = np.ascontiguousarray(values.T)
        self._rows = rows
        self._scale, self._floor = scale, floor
        self._avoid = rows.owned.copy()
        self._avoided = len(rows.owned)
        self._nearest = np.full(len(rows), -1.0)
        self._current = np.zeros(len(rows), dtype=np.int64)
        self._penalty = np.ones(len(rows))
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
            best = int(np.argmax(scores)) if len(active) else -1
            if best < 0 or scores[best] <= self._outside[key]:
                self._choose_active(key, weights)
            elif self._current[active[best]] == self._avoided:
                return self._keep(int(active[best]), float(scores[best]))
            else:
                self._update(active, scores)

    def picks(self) -> tuple[IntArray, FloatArray]:
        """Give the rows taken, in their order, and the score of each."""
        rows, scores = zip(*self._picks, strict=True) if self._picks else ((), ())
        return np.array(rows, dtype=np.int64), np.array(scores, dtype=np.float32)

    def _scores(self, rows: IntArray | slice, weights: Doubles) -> Doubles:
        used = np.flatnonzero(weights)
        total = np.zeros(self._penalty[rows].shape)
        for column in used:  # in fixed order: equal rows get equal sums
            total += weights[column] * self._values[column, rows]
        total *= self._penalty[rows]
        total[self._taken[rows]] = -np.inf
        return total

    def _choose_active(self, key: int, weights: Doubles) -> None:
        bounds = self._scores(slice(None), weights)
        least = -np.inf
        if len(bounds) > ACTIVE:
            least = np.partition(bounds, len(bounds) - ACTIVE)[len(bounds) - ACTIVE]
        self._active[key] = np.flatnonzero((bounds >= least) & ~self._taken)
        below = bounds[bounds < least]
        self._outside[key] = float(below.max()) if len(below) else -np.inf

    def _update(self, active: IntArray, scores: Doubles) -> None:
        stale = np.flatnonzero((self._current[active] < self._avoided) & (scores > -np.inf))
        if len(stale) > PULL:
            stale = stale[np.argpartition(scores[stale], len(stale) - PULL)[-PULL:]]
        rows = active[stale]
        missed = self._avoided - self._current[rows]
        depth = np.frexp(missed.astype(np.float64))[1]  # rows that missed about the same number go together
        for level in np.unique(depth):
            group = rows[depth == level]
            since = int(self._current[group].min())
            cosines = self._rows.read(group) @ self._avoid[since : self._avoided].T
            self._nearest[group] = np.maximum(self._nearest[group], cosines.max(axis=1))
        self._current[rows] = self._avoided
        self._penalty[rows] = np.clip((1 - self._nearest[rows]) / self._scale, self._floor, 1)

    def _keep(self, row: int, score: float) -> int:
        self._taken[row] = True
        self._picks.append((row, score))
        if self._avoided == len(self._avoid):
            room = np.zeros((max(64, len(self._avoid)), self._avoid.shape[1]))
            self._avoid = np.concatenate([self._avoid, room])
        self._avoid[self._avoided] = self._rows.read(np.array([row]))[0]
        self._avoided += 1
        return row
