"""Who answers what the label of an image is."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import ClassVar

import numpy as np

from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.errors import ConfigError, LabelsPendingError, OracleError

__all__ = ["CallableOracle", "HiddenLabels", "Oracle", "ask", "checked_labels"]

logger = logging.getLogger(__name__)


class Oracle(ABC):
    """Answers what the labels of images are. It may be slow, may fail, and may be asked twice for the same image.

    The ledger asks it, writes down what it answers, and never asks again for what is written. A subclass for people
    raises `LabelsPendingError` when the answer comes with a later start.

    Attributes:
        simulated: whether the labels are known beforehand and cost nothing. Only then can a reference run buy labels of
            its own, and the ledger may write to disk less strictly.
        instant: whether it answers from memory, always the same and without an effect: then it may be asked before the
            purchase is on record.
    """

    simulated: ClassVar[bool] = False
    instant: ClassVar[bool] = False

    @abstractmethod
    def label(self, indices: IntArray) -> LabelArray:
        """Give the labels of images.

        Args:
            indices: `(n,)` int64, distinct image indices of the pool.

        Returns:
            `(n, C)` uint8 of 0 and 1, one row an index in the order asked.

        Raises:
            OracleError: if it cannot answer, now or ever.
            LabelsPendingError: if people have been asked and have not answered yet.
        """

    def label_round(self, indices: IntArray, round_number: int) -> LabelArray:  # noqa: ARG002  for those who override
        """Give the labels of images that a round has bought; the ledger calls this. Here the round makes no difference.

        Args:
            indices: as of `label`.
            round_number: the round, 0 or more. A round asked for twice has bought in several parts, or has not got an
                answer on record yet.

        Returns:
            As `label`; an override may raise what `label` may.
        """
        return self.label(indices)


class HiddenLabels(Oracle):
    """The simulated oracle: a table of all labels of the pool, which nothing else can reach.

    It is empty when it is built from YAML; the run hands it the table of the pool's `labels.csv`.

    Example:
        >>> oracle = HiddenLabels()
        >>> oracle.attach(np.array([[0, 1], [1, 0], [1, 1]], dtype=np.uint8))
        >>> oracle.label(np.array([2, 0])).tolist()
        [[1, 1], [0, 1]]
    """

    simulated: ClassVar[bool] = True
    instant: ClassVar[bool] = True

    def __init__(self) -> None:
        self._table: LabelArray | None = None

    def attach(self, table: LabelArray) -> None:
        """Hand over the labels of the whole pool; they are copied.

        Args:
            table: `(N, C)` of 0 and 1, row i for image index i.

        Raises:
            OracleError: if it is no table of 0 and 1.
        """
        shape = np.shape(table)
        if len(shape) != 2:
            msg = f"Expected a table of hidden labels of shape (images, classes), but got shape {shape}."
            raise OracleError(msg)
        self._table = checked_labels(table, np.arange(shape[0]), shape[1]).copy()

    def label(self, indices: IntArray) -> LabelArray:
        """Look the labels up; see `Oracle.label`."""
        if self._table is None:
            msg = (
                "The simulated oracle has no labels: the pool's `labels.csv` is missing. "
                "Put `unlabelled/labels.csv` into the data root, or name another `purchase.oracle`."
            )
            raise OracleError(msg)
        known = len(self._table)
        unknown = indices[(indices < 0) | (indices >= known)]
        if len(unknown):
            msg = (
                f"The simulated oracle knows images 0 to {known - 1}, but was asked for {unknown[:5].tolist()}: "
                "the pool's `labels.csv` has fewer rows than the pool has images."
            )
            raise OracleError(msg)
        return self._table[indices]


class CallableOracle(Oracle):
    """Asks a Python function of yours: a labelling service, a test bench, a queue.

    The function gets a list of int (image indices) and returns one row of 0 and 1 for each, in the same order. It may
    raise: the ledger asks again after a pause. It may raise `LabelsPendingError`: the run ends and goes on at its next
    start. After a crash it may be asked again for images that it has already answered.

    Args:
        function: import path `package.module:function`.

    Raises:
        ConfigError: if there is no such function.

    Example:
        >>> CallableOracle("os.path").function
        Traceback (most recent call last):
            ...
        dpc_lightning.errors.ConfigError: Expected `purchase.oracle.init_args.function` as "package.module:function", \
