"""Unit rows, of which those that were read last are kept: rows that were looked at are looked at again."""

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, IntArray
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

__all__ = ["RecentRows"]


class RecentRows:
    """Reads unit rows and keeps the last ones, in a ring.

    Args:
        rows: where they are read from.
        memory: bytes of rows that are kept.
        at_once: the most rows that one `read` asks for.

    Example:
        >>> pool = np.array([[1.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
        >>> RecentRows(UnitRows(pool, pool[:0]), memory=1_000, at_once=2).read(np.array([1])).tolist()
        [[-1.0, 0.0]]
    """

    def __init__(self, rows: UnitRows, memory: int, at_once: int) -> None:
        self._rows = rows
        size = min(len(rows), max(at_once, memory // (8 * max(1, rows.width))))
        self._kept: Doubles = np.empty((size, rows.width))
        self._row = np.full(size, -1)
        self._place = np.zeros(len(rows), dtype=np.int32)
        self._next = 0

    def read(self, rows: IntArray) -> Doubles:
        """Give rows of the pool.

        Args:
            rows: `(m,)`, distinct.

        Returns:
            `(m, D)` float64, as `UnitRows.read` gives them.
        """
        places = self._place[rows]
        vectors: Doubles = self._kept[places]
        new = (self._row[places] != rows).nonzero()[0]
        if len(new):
            vectors[new] = self._rows.read(rows[new])
            ring = (self._next + np.arange(len(new))) % len(self._kept)
            self._next = (int(ring[-1]) + 1) % len(self._kept)
            self._kept[ring], self._row[ring], self._place[rows[new]] = vectors[new], rows[new], ring
        return vectors
