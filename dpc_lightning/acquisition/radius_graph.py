"""Which rows lie within a radius of each other: exact, by products of blocks in float32."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import IntArray
from dpc_lightning.acquisition.probability import Doubles

__all__ = ["RadiusGraph"]

ROWS: Final = 1_024

BAND: Final = 1e-4
"""Cosines of unit rows in float32 are off by less; pairs so close to the radius are decided without rounding."""


@dataclass(frozen=True)
class RadiusGraph:
    """The neighbours of each row, itself included.

    Attributes:
        starts: `(N + 1,)` int64; the neighbours of row i are `neighbours[starts[i] : starts[i + 1]]`.
        neighbours: `(E,)` int32, increasing within a row.
    """

    starts: IntArray
    neighbours: np.ndarray

    @classmethod
    def of(cls, unit: Doubles, radius: float) -> "RadiusGraph":
        """Find all pairs whose `1 - cosine` is at most the radius.

        Cost: N² D multiplications in float32, of which half are made; memory: 8 bytes a pair and a block.

        Args:
            unit: `(N, D)` float64, rows of the kind that `UnitRows` gives, whose products are exact.
            radius: in [0, 2].

        Returns:
            The graph.

        Example:
            >>> unit = np.array([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
            >>> RadiusGraph.of(unit, 0.25).neighbours.tolist()
            [0, 2, 1, 0, 2]
        """
        narrow = unit.astype(np.float32)
        ones: list[np.ndarray] = []
        others: list[np.ndarray] = []
        for start in range(0, len(unit), ROWS):
            for second in range(start, len(unit), ROWS):
                cosines = narrow[start : start + ROWS] @ narrow[second : second + ROWS].T
                one, other = np.nonzero(cosines >= np.float32(1 - radius - BAND))
                close = np.flatnonzero(cosines[one, other] < np.float32(1 - radius + BAND))
                one, other = (one + start).astype(np.int32), (other + second).astype(np.int32)
                kept = np.ones(len(one), dtype=np.bool_)
                for at in range(0, len(close), 65_536):
                    some = close[at : at + 65_536]
                    kept[some] = 1 - np.einsum("ij,ij->i", unit[one[some]], unit[other[some]]) <= radius
                if second == start:
                    kept &= one < other
                ones.append(one[kept])
                others.append(other[kept])
        every = np.arange(len(unit), dtype=np.int32)
        first = np.concatenate([*ones, *others, every])
        last = np.concatenate([*others, *ones, every])
        order = np.lexsort((last, first))
        starts = np.concatenate([[0], np.cumsum(np.bincount(first, minlength=len(unit)))])
        return cls(starts.astype(np.int64), last[order])

    def of_rows(self, rows: IntArray) -> np.ndarray:
        """Give the neighbours of some rows, one row after the other, `(n,)` int32."""
        sizes = self.starts[rows + 1] - self.starts[rows]
        shift = np.repeat(self.starts[rows] - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
        return self.neighbours[shift + np.arange(int(sizes.sum()))]
