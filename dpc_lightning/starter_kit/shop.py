"""Where an entry's process buys labels: its end of the channel to the host."""

import math
import operator
import os
import socket
import threading
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.starter_kit.exceptions import OutOfBudgetException, OutOfTimeException
from dpc_lightning.starter_kit.messages import (
    Answer,
    Buy,
    Progress,
    Receiver,
    Refused,
    Response,
    Time,
    most_indices,
    pack,
    response,
)

__all__ = ["Shop", "whole_number"]

EXCEPTIONS = {"budget": OutOfBudgetException, "time": OutOfTimeException, "index": IndexError}


class Shop:
    """Buys labels of the host, one call after the other; threads take turns.

    Args:
        channel: connected Unix socket of packets.
        classes: number of classes C.
    """

    def __init__(self, channel: socket.socket, classes: int) -> None:
        self._channel = channel
        self._classes = classes
        self._receiver = Receiver(channel)
        self._lock = threading.Lock()
        self._process = os.getpid()

    def buy(self, indices: Iterable[object]) -> NDArray[np.uint8]:
        """Buy labels of images.

        Args:
            indices: whole numbers, distinct; a NumPy integer is one, a bool, float or string is not.

        Returns:
            `(n, C)` uint8 in the order asked. What was bought before is looked up and costs nothing.

        Raises:
            TypeError: if an index is no whole number.
            IndexError: if an index is not one of the pool's, or repeated in the call; nothing is bought.
            OutOfBudgetException: if more are asked for than are left; nothing is bought, but by a call for more labels
                than one message holds: that buys message by message.
            OutOfTimeException: if the compute budget is used up.
        """
        wanted = np.array([whole_number(index) for index in indices], dtype=np.int64)
        step = most_indices(self._classes)
        parts = [self._buy(wanted[start : start + step]) for start in range(0, len(wanted), step)]
        return np.concatenate(parts) if parts else np.zeros((0, self._classes), dtype=np.uint8)

    def seconds_left(self) -> float:
        """Ask the host's clock; infinite where there is no limit."""
        answer = self._ask(pack(Time()))
        return answer.seconds if isinstance(answer, Time) else 0.0

    def tell(self, progress: object = 0.0) -> bool:
        """Tell the host how far the entry is, from 0 to 1; what is no such number is let pass.

        Returns:
            False, as the competition's default did.
        """
        try:
            share = min(max(float(progress), 0.0), 1.0)  # type: ignore[arg-type]  # what is no number raises
        except (TypeError, ValueError):
            return False
        if not math.isnan(share) and self._process == os.getpid():
            with self._lock:
                self._channel.send(pack(Progress(share)))
        return False

    def _buy(self, wanted: NDArray[np.int64]) -> NDArray[np.uint8]:
        answer = self._ask(pack(Buy(wanted)))
        if isinstance(answer, Refused):
            raise EXCEPTIONS[answer.kind](answer.text)
        if not isinstance(answer, Answer):
            msg = f"Expected labels of the host, but got {type(answer).__name__}."
            raise TypeError(msg)
        return answer.labels

    def _ask(self, packet: bytes) -> Response:
        if self._process != os.getpid():
            msg = "Labels are sold to the entry's first process only: buy there, and hand the labels to the others."
            raise RuntimeError(msg)
        with self._lock:
            self._channel.send(packet)
            answer = self._receiver.receive()
        if not answer:
            msg = "The host has closed the channel."
            raise OutOfTimeException(msg)
        return response(answer, self._classes)


def whole_number(index: object) -> int:
    """Take what is a whole number, a NumPy integer too.

    Raises:
        TypeError: if it is none, or a bool.
        IndexError: if it is far beyond any pool.

    Example:
        >>> whole_number(np.int8(3))
        3
    """
    if isinstance(index, bool | np.bool_):
        msg = f"Expected a whole number as an index, but got {index!r}."
        raise TypeError(msg)
    number = operator.index(index)  # type: ignore[arg-type]  # it raises for what is none
    if not -(2**63) <= number < 2**63:
        msg = f"Expected an index of the pool, but got {str(number)[:40]}."
        raise IndexError(msg)
    return number
