"""Being asked to go: SIGTERM and SIGUSR1 finish the step, save, and end the process with a status of its own."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.callbacks.run_checkpoint import ends_epoch
from dpc_lightning.errors import PreemptedError
from dpc_lightning.purchase.plan import Phase

__all__ = ["Preemption"]

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
"""What a scheduler sends before it takes a machine back; Windows has only the first."""


class Preemption(PhaseCallback, Checkpoint):
    """Ends a run that is asked to go, so that the same command goes on from the very step.

    In training the step is finished and `last.ckpt` written; after the last step of an epoch its validation is finished
    too. Before training (data are made, images decoded, a checkpoint restored) the run ends at once; while it tests,
    after the batch; while it scores, after the batch on one rank and after the pool on several; while it waits for an
    oracle that fails, at once. Nothing is written then, because the last checkpoint and the ledger say all. A purchase
    is finished. Ranks agree: one that is asked takes the others along. It takes the place of Lightning's own handling
    of these signals, its requeueing under SLURM included. It is a `Checkpoint` only to be called after all other
    callbacks, which have then taken the step into account.

    Args:
        folder: the run's folder of checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._asked: int | None = None
        self._at_once = False
        self._process = os.getpid()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen to the signals within the block; until the loop starts, one ends the run at once.

        Raises:
            PreemptedError: within the block, if a signal comes.
        """
        in_main = threading.current_thread() is threading.main_thread()
        before = {number: signal.getsignal(number) for number in SIGNALS} if in_main else {}
        self._at_once = True
        self._listen()
        try:
            yield
        finally:
            self._at_once = False
            for number, handler in before.items():
                signal.signal(number, handler)

    @override
    def on_loop_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._at_once = False
        self._listen()  # Lightning has put handlers of its own in between

    @override
    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._at_once = False
        self._listen()

    def _listen(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._note)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if not ends_epoch(trainer) and self._agreed(trainer):
            trainer.save_checkpoint(self.folder / "last.ckpt", weights_only=False)
            self._leave()

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._agreed(trainer):
            self._leave()  # `RunCheckpoint` has just saved

    @override
    def on_round_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        if self._agreed(trainer):
            self._leave()

    @override
    def on_scored(self, trainer: Trainer, pl_module: LightningModule, images: int, total: int) -> None:
        if trainer.world_size == 1 and self._agreed(trainer):  # several have different numbers of batches here
            self._leave()

    @override
    def on_pool_scored(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._agreed(trainer):
            self._leave()

    @override
    def on_wait(self) -> None:
        if self._asked is not None:
            self._leave()

    @override
    def on_test_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self._agreed(trainer):
            self._leave()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker that was forked off: it goes as it would without us
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._asked = number
        if self._at_once:
            self._leave()

    def _agreed(self, trainer: Trainer) -> bool:
        asked = self._asked is not None
        return asked if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(asked, all=False)

    def _leave(self) -> None:
        by = "another rank" if self._asked is None else signal.Signals(self._asked).name
        msg = f"Ended because {by} asked for it. The same command with the same `--run_dir` goes on from here."
        raise PreemptedError(msg)
