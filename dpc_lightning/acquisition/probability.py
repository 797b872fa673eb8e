"""Probabilities and entropies from logits, exact at both ends, and the best rows of a score."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, IntArray
from dpc_lightning.acquisition.picking.arrays import Doubles

__all__ = [
    "SLACK",
    "binary_entropy",
    "blocks",
    "entropy_bound",
    "likely_bound",
    "sigmoid",
    "sum_over_classes",
    "top_rows",
]


ROWS: Final = 32_768
"""Rows a block: large enough to hide the cost of a call, small enough for the cache."""


SLACK: Final = 1e-4
"""By how much of themselves bounds are too large, so that rounding to float32 does not make them too small."""


def blocks(rows: int) -> Iterator[slice]:
    """Cut rows into blocks; the last one may be shorter.

    Example:
        >>> list(blocks(40_000))
        [slice(0, 32768, None), slice(32768, 40000, None)]
    """
    for start in range(0, rows, ROWS):
        yield slice(start, min(start + ROWS, rows))


def sigmoid(logits: FloatArray | Doubles) -> Doubles:
    """Probabilities of logits, without overflow and without losing small ones.

    Args:
        logits: any shape.

    Returns:
        The same shape, float64 in [0, 1].

    Example:
        >>> sigmoid(np.array([-1e4, 0.0, 1e4])).tolist()
        [0.0, 0.5, 1.0]
    """
    wide = logits.astype(np.float64)
    small = np.exp(-np.abs(wide))
    return np.where(wide >= 0, 1.0, small) / (1.0 + small)


def binary_entropy(logits: FloatArray | Doubles) -> Doubles:
    """Entropy in nats of a yes/no answer, from its logit z: `log(1 + e) + |z| · e / (1 + e)` with `e = exp(-|z|)`.

    The formula in p gives NaN where p has been rounded to 0 or 1; this one gives 0.

    Args:
        logits: any shape, finite.

    Returns:
        The same shape, float64 in [0, log 2].

    Example:
        >>> binary_entropy(np.array([0.0, 1e4])).round(6).tolist()
        [0.693147, 0.0]
    """
    size = np.abs(logits.astype(np.float64))
    small = np.exp(-size)
    return np.log1p(small) + size * small / (1.0 + small)


def entropy_bound(logits: FloatArray) -> FloatArray:
    """Bound the binary entropy from above without a logarithm: `H(z) <= ln 2 / (1 + z² / (8 ln 2))`.

    Args:
        logits: any shape.

    Returns:
        The same shape, float32, larger than the bound by more than float32 may lose in a sum over classes.

    Example:
        >>> bool((entropy_bound(np.float32([0, 3])) >= binary_entropy(np.float32([0, 3]))).all())
        True
    """
    bound: FloatArray = np.clip(logits, -1e6, 1e6, dtype=np.float32)
    np.multiply(bound, bound, out=bound)
    bound *= np.float32(1 / (8 * np.log(2)))
    bound += np.float32(1)
    np.divide(np.float32(np.log(2) * (1 + SLACK)), bound, out=bound)
    return bound


def likely_bound(logits: FloatArray) -> FloatArray:
    """Bound probabilities from above in float32: the sigmoid, and more than float32 may lose.

    Args:
        logits: any shape.

    Returns:
        The same shape, float32.

    Example:
        >>> likely_bound(np.float32([-1e4, 0])).round(3).tolist()
        [0.0, 0.5]
    """
    bound: FloatArray = np.clip(logits, -80, 80, dtype=np.float32)
    np.negative(bound, out=bound)
    np.exp(bound, out=bound)
    bound += np.float32(1)
    np.divide(np.float32(1 + SLACK), bound, out=bound)
    return bound


def sum_over_classes(by_class: Doubles) -> Doubles:
    """Add class after class, so that equal images get equal sums wherever they stand (`numpy.sum` does not promise it).

    Args:
        by_class: `(C, N)`.

    Returns:
        `(N,)` float64.

    Example:
        >>> sum_over_classes(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [4.0, 6.0]
    """
    total = np.zeros(by_class.shape[1])
    for values in by_class:
        total += values
    return total


def top_rows(scores: Doubles, count: int) -> IntArray:
    """Rows of the largest scores, best first; of equal ones the smaller row.

    Args:
        scores: `(N,)`.
        count: how many, at least 1 and at most N.

    Returns:
        `(count,)` int64.

    Example:
        >>> top_rows(np.array([1.0, 3.0, 1.0, 3.0]), 3).tolist()
        [1, 3, 0]
    """
    least = np.partition(scores, len(scores) - count)[len(scores) - count]
    above = np.flatnonzero(scores > least)
    equal = np.flatnonzero(scores == least)[: count - len(above)]
    above = above[np.argsort(-scores[above], kind="stable")]
    return np.concatenate([above, equal]).astype(np.int64)
