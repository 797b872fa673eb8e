"""What a ledger accepts: its settings, and the indices and scores of a purchase."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, IntArray
from dpc_lightning.errors import InvalidIndexError, LedgerError

__all__ = ["Settings", "checked_indices", "checked_scores", "is_whole", "some"]


@dataclass(frozen=True)
class Settings:
    """What a ledger is opened with.

    Raises:
        LedgerError: if a value is out of its range.
    """

    budget: int
    """Label budget."""
    pool_size: int
    """Images in the pool."""
    classes: tuple[str, ...]
    """Names of the classes."""
    attempts: int = 3
    """How often a failing oracle is asked."""
    backoff_seconds: float = 1.0
    """Pause in seconds after its first failure; doubled after each further one."""
    wait_seconds: float = 0.0
    """How long to wait for another writer to close the file."""

    def __post_init__(self) -> None:
        """Check every range."""
        least = {"budget": 0, "pool_size": 0, "attempts": 1}
        for name, bound in least.items():
            value = getattr(self, name)
            if not is_whole(value) or value < bound:
                msg = f"Expected `{name}` of a ledger to be an integer of at least {bound}, but got {value!r}."
                raise LedgerError(msg)
        if not self.classes or not all(self.classes) or len(set(self.classes)) != len(self.classes):
            msg = f"Expected `classes` of a ledger to be distinct names, at least one, but got {self.classes!r}."
            raise LedgerError(msg)
        for name in ("backoff_seconds", "wait_seconds"):
            if not getattr(self, name) >= 0:
                msg = f"Expected `{name}` of a ledger to be at least 0, but got {getattr(self, name)!r}."
                raise LedgerError(msg)

    def recorded(self) -> dict[str, int | list[str]]:
        """Give what the first row of a new ledger says."""
        return {"budget": int(self.budget), "pool_size": int(self.pool_size), "classes": list(self.classes)}


def is_whole(value: object) -> bool:
    """Say whether a value is an integer: a Python int or a NumPy integer, neither a bool nor 1.0.

    Example:
        >>> [is_whole(value) for value in (3, np.int32(3), True, 1.0, np.float64(1), "1")]
        [True, True, False, False, False, False]
    """
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def some(values: Sequence[object]) -> str:
    """Name the first five values of a list.

    Example:
        >>> some([1, 2]), some(range(9))
        ('1, 2', '0, 1, 2, 3, 4, … (9 in all)')
    """
    shown = ", ".join(repr(value) for value in values[:5])
    return shown if len(values) <= 5 else f"{shown}, … ({len(values)} in all)"


def checked_indices(indices: Sequence[int] | IntArray, pool_size: int) -> list[int]:
    """Check what is to be bought.

    Args:
        indices: image indices, a sequence or a one-dimensional integer array.
        pool_size: images in the pool.

    Returns:
        The same as plain ints.

    Raises:
        InvalidIndexError: naming those that are no integers, unknown, negative, or repeated.

    Example:
        >>> checked_indices(np.array([2, 0]), 3)
        [2, 0]
    """
    if isinstance(indices, np.ndarray):
        if indices.ndim != 1 or (indices.size and indices.dtype.kind not in "iu"):
            what = f"an array of type {indices.dtype} and shape {indices.shape}"
            msg = f"Expected image indices as a list of integers, but got {what}."
            raise InvalidIndexError(msg)
        given = indices.tolist()
    else:
        given = list(indices)
        wrong = [index for index in given if not is_whole(index)]
        if wrong:
            msg = f"Expected image indices that are integers, but got {some(wrong)}."
            raise InvalidIndexError(msg)
    wanted = [int(index) for index in given]
    unknown = [index for index in wanted if not 0 <= index < pool_size]
    if unknown:
        msg = f"Expected indices of a pool of {pool_size} images (from 0), but got {some(unknown)}."
        raise InvalidIndexError(msg)
    seen: set[int] = set()
    repeated = []
    for index in wanted:
        if index in seen:
            repeated.append(index)
        seen.add(index)
    if repeated:
        msg = f"Expected distinct image indices, but these are repeated: {some(repeated)}."
        raise InvalidIndexError(msg)
    return wanted


def checked_scores(scores: Sequence[float] | FloatArray | None, count: int) -> list[float | None]:
    """Check the scores that are noted with a purchase; None stands for no score.

    -0.0 becomes 0.0, as which SQLite keeps it.

    Raises:
        LedgerError: if there is not one a pick.

    Example:
        >>> checked_scores([0.5, float("nan")], 2), checked_scores(None, 1)
        ([0.5, None], [None])
    """
    if scores is None:
        return [None] * count
    noted = np.asarray(scores, dtype=np.float64) + 0.0
    if noted.shape != (count,):
        msg = f"Expected one score an index, shape ({count},), but got shape {noted.shape}."
        raise LedgerError(msg)
    missing = np.isnan(noted).tolist()
    return [None if absent else score for score, absent in zip(noted.tolist(), missing, strict=True)]
