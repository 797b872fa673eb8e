"""Short vectors that bound the inner products of long ones."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, FloatArray

__all__ = ["principal_directions", "sketch"]

SAMPLE: Final = 256
"""Rows that principal directions are computed from."""


def principal_directions(rows: Doubles, count: int) -> Doubles:
    """Give the principal directions of a sample of centred rows, those that stand at equal distances.

    Args:
        rows: `(m, D)` float64.
        count: directions; fewer are given if the rows have fewer columns or the sample fewer rows.

    Returns:
        `(D, count)` float64, orthonormal columns.

    Example:
        >>> np.abs(principal_directions(np.array([[3.0, 0.0], [-3.0, 0.0]]), 1)).ravel().tolist()
        [1.0, 0.0]
    """
    sample = rows[:: max(1, len(rows) // SAMPLE)][:SAMPLE]
    _, mixed = np.linalg.eigh(sample @ sample.T)
    directions, _ = np.linalg.qr(sample.T @ mixed[:, -count:])
    return directions


def sketch(rows: Doubles, directions: Doubles) -> tuple[FloatArray, FloatArray]:
    """Give what rows are along directions Q, and the length that this leaves out.

    `x·y <= Q'x·Q'y + r_x r_y` (Cauchy and Schwarz), but for rounding.

    Args:
        rows: `(m, D)` float64.
        directions: `(D, q)` float64, orthonormal columns.

    Returns:
        `(m, q)` float32, the `Q'x`, and `(m,)` float32, the `r_x`.

    Example:
        >>> short, left_out = sketch(np.array([[3.0, 4.0]]), np.array([[1.0], [0.0]]))
        >>> short.tolist(), left_out.tolist()
        ([[3.0]], [4.0])
    """
    sketches = rows @ directions
    left_out = np.square(rows).sum(axis=1) - np.square(sketches).sum(axis=1)
    return sketches.astype(np.float32), np.sqrt(np.maximum(left_out, 0)).astype(np.float32)
