"""The compute budget as a callback: seconds that pretraining and buying may take."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, get_args

from lightning.pytorch import LightningModule, Trainer
from typing_extensions import override

from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.errors import LabelsPendingError
from dpc_lightning.heartbeat import Heartbeat
from dpc_lightning.purchase.plan import Activity, Phase

__all__ = ["NEVER", "ComputeBudget"]

NEVER = (2**62, 0)
"""A place that no phase comes to."""

ALL: tuple[Activity, ...] = get_args(Activity)


class _Books(NamedTuple):
    """What has been spent; one value, so that the heartbeat's thread never sees half of a change."""

    earlier: dict[Activity, float]
    activity: Activity = "pretrain"
    since: float | None = None


class ComputeBudget(PhaseCallback):
    """Stops pretraining and buying when the seconds are used up; the run then goes on to the evaluation.

    It is forced: the trainer adds it to every run, and no configuration can drop it. It counts wall clock from the
    start of the fit to the start of the evaluation phase, by activity, on a monotonic clock, over all starts of the
    run: its state is in every checkpoint, and a heartbeat each second tells what a killed process had spent since. Time
    in which no process ran is not counted. The decision is made on rank 0 and broadcast. A batch that has begun is
    finished, and so is a purchase; it never raises.

    A stop is noted before it takes effect. A resume from an older checkpoint stops at the very batch that was noted,
    whatever the clock then says: `noted_place` holds it.

    Args:
        seconds: the budget, or None for none.
        covers: what the budget covers; the rest is measured and free.
        clock: where the time comes from, in seconds.
        heartbeat: file of the heartbeat; None for none.
    """

    def __init__(
        self,
        seconds: float | None,
        covers: Collection[Activity] = ALL,
        *,
        clock: Callable[[], float] = time.monotonic,
        heartbeat: Path | None = None,
    ) -> None:
        self.seconds = seconds
        self.covers = frozenset(covers)
        self.exhausted = False
        """Whether the budget stopped a phase."""
        self.noted_place: tuple[int, int] | None = None
        """Epochs, and batches of the next, at which an earlier start or this one stopped the running phase; `NEVER`
        where an earlier start has gone on from its end."""
        self.place: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """Gives the epochs of the running phase that are done, and the batches of the next."""
        self.reserve: Callable[[], float] = lambda: 0.0
        """Gives the seconds that are to be kept back for the last purchase."""
        self.note_stop: Callable[[], None] = lambda: None
        """Writes down durably that the running phase is stopped at the present batch."""
        self._clock = clock
        self._counts = True  # False from the start of the evaluation phase on
        self._books = _Books(dict.fromkeys(ALL, 0.0))
        self._at_start: _Books | None = None
        self._worked = False
        self._heart = None if heartbeat is None else Heartbeat(heartbeat, self._numbers)

    def now(self) -> float:
        """The time on the budget's clock, in seconds."""
        return self._clock()

    def _numbers(self) -> dict[str, float]:
        return {str(activity): seconds for activity, seconds in self.spent_on.items()}

    @property
    def spent_on(self) -> dict[Activity, float]:
        """Seconds spent so far on each activity, whether the budget covers it or not."""
        books = self._books
        spent = dict(books.earlier)
        if books.since is not None:
            spent[books.activity] += self._clock() - books.since
        return spent

    @property
    def spent(self) -> float:
        """Seconds of the budget spent so far."""
        return sum(seconds for activity, seconds in self.spent_on.items() if activity in self.covers)

    @property
    def left(self) -> float | None:
        """Seconds left, at least 0; None without a budget."""
        return None if self.seconds is None else max(0.0, self.seconds - self.spent)

    def check(self, trainer: Trainer, ahead: float = 0.0) -> bool:
        """Say on all ranks alike whether only the reserve is left of the budget, and remember it.

        Args:
            trainer: the trainer, whose rank 0 decides.
            ahead: seconds of work that would have to fit in before the reserve.
        """
        if self.seconds is not None and not self.exhausted:
            up = self.spent + ahead >= self.seconds - self.reserve()
            self.exhausted = bool(trainer.strategy.broadcast(up))
        return self.exhausted

    def start(self) -> None:
        """Count from now on, unless the evaluation has begun."""
        if self._counts and self._books.since is None:
            self._books = self._books._replace(since=self._clock())

    def stop(self) -> None:
        """Stop counting for now; what was spent is kept."""
        self._books = self._books._replace(earlier=self.spent_on, since=None)
        if self._heart is not None:
            self._heart.stop()

    def finish(self) -> None:
        """Count no more: the evaluation begins."""
        self.stop()
        self._counts = False

    def switch(self, activity: Activity) -> None:
        """Book what comes from now on under another activity."""
        since = None if self._books.since is None else self._clock()
        self._books = _Books(self.spent_on, activity, since)

    @contextmanager
    def doing(self, activity: Activity) -> Iterator[None]:
        """Book what the block takes under an activity."""
        before = self._books.activity
        self.switch(activity)
        try:
            yield
        finally:
            self.switch(before)

    @override
    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._heart is not None and trainer.is_global_zero and self._counts:
            beat = Heartbeat.read(self._heart.file)  # never behind the checkpoint, but for a torn file
            earlier = {activity: max(spent, beat.get(activity, 0.0)) for activity, spent in self.spent_on.items()}
            self._books = self._books._replace(earlier=earlier)
            self.start()
            self._heart.start()
        self.start()

    @override
    def on_phase_start(self, trainer: Trainer, pl_module: LightningModule, phase: Phase) -> None:
        if phase.kind == "evaluate":
            self.finish()
        else:
            self.switch("pretrain" if phase.kind == "pretrain" else "train")

    @override
    def on_loop_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._at_start, self._worked = self._books, False

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._worked = True

    @override
    def on_scored(self, trainer: Trainer, pl_module: LightningModule, images: int, total: int) -> None:
        self._worked = True

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        self._look(trainer)

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit":
            self._look(trainer)  # else the next epoch would begin with a step for nothing

    def _look(self, trainer: Trainer) -> None:
        if self._books.since is None or self.seconds is None:
            return
        if self.noted_place is not None:
            if self.place() >= self.noted_place:
                self.exhausted = trainer.should_stop = True
        elif self.check(trainer):
            self.note_stop()
            self.noted_place = self.place()
            trainer.should_stop = True

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, LabelsPendingError) and not self._worked and self._at_start is not None:
            self._books = self._at_start._replace(since=None)  # it has only asked whether people are ready
        self.stop()

    @override
    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.stop()

    @override
    def state_dict(self) -> dict[str, Any]:
        state = {"counts": self._counts, "exhausted": self.exhausted, "activity": self._books.activity}
        return {**state, "spent_on": self._numbers()}

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        earlier = {activity: float(state_dict["spent_on"][activity]) for activity in ALL}
        self._books = _Books(earlier, state_dict["activity"])
        self._counts = bool(state_dict["counts"])
        self.exhausted = bool(state_dict["exhausted"])
