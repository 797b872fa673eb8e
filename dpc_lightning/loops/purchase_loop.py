"""The loop of the whole run: pretrain, rounds of (score, pick, buy, train), evaluation."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from lightning.pytorch import Callback, Trainer

from dpc_lightning.acquisition.base import LabelArray
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.label_budget import LabelBudget
from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord
from dpc_lightning.data.datamodule import PurchaseDataModule, TrainView
from dpc_lightning.loops.buyer import Buyer
from dpc_lightning.loops.phased_fit_loop import PhasedFitLoop
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.staged_module import Stage
from dpc_lightning.purchase.plan import Phase, PurchasePlan

__all__ = ["PurchaseLoop"]

CLOCK_STOP = "clock_stop"
"""Kind of the ledger's event that says that the compute budget ended the buying."""


class PurchaseLoop(PhasedFitLoop):
    """Runs the phases of a `PurchasePlan`; its `buyer` is the only caller of `Ledger.buy`.

    The datamodule holds the cursor of the phase and the number of ledger rows that it stands on, because Lightning
    restores it before optimizers and loaders exist; the loop's own state only repeats the cursor to be compared.

    Args:
        trainer: the trainer whose `fit_loop` this becomes.
        plan: what may be bought, when, by which rule, and answered by whom.
        evaluate_epochs: epochs of the evaluation phase.
        run_dir: the run's folder, for `ledger.sqlite` and `purchases.csv`.
        seed: seed of the run.
    """

    def __init__(self, trainer: Trainer, plan: PurchasePlan, *, evaluate_epochs: int, run_dir: Path, seed: int) -> None:
        super().__init__(trainer)
        self.plan = plan
        self.phases = plan.phases(evaluate_epochs)
        self.seed = seed
        self.buyer = Buyer(trainer, plan, run_dir, seed)
        self.label_budget = LabelBudget(plan)
        self.compute_budget = ComputeBudget(plan.seconds)

    @property
    def callbacks(self) -> Sequence[PhaseCallback]:
        """The budgets: callbacks that every trainer with this loop must have."""
        return (self.label_budget, self.compute_budget)

    @property
    def phase(self) -> Phase:
        """The phase that is running."""
        return self.phases[self._data.cursor]

    @property
    def phase_epochs(self) -> int:
        """Epochs of the running phase; 0 as long as no data is attached."""
        return self.phase.epochs if getattr(self.trainer, "datamodule", None) is not None else 0

    def attach(self, module: MultiLabelClassifier, data: PurchaseDataModule) -> None:
        """Connect the data before the fit: Lightning restores it, and asks for its length, before this loop runs."""

        def fetch_bought(rows: int) -> tuple[Sequence[int], LabelArray]:
            data.enter_phase(self._view(self.phases[data.cursor], module))
            bought = self.buyer.bought(data, rows)
            return bought.indices.tolist(), bought.labels

        data.fetch_bought = fetch_bought
        module.initial_seed = self._weight_seed(self.phases[0])
        data.enter_phase(self._view(self.phases[0], module))

    def first_phase(self) -> None:
        """Announce the pretraining; open the ledger, so that what is wrong with it or the oracle is said now."""
        self.buyer.bought(self._data)
        self._announce(self.phase)

    def next_phase(self) -> bool:
        """Close the phase that has ended; buy, and prepare the next one."""
        if self._module.validated_step != self.trainer.global_step:
            self.validate()  # thresholds and scores must be those of the weights that pick, or that are tested
        for callback in self._listeners():
            callback.on_phase_end(self.trainer, self._module, self.phase)
        if self.phase.kind == "evaluate":
            return False
        following = self.phases[self._data.cursor + 1]
        record: PurchaseRecord | None = None
        if following.kind == "round":
            quota = self._quota(following)
            if quota:
                record = self._buy(following, quota)
            else:
                following = self.phases[-1]
        if following.kind == "evaluate":
            self.buyer.export(self._data)  # also where nothing was bought: the file then says so
        if following.kind == "evaluate":
            self.compute_budget.finish()
        self._enter(following)
        if record is not None:
            for callback in self._listeners():
                callback.on_purchase(self.trainer, self._module, record)
        self._announce(following)
        return True

    def on_save_checkpoint(self) -> dict[str, Any]:
        """Lightning's own state and the cursor."""
        return {**super().on_save_checkpoint(), "cursor": self._data.cursor}

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """Check that the checkpoint's loop and data stand in the same phase; take up what was announced in it."""
        super().on_load_checkpoint(state_dict)
        assert state_dict["cursor"] == self._data.cursor, "the checkpoint's loop and data stand in different phases"
        self._module.phase = self.phase.name
        self.label_budget.settle(len(self._data.bought))

    @property
    def _data(self) -> PurchaseDataModule:
        return cast("PurchaseDataModule", self.trainer.datamodule)  # type: ignore[attr-defined]

    @property
    def _module(self) -> MultiLabelClassifier:
        return cast("MultiLabelClassifier", self.trainer.lightning_module)

    def _quota(self, phase: Phase) -> int:
        """Labels that this round may buy; 0 sends the run to the evaluation."""
        if self.buyer.has_picked(self._data, phase.round):
            # an earlier start decided what this round buys: take that up, whatever the clock says
            return self.plan.labels
        if self.buyer.has_noted(self._data, CLOCK_STOP):
            return 0  # an earlier start decided that the time was up
        self.label_budget.settle(len(self._data.bought))
        quota = self.label_budget.quota(phase, in_pool=len(self._data.unlabelled))
        if quota and self.compute_budget.check(self.trainer):
            self.buyer.note(
                self._data,
                CLOCK_STOP,
                phase=phase.name,
                step=self.trainer.global_step,
                spent=self.compute_budget.spent,
            )
            return 0
        return quota

    def _buy(self, phase: Phase, quota: int) -> PurchaseRecord:
        for callback in self._listeners():
            callback.on_round_start(self.trainer, self._module, phase)
        record = self.buyer.buy(self._data, self._module, phase.round, quota)
        bought = self.buyer.bought(self._data)
        self._data.set_bought(bought.indices, bought.labels)
        return record

    def _enter(self, phase: Phase) -> None:
        data, module = self._data, self._module
        if phase.kind == "evaluate" or self.plan.round_start == "fresh":
            stage: Stage = "evaluate" if phase.kind == "evaluate" else "purchase"
            module.rebuild(stage, self._weight_seed(phase))
        data.enter_phase(self._view(phase, module))
        self.renew()

    def _weight_seed(self, phase: Phase) -> int:
        """Give the seed of a phase's initial weights."""
        place = np.random.SeedSequence([self.seed, phase.stream], spawn_key=(2,))
        return int(place.generate_state(1)[0])

    def _announce(self, phase: Phase) -> None:
        self._module.phase = phase.name
        for callback in self._listeners():
            callback.on_phase_start(self.trainer, self._module, phase)

    def _view(self, phase: Phase, module: MultiLabelClassifier) -> TrainView:
        recipe = module.evaluate if phase.kind == "evaluate" else module.recipe
        return TrainView(
            cursor=phase.cursor,
            stream=phase.stream,
            bought=phase.kind != "pretrain",
            pseudo=phase.kind == "round",
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            blur=recipe.blur,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )

    def _listeners(self) -> Iterator[PhaseCallback]:
        callbacks: list[Callback] = self.trainer.callbacks  # type: ignore[attr-defined]
        return (callback for callback in callbacks if isinstance(callback, PhaseCallback))
