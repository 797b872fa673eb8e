"""The planner: what follows a phase, decided from what was measured and what is left, and written down at once."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_info
from typing_extensions import override

from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.callbacks.cost_meter import CostMeter
from dpc_lightning.callbacks.phase_callback import PhaseCallback
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.models.schedules import PhaseSchedule
from dpc_lightning.purchase.plan import Activity, PurchasePlan, share
from dpc_lightning.purchase.schedule import (
    PRETRAIN_SHARE,
    Costs,
    Workload,
    fit_pretraining,
    fit_rounds,
    purchase_seconds,
    rounds_seconds,
    training_seconds,
)

__all__ = ["PLAN", "PRETRAIN_PLAN", "Decision", "PlanWarning", "Planner", "pretraining_at"]

PLAN = "plan"
"""Kind of the ledger's event that says which rounds follow a phase."""
PRETRAIN_PLAN = "pretrain_plan"
"""Kind of the ledger's event that says how long an automatic plan pretrains."""
HYSTERESIS = 0.05
"""Share of its epochs by which the pretraining must be too long or too short to be changed."""
ENOUGH_STEPS = 10
"""Steps after which their mean is taken for what a step costs."""


class PlanWarning(UserWarning):
    """The phases that were asked for will not fit into the compute budget."""


@dataclass(frozen=True)
class Decision:
    """Which rounds follow a phase."""

    rounds: tuple[int, ...]
    """Epochs after each purchase."""
    reason: str
    """`measured`, `clock` where the seconds are up, or `all bought`."""
    seconds: float
    """What they are expected to take."""


