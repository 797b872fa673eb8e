"""The unit rows that new picks keep away from: a growing set, and the largest cosine of other rows to it."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.picking.arrays import Doubles, IntArray
from dpc_lightning.acquisition.picking.sketches import sketch

__all__ = ["Look", "TakenRows"]

ROOM: Final = 64
"""The least number of rows that room is made for at once."""

SLACK: Final = 1e-5
"""Rounding of a bound in float32; rows are of length 1 at most."""


class TakenRows:
    """Rows of length 1 or 0 that were taken, in the order in which they came.

    The largest cosine to thousands of taken rows seldom needs their inner products. With orthonormal directions Q, a
    sketch Q'x and the length r_x of what it leaves out, `x·y ≤ Q'x·Q'y + r_x r_y` (Cauchy and Schwarz): only the taken
    rows whose bound exceeds the largest cosine known are read. Cosines that are given are exact (see `UnitRows`),
    whatever Q is; a Q of principal directions makes the bounds sharp.

    Args:
        rows: `(L, D)` float64, those that are taken at the start.
        directions: `(D, q)` float64, orthonormal columns Q.

    Example:
        >>> taken = TakenRows(np.array([[1.0, 0.0]]), np.array([[1.0], [0.0]]))
        >>> taken.add(np.array([0.0, 1.0]))
        >>> taken.largest_cosines(np.array([[0.6, 0.8]]), since=0).tolist()
        [0.8]
    """

    def __init__(self, rows: Doubles, directions: Doubles) -> None:
        self._count = len(rows)
        self._rows = rows.copy()
        self._directions = directions
        self._sketches = np.zeros((0, directions.shape[1]), dtype=np.float32)
        self._left_out = np.zeros(0, dtype=np.float32)
        self._sketched = 0

    def __len__(self) -> int:
        return self._count

    def add(self, row: Doubles) -> None:
        """Take one row more, `(D,)`."""
        if self._count == len(self._rows):
            self._rows = np.pad(self._rows, ((0, max(ROOM, self._count)), (0, 0)))
        self._rows[self._count] = row
        self._count += 1

    def largest_cosines(self, rows: Doubles, since: int) -> Doubles:
        """Give the largest cosine to the taken rows from `since` on, of which there is at least one.

        Args:
            rows: `(m, D)` float64.
            since: the taken rows from this one on count.

        Returns:
            `(m,)` float64.
        """
        cosines: Doubles = (rows @ self._rows[since : self._count].T).max(axis=1)
        return cosines

    def look(self, rows: Doubles, since: int) -> "Look":
        """Compare the sketches of rows with those of the taken rows from `since` on, of which there is at least one."""
        if self._sketched < self._count:
            more = len(self._rows) - len(self._sketches)
            if more:
                self._sketches = np.pad(self._sketches, ((0, more), (0, 0)))
                self._left_out = np.pad(self._left_out, (0, more))
            new = slice(self._sketched, self._count)
            self._sketches[new], self._left_out[new] = sketch(self._rows[new], self._directions)
            self._sketched = self._count
        sketches, left_out = sketch(rows, self._directions)
        taken = slice(since, self._count)
        return Look(rows, left_out, self._rows[taken], self._left_out[taken], sketches @ self._sketches[taken].T)


@dataclass(frozen=True)
class Look:
    """What sketches tell of the cosines of rows to taken rows.

    Attributes:
        rows: `(m, D)` float64.
        left_out: `(m,)` float32, the length that their sketches leave out.
        taken: `(k, D)` float64.
        taken_left_out: `(k,)` float32.
        products: `(m, k)` float32, the inner products of the sketches.
    """

    rows: Doubles
    left_out: NDArray[np.float32]
    taken: Doubles
    taken_left_out: NDArray[np.float32]
    products: NDArray[np.float32]

    def near_cosines(self) -> Doubles:
        """Give the cosine to the taken row that is probably the nearest: `(m,)` float64, at most the largest cosine."""
        cosines: Doubles = np.einsum("ij,ij->i", self.rows, self.taken[self.products.argmax(axis=1)])
        return cosines

    def largest_cosines(self, some: IntArray, known: Doubles) -> Doubles:
        """Give the largest cosines of some of the rows.

        Args:
            some: `(n,)` places of the rows.
            known: `(n,)` float64. Where no cosine exceeds it, anything up to it may be given.

        Returns:
            `(n,)` float64.
        """
        found = known.copy()
        together: list[int] = []
        for at, place in enumerate(some):
            bounds = self.products[place] + self.left_out[place] * self.taken_left_out
            near = (bounds >= known[at] - SLACK).nonzero()[0]
            if 4 * len(near) > len(bounds):  # to read them all is cheaper than to gather them
                together.append(at)
            elif len(near):
                found[at] = (self.taken[near] @ self.rows[place]).max()
        if together:
            found[together] = (self.rows[some[together]] @ self.taken.T).max(axis=1)
        return found
