"""The base of callbacks that know phases and purchases."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from dpc_lightning.purchase.plan import Phase

__all__ = ["PhaseCallback", "PurchaseRecord", "phase_callbacks"]


@dataclass(frozen=True)
class PurchaseRecord:
    """What one round bought.

    Attributes:
        round: number of the round, from 1.
        indices: `(n,)` int64, image indices in order of preference.
        scores: `(n,)` float32, score of each when it was picked; NaN for rules without one.
        labels: `(n, C)` uint8.
        pool: images that could have been picked.
        scored: images that were scored, owned ones too if the rule asks for them; where it hears several models, those
            that only some of them were asked about count for less. None where an earlier start had scored a part of
            them, so that the seconds say nothing of an image.
        labels_left: what is left of the label budget after this purchase.
        score_seconds: seconds that scoring the pool took.
        pick_seconds: seconds that picking took.
        buy_seconds: seconds that the oracle and the ledger took.
        replayed: whether the picks came from the ledger, because an earlier start had made them already.
    """

    round: int
    indices: NDArray[np.int64]
    scores: NDArray[np.float32]
    labels: NDArray[np.uint8]
    pool: int
    scored: int | None
    labels_left: int
    score_seconds: float
    pick_seconds: float
    buy_seconds: float
    replayed: bool


class PhaseCallback(Callback):
    """A Lightning callback with more hooks, which `PurchaseLoop` calls on every rank."""

    def on_loop_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The loop begins, anew or after everything has been restored from a checkpoint."""

    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        """A phase begins; its network, optimizers and data are in place. Not called when a phase is resumed."""

    def on_phase_end(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        """A phase has trained its last epoch, or was stopped."""

    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        """A round begins: the pool is about to be scored by the model of the phase before."""

    def on_scored(self, trainer: Trainer, pl_module: LightningModule, images: int, total: int) -> None:
        """So many more images have been scored on this rank, of `total` on all ranks."""

    def on_pool_scored(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The pool has been scored on all ranks; picking has not begun."""

    def on_wait(self) -> None:
        """Rank 0 waits for an oracle that has failed; called several times a second."""

    def on_purchase(self, trainer: Trainer, pl_module: LightningModule, record: PurchaseRecord) -> None:
        """A round has bought labels; they are in the ledger and in the data, training on them has not begun."""


def phase_callbacks(trainer: Trainer) -> Iterator[PhaseCallback]:
    """Give the callbacks of a trainer that know phases, in their order.

    Args:
        trainer: the trainer of the run.
    """
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return (callback for callback in callbacks if isinstance(callback, PhaseCallback))