but got 'os.path'.
    """

    def __init__(self, function: str) -> None:
        self.function = function
        _resolve(function)  # a misspelt path is said now, not after hours of pretraining

    def label(self, indices: IntArray) -> LabelArray:
        """Call the function; see `Oracle.label`."""
        answer = _resolve(self.function)(indices.tolist())
        return checked_labels(answer, indices, None, source=f"`{self.function}`")


def checked_labels(
    answer: object, indices: IntArray, num_classes: int | None, source: str = "The oracle"
) -> LabelArray:
    """Check an oracle's answer.

    Args:
        answer: what it gave; anything that NumPy can read as a table of 0 and 1 (numbers or booleans).
        indices: `(n,)` int64, what it was asked for.
        num_classes: expected number of columns; None accepts any.
        source: who answered, for messages.

    Returns:
        `(n, C)` uint8.

    Raises:
        OracleError: if the shape is wrong or a value is neither 0 nor 1; the message names the image index.

    Example:
        >>> checked_labels([[0, 1], [True, False]], np.array([4, 9]), 2).tolist()
        [[0, 1], [1, 0]]
    """
    columns = "classes" if num_classes is None else str(num_classes)
    wanted = f"{source} was asked for {len(indices)} labels and has to answer with a table of 0 and 1 of shape "
    wanted += f"({len(indices)}, {columns}), "
    try:
        table = np.asarray(answer)
    except (ValueError, TypeError) as error:  # ragged rows
        msg = f"{wanted}but its answer is no table: {error}."
        raise OracleError(msg) from error
    if table.ndim != 2 or len(table) != len(indices) or num_classes not in {None, table.shape[1]}:
        msg = f"{wanted}but its answer has shape {table.shape}."
        raise OracleError(msg)
    if table.dtype.kind not in "biuf":
        msg = f"{wanted}but its answer holds values of type {table.dtype}."
        raise OracleError(msg)
    if table.dtype == np.uint8 and table.max(initial=0) <= 1:
        return table
    wrong = np.argwhere(~((table == 0) | (table == 1)))
    if len(wrong):
        row, column = wrong[0]
        msg = f"{wanted}but it says {table[row, column]} for class column {column} of image index {indices[row]}."
        raise OracleError(msg)
    return table.astype(np.uint8)


def ask(  # noqa: PLR0917  all of them every time
    oracle: Oracle,
    indices: IntArray,
    round_number: int,
    attempts: int,
    backoff_seconds: float,
    sleep: Callable[[float], None],
) -> LabelArray:
    """Ask an oracle, and again after a pause if it fails.

    Args:
        oracle: who is asked.
        indices: `(n,)` int64.
        round_number: the round that bought them.
        attempts: how often, at least 1.
        backoff_seconds: pause after the first failure; doubled after each further one.
        sleep: waits so many seconds.

    Returns:
        What it answered, unchecked.

    Raises:
        OracleError: if it says so itself (that is not tried again), or if the last attempt failed.
        LabelsPendingError: if people answer later.
    """
    for attempt in range(1, attempts):
        try:
            return oracle.label_round(indices.copy(), round_number)
        except (LabelsPendingError, OracleError):
            raise
        except Exception as error:  # noqa: BLE001  an oracle is somebody else's program and may fail in any way
            pause = backoff_seconds * 2 ** (attempt - 1)
            logger.warning("The oracle failed (%s: %s); asking again in %g s.", type(error).__name__, error, pause)
            sleep(pause)
    try:
        return oracle.label_round(indices.copy(), round_number)
    except (LabelsPendingError, OracleError):
        raise
    except Exception as error:
        msg = (
            f"The oracle failed {attempts} times, last with {type(error).__name__}: {error}. The {len(indices)} labels "
            "asked for stay charged; the next start asks again and charges nothing."
        )
        raise OracleError(msg) from error


def _resolve(path: str) -> Callable[[list[int]], Sequence[Sequence[int]]]:
    key = "`purchase.oracle.init_args.function`"
    module_name, _, name = path.partition(":")
    if not (module_name and name):
        msg = f'Expected {key} as "package.module:function", but got {path!r}.'
        raise ConfigError(msg)
    try:
        function = getattr(import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        msg = f"Cannot import {key} {path!r}: {error}. Check the spelling and that its folder is on PYTHONPATH."
        raise ConfigError(msg) from error
    if not callable(function):
        msg = f"Expected {key} {path!r} to name a function, but it is a {type(function).__name__}."
        raise ConfigError(msg)
    return function  # type: ignore[no-any-return]  # its answers are checked when they come
