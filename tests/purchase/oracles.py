"""Oracles for the tests of this room."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.errors import LabelsPendingError
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import Oracle

CLASSES = ("dent", "dirt", "scratch")


def truth(indices: Sequence[int] | IntArray) -> LabelArray:
    """Give the true labels: the last three bits of the index."""
    return np.array([[index >> 2 & 1, index >> 1 & 1, index & 1] for index in indices], dtype=np.uint8).reshape(-1, 3)


def names(count: int) -> str:
    """Give a fingerprint of a pool that only grows."""
    return f"{count} images"


class Scripted(Oracle):
    """Raises or gives what it is told to, then the truth; remembers what it was asked."""

    def __init__(self, *script: BaseException | object) -> None:
        self.script = list(script)
        self.asked: list[list[int]] = []

    def label(self, indices: IntArray) -> LabelArray:
        self.asked.append(indices.tolist())
        if not self.script:
            return truth(indices)
        step = self.script.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step  # type: ignore[return-value]  # wrong answers are the point


class People(Oracle):
    """Answers later."""

    def __init__(self) -> None:
        self.ready = False

    def label(self, indices: IntArray) -> LabelArray:
        if not self.ready:
            msg = "waiting for labels"
            raise LabelsPendingError(msg)
        return truth(indices)


class Free(Scripted):
    """A simulated oracle."""

    simulated: ClassVar[bool] = True


def open_ledger(
    path: Path, oracle: Oracle | None = None, budget: int = 5, pool_size: int = 20, wait_seconds: float = 0.0
) -> Ledger:
    """Open a ledger with the usual settings; pauses take no time."""
    return Ledger.open(
        path,
        oracle=Scripted() if oracle is None else oracle,
        budget=budget,
        pool_size=pool_size,
        classes=CLASSES,
        pool_fingerprint=names,
        wait_seconds=wait_seconds,
        sleep=lambda _: None,
    )
