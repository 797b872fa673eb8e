"""A fit loop that trains in phases. The only file of this package that touches Lightning's protected names.

Lightning 2 took loop customisation away on purpose (its changelog for 2.0: loop classes "are now marked as protected"),
so this file stands on private ground. What it relies on is listed in `docs/adr/0001-fit-loop-on-protected-names.md` and
watched by `tests/loops/test_lightning_contract.py`, which says what to read again when Lightning moves.
"""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, cast

from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.progress import _ProcessedTracker
from lightning.pytorch.trainer import Trainer

from dpc_lightning.data.loaders import ResumableLoader
from dpc_lightning.models.schedules import PhaseSchedule

__all__ = ["PhasedFitLoop"]


class PhasedFitLoop(_FitLoop):
    """Runs Lightning's fit loop once for each phase, with new optimizers, schedulers and loaders for every phase.

    Within a phase Lightning's loop is untouched. Between two phases a subclass prepares the next one in `next_phase`.
    Epochs count from 0 in every phase; `trainer.global_step` counts through. Hooks of the whole fit (`setup`,
    `on_fit_start`, `on_fit_end`, `teardown`) run once; `on_train_start` and `on_train_end` run once a phase.

    Args:
        trainer: the trainer whose `fit_loop` this becomes.
    """

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(trainer, min_epochs=0, max_epochs=0)
        self.resumed = False
        """Whether this fit goes on from a checkpoint."""

    @property
    @abstractmethod
    def phase_epochs(self) -> int:
        """Epochs of the current phase."""

    @abstractmethod
    def first_phase(self) -> None:
        """Prepare the first phase of a fit that starts anew; its network, optimizers and loaders exist already."""

    @abstractmethod
    def next_phase(self) -> bool:
        """Prepare the next phase, calling `renew` once its network and its data are in place.

        Returns:
            False when there is no further phase.
        """

    @property
    def phase_epoch(self) -> int:
        """Epochs of this phase that are finished."""
        return int(self.epoch_progress.current.processed)  # type: ignore[attr-defined]  # Lightning types it too widely

    @property
    def place(self) -> tuple[int, int]:
        """Epochs of this phase that are finished, and batches of the next that are trained."""
        return self.phase_epoch, int(self.epoch_loop.batch_progress.current.ready)

    @property
    def max_epochs(self) -> int:
        """Epochs of the current phase: the plan decides, not the trainer."""
        return self.phase_epochs

    @max_epochs.setter
    def max_epochs(self, value: int | None) -> None:
        """Ignore the number that `Trainer` assigns: it refuses a user's `max_epochs` with a reason before."""

    def run(self) -> None:
        """Train phase after phase."""
        self._drop_loaders()  # a scheduler may have asked for their length before the loop's state was restored
        if self.resumed:
            self._take_up_phase()
        else:
            self.first_phase()
        while True:
            super().run()  # returns at once when a restored phase has no epoch left
            if not self.next_phase():
                return

    def renew(self) -> None:
        """Start a new phase with the module's present network: clear progress, then make optimizers and loaders anew.

        `strategy.connect` and `strategy.setup` are what `Trainer` itself calls at the start of each fit: they move the
        network, wrap it again under DDP (with weights broadcast from rank 0) and configure new optimizers.
        """
        self._clear()
        strategy = self.trainer.strategy
        strategy.connect(self.trainer.lightning_module)
        strategy.setup(self.trainer)

    def validate(self) -> None:
        """Run the validation once more, between two phases.

        A phase that was stopped, or whose last epoch is not one that `check_val_every_n_epoch` names, ends without one.
        """
        self.trainer.validating = True
        try:
            self.epoch_loop.val_loop.run()
        finally:
            self.trainer.training = True  # after an error too: Lightning tears down the loop that is active

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """Remember that the fit goes on; Lightning has restored progress and loader state."""
        super().on_load_checkpoint(state_dict)
        self.resumed = True

    def _take_up_phase(self) -> None:
        """Count what is done of a restored phase in steps of this start: on another number of ranks it has others."""
        self.setup_data()
        assert self._combined_loader is not None
        loader = self._combined_loader.flattened[0]
        if isinstance(loader, ResumableLoader) and self.restarting:  # that is: the checkpoint is from within an epoch
            self._take_up_epoch(loader)
        in_epoch = self.epoch_loop.batch_progress.current.ready if self.restarting else 0
        steps = self.phase_epoch * self.max_batches + in_epoch
        for config in self.trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, PhaseSchedule):
                total = int(self.trainer.estimated_stepping_batches)
                config.scheduler.go_on(int(steps // self.trainer.accumulate_grad_batches), total)

    def _take_up_epoch(self, loader: ResumableLoader) -> None:
        batches = self.epoch_loop.batch_progress
        done = int(self.max_batches) if batches.is_last_batch else loader.done
        change = done - batches.current.ready
        if not change:
            return
        if done:
            place = cast("_ProcessedTracker", batches.current)
            place.ready = place.started = place.processed = done
            place.completed += change  # it lags behind while a batch ends
        else:  # less than one step of all ranks was done: the epoch begins anew
            self.restarting = False
            for epochs in (self.epoch_progress.current, self.epoch_progress.total):
                begun = cast("_ProcessedTracker", epochs)
                begun.ready = begun.started = begun.completed = begun.processed

    def _clear(self) -> None:
        """Forget the progress of the phase before, but for the step count. Comes before schedulers ask for lengths."""
        self._drop_loaders()
        self.epoch_progress.reset()
        self.epoch_loop.batch_progress.reset()
        self.epoch_loop.scheduler_progress.reset()
        self.epoch_loop.val_loop.batch_progress.reset()
        for loop in self._loops():
            loop._restarting = False
            loop._loaded_from_state_dict = False
            loop._resuming_from_checkpoint = False
            loop.reset_restart_stage()
        self._combined_loader_states_to_load = []
        self.trainer.should_stop = False
        self.trainer._logger_connector.reset_results()
        self.trainer._logger_connector.reset_metrics()

    def _loops(self) -> Iterator[_Loop]:
        yield self
        yield self.epoch_loop
        yield self.epoch_loop.val_loop

    def _drop_loaders(self) -> None:
        for loop in (self, self.epoch_loop.val_loop):
            if loop._data_fetcher is not None:
                loop._data_fetcher.teardown()
                loop._data_fetcher = None
            loop._combined_loader = None
        self._last_train_dl_reload_epoch = float("-inf")
        self.epoch_loop.val_loop._last_val_dl_reload_epoch = float("-inf")
