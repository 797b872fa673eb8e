"""The nearest images of the pool to each of some anchors, exact, in one pass over the pool."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, IntArray
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

__all__ = ["nearest_rows"]

ROWS: Final = 4_096


def nearest_rows(rows: UnitRows, anchors: Doubles, count: int) -> IntArray:
    """Find the rows of the largest cosine to each anchor.

    Cost: one pass, O(N A D); memory: A (count + 4096) numbers.

    Args:
        rows: the pool.
        anchors: `(A, D)` float64 unit rows, of the kind that `UnitRows` gives.
        count: neighbours of each anchor, at most N.

    Returns:
        `(A, count)` int64, nearest first; of equal cosines the smaller row.
    """
    best = np.full((len(anchors), 0), 0.0)
    found = np.zeros((len(anchors), 0), dtype=np.int64)
    for start in range(0, len(rows), ROWS):
        block = np.arange(start, min(start + ROWS, len(rows)))
        cosines = anchors @ rows.read(block).T
        best = np.concatenate([best, cosines], axis=1)
        found = np.concatenate([found, np.broadcast_to(block, cosines.shape)], axis=1)
        order = _first(best, count)
        best, found = np.take_along_axis(best, order, axis=1), np.take_along_axis(found, order, axis=1)
    return found


def _first(values: Doubles, count: int) -> IntArray:
    """Give the columns of the largest values of each row, best first; of equal ones the one further left."""
    if values.shape[1] <= count:
        return np.argsort(-values, axis=1, kind="stable")
    least = -np.partition(-values, count - 1, axis=1)[:, count - 1 : count]
    spare = count - (values > least).sum(axis=1, keepdims=True)
    equal = values == least
    kept = (values > least) | (equal & (np.cumsum(equal, axis=1) <= spare))
    columns = np.nonzero(kept)[1].reshape(len(values), count)
    order = np.argsort(-np.take_along_axis(values, columns, axis=1), axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1)
