"""The loop of the whole run: pretrain, rounds of (score, pick, buy, train), evaluation."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
from lightning.pytorch import Trainer

from dpc_lightning.acquisition.base import LabelArray
from dpc_lightning.callbacks.compute_budget import NEVER, ComputeBudget
from dpc_lightning.callbacks.cost_meter import CostMeter
from dpc_lightning.callbacks.label_budget import LabelBudget
from dpc_lightning.callbacks.phase_callback import PhaseCallback, PurchaseRecord, phase_callbacks
from dpc_lightning.data.datamodule import PurchaseDataModule, TrainView
from dpc_lightning.loops.buyer import Buyer
from dpc_lightning.loops.phased_fit_loop import PhasedFitLoop
from dpc_lightning.loops.planner import PLAN, PRETRAIN_PLAN, Decision, Planner
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.staged_module import Stage
from dpc_lightning.purchase.plan import Activity, Phase, PurchasePlan, tail
from dpc_lightning.purchase.schedule import Workload

__all__ = ["PurchaseLoop"]

CLOCK_STOP = "clock_stop"
"""Kind of the ledger's event that says in which phase and at which step the compute budget ended the buying."""


class PurchaseLoop(PhasedFitLoop):
    """Runs the phases of a `PurchasePlan`; its `buyer` is the only caller of `Ledger.buy`.

    The datamodule holds the cursor of the phase and the number of ledger rows that it stands on, because Lightning
    restores it before optimizers and loaders exist; the loop's own state only repeats the cursor to be compared.

    What the clock decides (which rounds follow, how long is pretrained, where a phase is stopped) is written into the
    ledger before it is done. A resume takes it from there and decides nothing anew.

    Args:
        trainer: the trainer whose `fit_loop` this becomes.
        plan: what may be bought, when, by which rule, and answered by whom.
        evaluate_epochs: epochs of the evaluation phase.
        run_dir: the run's folder, for `ledger.sqlite`, `purchases.csv` and the heartbeat.
        seed: seed of the run.
    """

    def __init__(self, trainer: Trainer, plan: PurchasePlan, *, evaluate_epochs: int, run_dir: Path, seed: int) -> None:
        super().__init__(trainer)
        self.plan = plan
        self.evaluate_epochs = evaluate_epochs
        self.phases = plan.phases(evaluate_epochs)
        self.seed = seed
        self.label_budget = LabelBudget(plan)
        self.compute_budget = ComputeBudget(
            plan.seconds, plan.seconds_cover, heartbeat=run_dir / "heartbeat.json" if plan.seconds is not None else None
        )
        self.meter = CostMeter(clock=self.compute_budget.now)
        self.buyer = Buyer(trainer, plan, run_dir, seed, self.compute_budget)
        self.planner = Planner(
            plan,
            self.meter,
            self.compute_budget,
            work=self._work,
            noted=lambda kind: self.buyer.noted(self._data, kind),
            note=lambda kind, facts: self.buyer.note(self._data, kind, **facts),
        )
        self.compute_budget.reserve = lambda: self.planner.reserve(self._booked_as, rounds_follow=self._rounds_follow)
        self.compute_budget.note_stop = self._note_stop
        self.compute_budget.place = lambda: self.place
        self._stopped: int | None = None  # cursor of a phase that was stopped before the checkpoint

    @property
    def callbacks(self) -> Sequence[PhaseCallback]:
        """Budgets, meter and planner: callbacks that every trainer with this loop must have."""
        return (self.label_budget, self.compute_budget, self.meter, self.planner)

    @property
    def phase(self) -> Phase:
        """The phase that is running."""
        return self.phases[self._data.cursor]

    @property
    def phase_epochs(self) -> int:
        """Epochs of the running phase; 0 as long as no data is attached."""
        if getattr(self.trainer, "datamodule", None) is None:
            return 0
        phase = self.phase
        if self._stopped == phase.cursor:
            return self.phase_epoch  # the checkpoint was written after the clock, or a callback, had stopped the phase
        cut = self.planner.pretrain_epochs
        return phase.epochs if cut is None or phase.kind != "pretrain" else cut

    def attach(self, module: MultiLabelClassifier, data: PurchaseDataModule) -> None:
        """Connect the data before the fit: Lightning restores it, and asks for its length, before this loop runs."""

        def fetch_bought(rows: int) -> tuple[Sequence[int], LabelArray]:
            self._replay_plans(data)
            data.enter_phase(self._view(self.phases[data.cursor], module))
            bought = self.buyer.bought(data, rows)
            return bought.indices.tolist(), bought.labels

        data.fetch_bought = fetch_bought
        module.initial_seed = self._weight_seed(self.phases[0])
        data.enter_phase(self._view(self.phases[0], module))

    def run(self) -> None:
        """Train phase after phase."""
        for callback in phase_callbacks(self.trainer):
            callback.on_loop_start(self.trainer, self._module)
        if self.resumed:
            self._prepare_clock()
        super().run()

    def first_phase(self) -> None:
        """Announce the pretraining; open the ledger, so that what is wrong with it or the oracle is said now."""
        self.buyer.bought(self._data)
        self._prepare_clock()  # where checkpoints were lost, the ledger knows more than a run that starts anew
        if self.plan.seconds is not None and self.plan.labels and len(self._data.unlabelled):
            with self.compute_budget.doing("score"):
                trial = self.buyer.scorer.try_scoring(self._data, self._module)
            self.meter.expect_validation(trial.image_seconds * len(self._data.validation))
            if self.plan.pseudo_labels is not None or self.plan.acquisition.needs & {"logits", "embeddings"}:
                self.meter.note_scoring(trial.start_seconds, trial.image_seconds)
        self._announce(self.phase)

    def next_phase(self) -> bool:
        """Close the phase that has ended; buy, and prepare the next one."""
        if self._module.validated_step != self.trainer.global_step:
            self.validate()  # thresholds and scores must be those of the weights that pick, or that are tested
        for callback in phase_callbacks(self.trainer):
            callback.on_phase_end(self.trainer, self._module, self.phase)
        if self.phase.kind == "evaluate":
            return False
        self._revise()
        following = self.phases[self._data.cursor + 1]
        record = self._buy(following) if following.kind == "round" else None
        if following.kind == "evaluate":
            self.buyer.export(self._data)  # also where nothing was bought: the file then says so
            self.compute_budget.finish()
        self._enter(following)
        if record is not None:
            for callback in phase_callbacks(self.trainer):
                callback.on_purchase(self.trainer, self._module, record)
        self._announce(following)
        return True

    def on_save_checkpoint(self) -> dict[str, Any]:
        """Lightning's own state, the cursor, and whether the phase is stopped."""
        return {**super().on_save_checkpoint(), "cursor": self._data.cursor, "stopped": bool(self.trainer.should_stop)}

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        """Check that the checkpoint's loop and data stand in the same phase; take up what was announced in it."""
        super().on_load_checkpoint(state_dict)
        assert state_dict["cursor"] == self._data.cursor, "the checkpoint's loop and data stand in different phases"
        self._stopped = self._data.cursor if state_dict["stopped"] else None
        self._module.phase = self.phase.name
        self.label_budget.settle(len(self._data.bought))
        for event in self.buyer.noted(self._data, PRETRAIN_PLAN):
            if self._data.cursor or event["epoch"] <= self.phase_epoch:  # else its time is still to come
                self.planner.pretrain_epochs = int(event["epochs"])

    @property
    def _data(self) -> PurchaseDataModule:
        return cast("PurchaseDataModule", self.trainer.datamodule)  # type: ignore[attr-defined]

    @property
    def _module(self) -> MultiLabelClassifier:
        return cast("MultiLabelClassifier", self.trainer.lightning_module)

    @property
    def _booked_as(self) -> Activity:
        return "pretrain" if self.phase.kind == "pretrain" else "train"

    @property
    def _rounds_follow(self) -> bool:
        """Whether a purchase comes after the running phase."""
        if self.plan.automatic and self.phase.kind == "pretrain":
            return True
        return self.phases[min(self._data.cursor + 1, len(self.phases) - 1)].kind == "round"

    def _work(self) -> Workload:
        data, module, trainer = self._data, self._module, self.trainer
        in_pool = len(data.pool) - len(data.bought)
        pseudo = in_pool if self.plan.pseudo_labels is not None else 0  # all, as long as nobody knows how many
        return Workload(
            owned=len(data.labelled) + len(data.bought),
            pool=in_pool,
            labels=min(self.plan.labels - len(data.bought), in_pool),
            batch=module.recipe.batch_size * trainer.world_size,
            pseudo=data.pseudo_images or pseudo,
            validate_every=trainer.check_val_every_n_epoch or 1,
            scored_share=self.buyer.scorer.wanted.share(in_pool),
            owned_share=self.buyer.scorer.owned_share,
        )

    def _revise(self) -> None:
        """Let what follows the phase that has ended be what an earlier start, the clock or the planner says."""
        cursor = self._data.cursor
        noted = [event for event in self.buyer.noted(self._data, PLAN) if event["after"] == cursor]
        rounds = tuple(noted[0]["rounds"]) if noted else self._decide()
        if rounds is not None:
            self.phases = (*self.phases[: cursor + 1], *tail(cursor, rounds, self.evaluate_epochs))

    def _decide(self) -> tuple[int, ...] | None:
        """Decide which rounds follow, and write it down; None leaves the plan as it is."""
        cursor, work = self._data.cursor, self._work()
        self.label_budget.settle(len(self._data.bought))
        planned = [phase for phase in self.phases[cursor + 1 :] if phase.kind == "round"]
        if not (planned or (self.plan.automatic and work.labels)):
            return None  # nothing was to follow but the evaluation
        if self.buyer.has_picked(self._data, cursor + 1):
            return None  # an earlier start has begun this purchase by the plan as it was
        stop, ahead = self._noted_stop(), self.planner.next_purchase(len(planned))
        if not work.labels:
            decision = Decision((), "all bought", 0.0)
        elif stop is not None or self.compute_budget.check(self.trainer, ahead):
            if stop is None:
                self._note_stop()
            decision = Decision((0,) if self.plan.spend_all else (), "clock", 0.0)
        elif self.plan.automatic:
            decision = self.trainer.strategy.broadcast(self.planner.decide(done=cursor))
        else:
            return None
        spent = self.compute_budget.spent
        self.buyer.note(
            self._data,
            PLAN,
            after=cursor,
            rounds=list(decision.rounds),
            reason=decision.reason,
            seconds=decision.seconds,
            spent=spent,
        )
        self.planner.announce(decision, cursor, self.trainer)
        return decision.rounds

    def _replay_plans(self, data: PurchaseDataModule) -> None:
        """Take over what was decided before the checkpoint's phase."""
        for event in self.buyer.noted(data, PLAN):
            after = int(event["after"])
            if after < data.cursor:
                self.phases = (*self.phases[: after + 1], *tail(after, event["rounds"], self.evaluate_epochs))

    def _note_stop(self) -> None:
        (epoch, batch), step = self.place, self.trainer.global_step
        name, spent = self.phase.name, self.compute_budget.spent
        self.buyer.note(self._data, CLOCK_STOP, phase=name, epoch=epoch, batch=batch, step=step, spent=spent)

    def _noted_stop(self) -> tuple[int, int] | None:
        """Find the place at which the clock stopped the running phase, now or at an earlier start."""
        name = self.phase.name
        stops = [event for event in self.buyer.noted(self._data, CLOCK_STOP) if event["phase"] == name]
        return (int(stops[0]["epoch"]), int(stops[0]["batch"])) if stops else None

    def _prepare_clock(self) -> None:
        """Take over where the running phase was stopped; one that an earlier start went on from is not stopped anew."""
        cursor = self._data.cursor
        went_on = any(event["after"] >= cursor for event in self.buyer.noted(self._data, PLAN))
        if went_on or self.buyer.has_picked(self._data, cursor + 1):
            self.compute_budget.noted_place = self._noted_stop() or NEVER
        else:
            self.compute_budget.noted_place = self._noted_stop()

    def _buy(self, phase: Phase) -> PurchaseRecord:
        for callback in phase_callbacks(self.trainer):
            callback.on_round_start(self.trainer, self._module, phase)
        self.label_budget.settle(len(self._data.bought))
        rounds = sum(each.kind == "round" for each in self.phases[phase.cursor :])
        quota = self.label_budget.quota(rounds, in_pool=len(self._data.unlabelled))
        record = self.buyer.buy(self._data, self._module, phase.round, quota)
        # no more than this round bought: where checkpoints were lost, the ledger holds later rounds already
        bought = self.buyer.bought(self._data, len(self._data.bought) + len(record.indices))
        self._data.set_bought(bought.indices, bought.labels)
        return record

    def _enter(self, phase: Phase) -> None:
        data, module = self._data, self._module
        if phase.kind == "evaluate" or (self.plan.round_start == "fresh" and phase.epochs):
            stage: Stage = "evaluate" if phase.kind == "evaluate" else "purchase"
            module.rebuild(stage, self._weight_seed(phase))
        data.enter_phase(self._view(phase, module))
        self._prepare_clock()
        self.renew()

    def _weight_seed(self, phase: Phase) -> int:
        """Give the seed of a phase's initial weights."""
        place = np.random.SeedSequence([self.seed, phase.stream], spawn_key=(2,))
        return int(place.generate_state(1)[0])

    def _announce(self, phase: Phase) -> None:
        self._module.phase = phase.name
        for callback in phase_callbacks(self.trainer):
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
