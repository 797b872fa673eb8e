"""Which rows lie within a radius of each other: exact, by products in float32 of those that could."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.picking.arrays import Doubles, IntArray
from dpc_lightning.acquisition.picking.sketches import principal_directions, sketch

__all__ = ["RadiusGraph"]

ROWS: Final = 256

PIVOTS: Final = 32
"""Rows that stand near the same one of so many are compared with the others together."""

SKETCH: Final = 32
"""Principal directions by which it is told which rows could be near."""

BAND: Final = 1e-4
"""Cosines of unit rows in float32 are off by less; pairs so close to the radius are decided without rounding."""


@dataclass(frozen=True)
class RadiusGraph:
    """The neighbours of each row, itself included.

    Attributes:
        starts: `(N + 1,)` int64; the neighbours of row i are `neighbours[starts[i] : starts[i + 1]]`.
        neighbours: `(E,)` int32, in no order within a row but for the row itself, which is the first.
    """

    starts: IntArray
    neighbours: np.ndarray

    @classmethod
    def of(cls, unit: Doubles, radius: float) -> "RadiusGraph":
        """Find all pairs whose `1 - cosine` is at most the radius.

        Rows that stand near the same pivot are compared at once with all rows that could lie within the radius of one
        of them, as their sketches tell (see `sketch`).

        Cost: at most N² D / 2 multiplications in float32; memory: 24 bytes a pair and a block.

        Args:
            unit: `(N, D)` float64, rows of the kind that `UnitRows` gives, whose products are exact.
            radius: in [0, 2].

        Returns:
            The graph.

        Example:
            >>> unit = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
            >>> RadiusGraph.of(unit, 0.25).neighbours.tolist()
            [0, 2, 1, 2, 0]
        """
        order, sketches = _in_groups(unit)
        narrow = unit.astype(np.float32)[order]
        least = np.float32(1 - radius - BAND)
        every = np.arange(len(unit), dtype=np.min_scalar_type(len(unit)))  # 16 bits are sorted without comparisons
        order = order.astype(every.dtype)
        ones, others, degrees = [every], [every], np.ones(len(unit), dtype=np.int64)
        for start in range(0, len(unit), ROWS):
            block = slice(start, start + ROWS)
            near = start + np.flatnonzero((sketches[block] @ sketches[start:].T >= least).any(axis=0))
            if 2 * len(near) > len(unit) - start:  # to compare with all is cheaper than to gather most
                near = np.arange(start, len(unit))
                cosines = narrow[block] @ narrow[start:].T
            else:
                cosines = narrow[block] @ narrow[near].T
            found = np.flatnonzero(cosines >= least)
            one = found // len(near)
            other = near[found - one * len(near)]
            first, second = order[one + start], order[other]
            kept = one + start < other
            close = np.flatnonzero(cosines.ravel()[found] < np.float32(1 - radius + BAND))
            for at in range(0, len(close), 65_536):
                some = close[at : at + 65_536]
                kept[some] &= 1 - np.einsum("ij,ij->i", unit[first[some]], unit[second[some]]) <= radius
            first, second = first[kept], second[kept]
            ones += [first, second]
            others += [second, first]
            degrees += np.bincount(first, minlength=len(unit)) + np.bincount(second, minlength=len(unit))
        grouped = np.argsort(np.concatenate(ones), kind="stable")
        return cls(np.concatenate([[0], np.cumsum(degrees)]), np.concatenate(others)[grouped].astype(np.int32))

    def of_rows(self, rows: IntArray) -> np.ndarray:
        """Give the neighbours of some rows, one row after the other, `(n,)` int32."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        shift = np.repeat(self.starts[rows] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        return self.neighbours[shift + np.arange(int(sizes.sum()))]


def _in_groups(unit: Doubles) -> tuple[IntArray, NDArray[np.float32]]:
    """Order rows by the pivot that is probably the nearest, and give their sketches in that order.

    Returns:
        `(N,)` int64, and `(N, q + 1)` float32, of which no inner product is smaller than the cosine of its two rows
        but for rounding.
    """
    sketches, left_out = sketch(unit, principal_directions(unit, SKETCH))
    pivots = sketches[:: max(1, len(unit) // PIVOTS)]
    order = np.argsort((sketches @ pivots.T).argmax(axis=1), kind="stable")
    return order, np.column_stack([sketches, left_out])[order]
