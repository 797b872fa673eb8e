"""Being asked to go: SIGTERM and SIGUSR1 finish the step, save, and end the process with a status of its own."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.errors import PreemptedError
from dpc_lightning.purchase.plan import Phase

__all__ = ["Preemption"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What a scheduler sends before it takes a machine back; Windows has only the first."""


class Preemption(PhaseCallback, Checkpoint):
    """Ends a run that is asked to go, so that the same command goes on from the very step.

    In training the step is finished and `last.ckpt` written. Between phases and in the test nothing is written, because
    the last checkpoint and the ledger say all. Ranks agree: one that is asked takes the others along. It takes the
    place of Lightning's own handling of these signals. It is a `Checkpoint` only to be called after all other
    callbacks, which have then taken the step into account.

    Args:
        folder: the run's folder of checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._asked: int | None = None

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._listen()

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._note)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self._agreed(trainer):
            trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
            self._leave()

    @override
    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        if self._agreed(trainer):
            self._leave()

    @override
    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self._agreed(trainer):
            self._leave()

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "test" and threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) == self._note:
                    signal.signal(number, signal.SIG_DFL)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._asked = number

    def _agreed(self, trainer: Trainer) -> bool:
        asked = self._asked is not None
        return asked if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(asked, all=False)

    def _leave(self) -> None:
        by = "another rank" if self._asked is None else signal.Signals(self._asked).name
        msg = f"Ended because {by} asked for it. The same command with the same `--run_dir` goes on from here."
        raise PreemptedError(msg)
