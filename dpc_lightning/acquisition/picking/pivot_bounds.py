"""Upper bounds of the distance to the nearest of many centres, for a fraction of its cost."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.picking.arrays import Doubles, IntArray
from dpc_lightning.acquisition.picking.in_blocks import in_blocks

__all__ = ["PivotBounds", "half_distances"]

Rows = NDArray[np.float32]

DOUBTFUL: Final = 0.5
"""Share of the rows, those farthest from all pivots, whose bounds are made tighter."""


class PivotBounds:
    """About the square root of the centres are pivots, and each centre is a member of its nearest one.

    A row is compared with all pivots. Half of the rows, those that seem to be far from everything, are compared with
    the members of their nearest pivot too: it is the others of them that will be asked for the distance itself.

    Args:
        centres: `(L, D)` float32, at least one.
        half_squares: `(L,)` float32, half of their squared norms.
    """

    def __init__(self, centres: Rows, half_squares: Rows) -> None:
        pivots = np.arange(0, len(centres), max(1, int(np.sqrt(len(centres)))))
        own = half_distances(centres, centres[pivots], half_squares[pivots]).argmin(axis=1)
        own[pivots] = np.arange(len(pivots))  # whatever rounding and equal centres say: no pivot is without a member
        self._pivots = centres[pivots], half_squares[pivots]
        self._members = [(centres[own == pivot], half_squares[own == pivot]) for pivot in range(len(pivots))]

    def of(self, read: Callable[[slice], Rows], squares: Doubles, size: int) -> Doubles:
        """Bound rows from above, but for rounding of the products in float32.

        Args:
            read: gives a block of rows, `(m, D)`.
            squares: `(N,)` squared norms of the rows.
            size: rows that are read at once.

        Returns:
            `(N,)` squared distances to some centre each.
        """
        bounds = np.empty(len(squares))

        def bound(block: slice) -> None:
            rows = read(block)
            halves = half_distances(rows, *self._pivots)
            nearest = halves.argmin(axis=1)
            best = halves[np.arange(len(rows)), nearest].astype(np.float64)
            if len(self._members) > 1:
                seen = best + squares[block] / 2
                doubtful = np.flatnonzero(seen >= np.quantile(seen, 1 - DOUBTFUL))
                for pivot, some in _groups(nearest[doubtful], len(self._members)):
                    places = doubtful[some]
                    closer = half_distances(rows[places], *self._members[pivot]).min(axis=1)
                    best[places] = np.minimum(best[places], closer)
            bounds[block] = 2 * best + squares[block]

        in_blocks(bound, len(bounds), size)
        return bounds


def half_distances(rows: Rows, centres: Rows, half_squares: Rows) -> Rows:
    """Give half of the squared distance of each row to each centre, less half of the row's squared norm.

    Args:
        rows: `(m, D)` float32.
        centres: `(k, D)` float32.
        half_squares: `(k,)` float32, half of their squared norms.

    Returns:
        `(m, k)` float32, `|c|²/2 - x·c`.

    Example:
        >>> half_distances(np.float32([[1, 0]]), np.float32([[0, 2], [3, 0]]), np.float32([2, 4.5])).tolist()
        [[2.0, 1.5]]
    """
    with np.errstate(invalid="ignore"):  # all is finite; BLAS may see what earlier products left in lanes it discards
        inner: Rows = rows @ centres.T
    np.subtract(half_squares, inner, out=inner)
    return inner


def _groups(keys: IntArray, kinds: int) -> list[tuple[int, IntArray]]:
    """Give the places of each key that occurs."""
    order = np.argsort(keys, kind="stable")
    ends = np.cumsum(np.bincount(keys, minlength=kinds))
    return [(key, some) for key, some in enumerate(np.split(order, ends[:-1])) if len(some)]
