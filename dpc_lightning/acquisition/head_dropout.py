"""Monte Carlo dropout where the networks have it: on the embeddings, before the last layer."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.base import FloatArray
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.pool_view import Head
from dpc_lightning.errors import AcquisitionError, ConfigError

__all__ = ["HeadDropout", "check_dropout", "exact_unit", "label_cuts", "without_dropout"]

GRID: Final = 2.0**25
"""Components of vectors of length up to 1 are rounded to multiples of 1/GRID. Every partial sum of an inner product is
then a multiple of 2^-50 below 2 and fits into a float64, so that nothing depends on the order in which BLAS adds."""

ROWS: Final = 4_096

NUMBERS: Final = 2**20
"""Logits of draws that are held at once."""


def check_dropout(samples: int, rate: float) -> None:
    """Check the settings of a rule that draws.

    Raises:
        ConfigError: if `samples` is not in 2 … 10000, or `rate` not inside (0, 1).
    """
    for name, value, fits, wanted in (
        ("samples", samples, 2 <= samples <= 10_000, "2 … 10000"),
        ("rate", rate, 0 < rate < 1, "(0, 1)"),
    ):
        if not fits:
            msg = f"Expected `init_args.{name}` in {wanted}, but got {value}."
            raise ConfigError(msg)


class HeadDropout:
    """Draws of the logits under dropout of the embeddings.

    The draw t of an image with the embedding h is `(h * m_t / (1 - rate)) W' + b`, with a mask m_t of independent
    columns, 1 with probability `1 - rate`. The masks are the same for all images, as the joint information of several
    images asks for (Kirsch et al. 2019). All draws are therefore one product of matrices, `h [W_1' … W_T']`.

    Args:
        head: the last layer.
        masks: `(T, D)` of 0 and 1.
        rate: share of the columns that a mask leaves out; 0 with one mask of ones for no dropout.
    """

    def __init__(self, head: Head, masks: NDArray[np.bool_], rate: float) -> None:
        self.samples, self.classes = len(masks), len(head.weight)
        unit, self._size = exact_unit(head.weight)
        self._size = self._size / (1 - rate)
        self._bias = head.bias.astype(np.float64)
        # columns ordered by class, then draw: the draws of one class lie side by side
        self._weights: Doubles = np.concatenate([row * masks for row in unit]).T.copy()

    @classmethod
    def draw(cls, head: Head, samples: int, rate: float, rng: np.random.Generator) -> "HeadDropout":
        """Draw the masks."""
        return cls(head, rng.random((samples, head.weight.shape[1])) >= rate, rate)

    def logits(self, embeddings: FloatArray) -> Doubles:
        """Give the draws of some images.

        Args:
            embeddings: `(n, D)` float32 or float16.

        Returns:
            `(C, T, n)` float64. Equal images get equal draws to the last bit, wherever they stand.

        Raises:
            AcquisitionError: if the last layer takes another number of columns.
        """
        if embeddings.shape[1] != len(self._weights):
            msg = f"Expected embeddings of the {len(self._weights)} columns that the last layer takes, but got "
            msg += f"{embeddings.shape[1]}: the two are of different models."
            raise AcquisitionError(msg)
        unit, size = exact_unit(embeddings)
        draws: Doubles = np.ascontiguousarray((unit @ self._weights).T)
        draws = draws.reshape(self.classes, self.samples, len(embeddings))
        draws *= size
        draws *= self._size[:, None, None]
        draws += self._bias[:, None, None]
        return draws

    def blocks(self, embeddings: FloatArray) -> Iterator[tuple[slice, Doubles]]:
        """Give the draws block after block.

        Args:
            embeddings: `(N, D)`; may be memory-mapped.

        Yields:
            Rows and their `(C, T, n)` draws.
        """
        step = max(64, min(ROWS, NUMBERS // (self.classes * self.samples)))
        for start in range(0, len(embeddings), step):
            block = slice(start, min(start + step, len(embeddings)))
            yield block, self.logits(embeddings[block])


def without_dropout(head: Head) -> HeadDropout:
    """Give the last layer itself, as one draw."""
    return HeadDropout(head, np.ones((1, head.weight.shape[1]), dtype=np.bool_), 0)


def label_cuts(thresholds: FloatArray) -> Doubles:
    """Give the logits from which on the model gives a label: those of the tuned thresholds.

    Example:
        >>> label_cuts(np.array([0.5, 0.2], dtype=np.float32)).round(4).tolist()
        [0.0, -1.3863]
    """
    wide = thresholds.astype(np.float64)
    return np.asarray(np.log(wide) - np.log1p(-wide), dtype=np.float64)


def exact_unit(rows: FloatArray) -> tuple[Doubles, Doubles]:
    """Split rows into vectors of length up to 1, on a grid, and powers of two.

    Args:
        rows: `(n, D)`.

    Returns:
        `(n, D)` float64 multiples of 2^-25 (a row is off by at most 2^-25 of twice its length a component), and the
        `(n,)` powers of two that they have to be multiplied by.

    Example:
        >>> unit, size = exact_unit(np.array([[3.0, 4.0]], dtype=np.float32))
        >>> unit.tolist(), size.tolist()
        ([[0.375, 0.5]], [8.0])
    """
    wide = np.array(rows, dtype=np.float64, order="C")
    length = np.sqrt(np.square(wide).sum(axis=1))
    size = np.ldexp(1.0, np.frexp(length)[1])
    wide *= (GRID / size)[:, None]
    np.rint(wide, out=wide)
    wide /= GRID
    return wide, size