class Planner(PhaseCallback):
    """Decides, on rank 0, what the rest of the budget is used for. `PurchaseLoop` asks it and writes down its answers.

    Args:
        plan: what the user asks for.
        meter: what work costs.
        budget: what is left.
        work: tells what is left to do after the running phase.
        noted: lists the ledger's events of a kind, equal on all ranks.
        note: writes one.
    """

    def __init__(
        self,
        plan: PurchasePlan,
        meter: CostMeter,
        budget: ComputeBudget,
        *,
        work: Callable[[], Workload],
        noted: Callable[[str], list[dict[str, Any]]],
        note: Callable[[str, dict[str, Any]], None],
    ) -> None:
        self.plan = plan
        self.meter = meter
        self.budget = budget
        self.work = work
        self.noted = noted
        self.note = note
        self.pretrain_epochs: int | None = None
        """Epochs to which the pretraining was cut; None as long as it has those that were asked for."""
        self._compared = False

    def costs(self, training: Activity = "train") -> Costs:
        """Say what work costs, as far as the budget covers it; nothing before the first step.

        Args:
            training: what steps and validations are booked as.
        """
        return (self.meter.costs or Costs(step=0.0)).covered(self.budget.covers, training)

    def reserve(self, training: Activity, *, rounds_follow: bool) -> float:
        """Say how many seconds must be kept back to spend the rest of the labels.

        Args:
            training: what the running phase is booked as.
            rounds_follow: whether the running phase comes before a purchase.
        """
        work = self.work()
        if not (rounds_follow and self.plan.spend_all and work.labels):
            return 0.0
        return self.costs(training).validation + self._purchase(work, work.labels)

    def next_purchase(self, rounds: int) -> float:
        """Predict what the purchase of the next of so many rounds takes; nothing where the reserve is for it."""
        work = self.work()
        if not rounds or not work.labels or (rounds == 1 and self.plan.spend_all):
            return 0.0
        return self._purchase(work, share(work.labels, rounds))

    def _purchase(self, work: Workload, count: int) -> float:
        """Predict what the next purchase takes, of so many images."""
        return purchase_seconds(self.costs(), work.pool, count, work.scored_share, work.owned * work.owned_share)

    def decide(self, done: int) -> Decision:
        """Plan the rounds that follow, by the seconds that are left.

        Args:
            done: rounds that are done.
        """
        work, costs, plan = self.work(), self.costs(), self.plan
        rounds = fit_rounds(
            costs,
            work,
            self.budget.left or 0.0,
            most=max(1, plan.max_rounds - done),
            epochs=plan.round_epochs,
            most_epochs=plan.max_round_epochs,
        )
        return Decision(rounds, "measured", rounds_seconds(costs, work, rounds))

    def announce(self, decision: Decision, done: int, trainer: Trainer) -> None:
        """Say what was decided, and log it."""
        left = self.budget.left
        if decision.reason == "all bought":
            rank_zero_info("plan: there is nothing left to buy, and the evaluation begins")
        elif decision.reason == "clock":
            does = "the labels that are left are bought at once" if decision.rounds else "labels stay unspent"
            rank_zero_info(f"plan: the compute budget is used up; {does}, and the evaluation begins")
        else:
            rank_zero_info(
                f"plan: {done} rounds done, {len(decision.rounds)} to come, {max(decision.rounds, default=0)} epochs "
                f"between two purchases; about {decision.seconds:.1f} s of {left or 0:.1f} s left"
            )
        facts = {"plan/rounds": float(done + len(decision.rounds)), "plan/seconds": decision.seconds}
        facts["plan/epochs"] = float(max(decision.rounds, default=0))
        for logger in trainer.loggers:
            logger.log_metrics(facts, step=trainer.global_step)

    @override
    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any, **kwargs: Any) -> None:
        if not self._compared and self.meter.steps >= ENOUGH_STEPS:
            self._compare(trainer, cast("MultiLabelClassifier", pl_module))

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast("MultiLabelClassifier", pl_module)
        if not self._compared:
            self._compare(trainer, module)
        if module.phase == "pretrain" and self.plan.automatic and self.plan.labels:
            self._revise_pretraining(trainer, trainer.current_epoch + 1)

    def _compare(self, trainer: Trainer, module: MultiLabelClassifier) -> None:
        """Say early that a fixed plan will not fit."""
        self._compared = True
        seconds, rounds = self.plan.seconds, self.plan.rounds
        if seconds is None or rounds == "auto" or module.phase != "pretrain" or not trainer.is_global_zero:
            return
        work = self.work()
        each = [self.plan.round_epochs] * min(rounds, work.labels)  # a round buys something
        needed = training_seconds(self.costs("pretrain"), work, work.owned, self.plan.pretrain_epochs)
        needed += rounds_seconds(self.costs(), work, each)
        if needed > seconds:
            msg = (
                f"The plan will not fit: pretraining and {len(each)} rounds need about {needed:.1f} s on this machine, "
                f"but `purchase.seconds` is {seconds:g}; the clock will cut it short. Give more seconds, fewer epochs "
                "or rounds, or `purchase.rounds: auto`."
            )
            warnings.warn(msg, PlanWarning, stacklevel=2)

    def _revise_pretraining(self, trainer: Trainer, done: int) -> None:
        """Let the pretraining of an automatic plan be as long as an earlier start, or the clock, says.

        It is looked at after every epoch, because the first steps are not like all others.
        """
        asked, known = self.plan.pretrain_epochs, self.pretrain_epochs or self.plan.pretrain_epochs
        noted = self.noted(PRETRAIN_PLAN)
        epochs = pretraining_at(done, noted)
        if epochs is None and not self.noted(PLAN) and not any(event["epoch"] > done for event in noted):
            allowed = PRETRAIN_SHARE * (self.plan.seconds or 0.0) - self.budget.spent
            free = "pretrain" not in self.budget.covers
            fits = asked if free else fit_pretraining(self.costs("pretrain"), self.work(), allowed, done, asked)
            fits = int(trainer.strategy.broadcast(fits))
            if abs(fits - known) > HYSTERESIS * known:
                epochs = fits
                self.note(PRETRAIN_PLAN, {"epoch": done, "epochs": epochs, "spent": self.budget.spent})
                rank_zero_info(f"plan: {epochs} of {asked} epochs of pretraining take half of the budget")
        if epochs is None:
            return
        self.pretrain_epochs = epochs
        steps = -(-int(trainer.num_training_batches) // trainer.accumulate_grad_batches)
        for config in trainer.lr_scheduler_configs:
            if isinstance(config.scheduler, PhaseSchedule):
                config.scheduler.set_total_steps(steps * epochs)


def pretraining_at(epoch: int, noted: Sequence[Mapping[str, Any]]) -> int | None:
    """Find how many epochs of pretraining were decided at the end of an epoch; None if nothing was.

    Args:
        epoch: epochs that are done.
        noted: the events of kind `PRETRAIN_PLAN`.

    Example:
        >>> pretraining_at(3, [{"epoch": 1, "epochs": 9}, {"epoch": 3, "epochs": 12}])
        12
    """
    return next((int(event["epochs"]) for event in noted if event["epoch"] == epoch), None)
