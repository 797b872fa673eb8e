"""The compute budget as a callback: seconds that pretraining and buying may take."""

import time
from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.purchase.plan import Phase

__all__ = ["ComputeBudget"]


class ComputeBudget(PhaseCallback):
    """Stops pretraining and buying when the seconds are used up; the run then goes on to the evaluation.

    It is forced: the trainer adds it to every run, and no configuration can drop it. It counts wall clock from the
    start of the fit to the start of the evaluation phase, on a monotonic clock, over all starts of the run: its state
    is in every checkpoint. Time between the last checkpoint and a kill is not counted. The decision is made on rank 0
    and broadcast. A batch that has begun is finished, and so is a purchase; it never raises.

    Args:
        seconds: the budget, or None for none.
        clock: where the time comes from, in seconds.
    """

    def __init__(self, seconds: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.exhausted = False
        """Whether the budget stopped a phase."""
        self._clock = clock
        self._counts = True  # False from the start of the evaluation phase on
        self._earlier = 0.0
        self._since: float | None = None

    @property
    def spent(self) -> float:
        """Seconds spent so far."""
        running = 0.0 if self._since is None else self._clock() - self._since
        return self._earlier + running

    @property
    def left(self) -> float | None:
        """Seconds left, at least 0; None without a budget."""
        return None if self.seconds is None else max(0.0, self.seconds - self.spent)

    def check(self, trainer: Trainer) -> bool:
        """Say on all ranks alike whether the budget is used up, and remember it."""
        if self.seconds is not None and not self.exhausted:
            self.exhausted = bool(trainer.strategy.broadcast(self.spent >= self.seconds))
        return self.exhausted

    def start(self) -> None:
        """Count from now on, unless the evaluation has begun."""
        if self._counts and self._since is None:
            self._since = self._clock()

    def stop(self) -> None:
        """Stop counting for now; what was spent is kept."""
        self._earlier = self.spent
        self._since = None

    def finish(self) -> None:
        """Count no more: the evaluation begins."""
        self.stop()
        self._counts = False

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start()

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        if phase.kind == "evaluate":
            self.finish()

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if self._since is not None and self.check(trainer):
            trainer.should_stop = True

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.stop()

    @override
    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.spent, "counts": self._counts, "exhausted": self.exhausted}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._earlier = float(state_dict["spent"])
        self._counts = bool(state_dict["counts"])
        self.exhausted = bool(state_dict["exhausted"])
