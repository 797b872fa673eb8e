"""Embeddings as unit rows whose inner products are exact, whatever computes them."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.picking.arrays import Doubles, FloatArray, IntArray
from dpc_lightning.acquisition.picking.in_blocks import in_blocks
from dpc_lightning.acquisition.picking.sketches import SAMPLE, principal_directions
from dpc_lightning.errors import AcquisitionError

__all__ = ["UnitRows"]

GRID: Final = 2.0**25
"""Components are rounded to multiples of 1/GRID. Products are then multiples of 2^-50 and, for unit rows, every partial
sum is below 2: it fits into the 53 bits of a float64. Inner products are exact in any order of summation, so that
neither BLAS nor the cut into blocks nor the order of the pool can change a pick."""

ROWS: Final = 4_096

CACHED: Final = 64
"""Rows that are worked on at once: what is computed of them stays in the processor's cache."""

ZERO: Final = 1e-6
"""A centred row shorter than this share of the row itself is rounding: it has no direction."""


class UnitRows:
    """Rows of embeddings, centred on the pool and brought to length 1 when they are read.

    A row without a direction (one that equals the mean) becomes zero: it is similar to nothing.

    Args:
        embeddings: `(N, D)` float32 or float16 of the pool; may be memory-mapped, is read in blocks.
        owned: `(L, D)` of the labelled images.

    Raises:
        AcquisitionError: if the columns do not match, or if an owned row is not finite.
    """

    def __init__(self, embeddings: FloatArray, owned: FloatArray) -> None:
        if owned.shape[1] != embeddings.shape[1]:
            msg = f"Expected labelled embeddings of {embeddings.shape[1]} columns, but got {owned.shape[1]}."
            raise AcquisitionError(msg)
        broken = np.flatnonzero(~np.isfinite(owned).all(axis=1))
        if len(broken):
            msg = f"Expected finite labelled embeddings, but row {broken[0]} has NaN or infinity: the model diverged."
            raise AcquisitionError(msg)
        self._embeddings = embeddings
        sums = in_blocks(
            lambda block: np.array(embeddings[block], dtype=np.float64, order="C").sum(axis=0), len(embeddings), ROWS
        )
        self._mean: Doubles = sum(sums, np.zeros(embeddings.shape[1])) / max(1, len(embeddings))
        self.owned: Doubles = self._unit(owned)
        """`(L, D)` float64."""

    @property
    def width(self) -> int:
        """D."""
        return int(self._embeddings.shape[1])

    def __len__(self) -> int:
        return len(self._embeddings)

    def read(self, rows: IntArray) -> Doubles:
        """Give rows of the pool.

        Args:
            rows: `(m,)`.

        Returns:
            `(m, D)` float64 of length 1 (to 2^-25 a component) or 0.
        """
        return self._unit(self._embeddings[rows])

    def directions(self, count: int) -> Doubles:
        """Give the principal directions of a sample of the pool: rows that stand at equal distances.

        Args:
            count: directions; fewer are given if the rows have fewer columns or the sample fewer rows.

        Returns:
            `(D, count)` float64, orthonormal columns.
        """
        return principal_directions(self.read(np.arange(0, len(self), max(1, len(self) // SAMPLE))[:SAMPLE]), count)

    def _unit(self, rows: FloatArray) -> Doubles:
        unit = np.empty(rows.shape)
        for start in range(0, len(rows), CACHED):
            block = slice(start, start + CACHED)
            wide = unit[block]
            wide[:] = rows[block]
            size = np.sqrt(np.square(wide).sum(axis=1))
            wide -= self._mean
            length = np.sqrt(np.square(wide).sum(axis=1))
            usable = length > ZERO * size
            wide *= np.divide(GRID, length, out=np.zeros_like(length), where=usable)[:, None]
            np.rint(wide, out=wide)
            wide /= GRID
        return unit
