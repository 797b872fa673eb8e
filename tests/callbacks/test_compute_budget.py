"""The compute budget: what it counts, when it stops, and what survives a resume."""

from types import SimpleNamespace
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer

from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.purchase.plan import Phase

MODULE = cast("LightningModule", None)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Broadcast:
    """A strategy whose rank 0 may have decided otherwise than this rank would."""

    def __init__(self, *, answer: bool | None = None) -> None:
        self.answer = answer
        self.asked = 0

    def broadcast(self, value: bool) -> bool:
        self.asked += 1
        return value if self.answer is None else self.answer


def trainer(strategy: Broadcast | None = None) -> Any:
    return SimpleNamespace(should_stop=False, strategy=strategy or Broadcast())


def test_it_stops_the_phase_at_the_first_batch_after_the_seconds_are_up() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock)
    budget.on_fit_start(cast("Trainer", stage), MODULE)
    clock.now += 9.9
    budget.on_train_batch_end(stage, MODULE)
    assert stage.should_stop is False
    assert budget.left is not None
    assert abs(budget.left - 0.1) < 1e-9
    clock.now += 0.1
    budget.on_train_batch_end(stage, MODULE)
    assert stage.should_stop is True
    assert budget.exhausted
    assert budget.left == 0.0


def test_rank_zero_decides_for_all() -> None:
    clock, stage = Clock(), trainer(Broadcast(answer=True))
    budget = ComputeBudget(10.0, clock)
    budget.on_fit_start(stage, MODULE)
    budget.on_train_batch_end(stage, MODULE)
    assert stage.should_stop is True


def test_the_evaluation_is_not_counted_and_not_stopped() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock)
    budget.on_fit_start(stage, MODULE)
    clock.now += 4
    budget.on_phase_start(stage, MODULE, Phase(3, "evaluate", 5))
    clock.now += 100
    budget.on_train_batch_end(stage, MODULE)
    assert (budget.spent, stage.should_stop) == (4.0, False)


def test_seconds_survive_a_resume_also_into_the_evaluation() -> None:
    clock = Clock()
    first = ComputeBudget(10.0, clock)
    first.on_fit_start(trainer(), MODULE)
    clock.now += 3
    state = first.state_dict()
    clock.now = 5.0  # another process, another origin of its clock
    second = ComputeBudget(10.0, clock)
    second.load_state_dict(state)
    second.on_fit_start(trainer(), MODULE)
    clock.now += 2
    assert second.spent == 5.0
    second.on_phase_start(trainer(), MODULE, Phase(3, "evaluate", 5))
    third = ComputeBudget(10.0, clock)
    third.load_state_dict(second.state_dict())
    third.on_fit_start(trainer(), MODULE)
    clock.now += 50
    assert third.spent == 5.0


def test_without_a_budget_nothing_is_stopped_or_broadcast() -> None:
    stage = trainer()
    budget = ComputeBudget(None)
    budget.on_fit_start(stage, MODULE)
    budget.on_train_batch_end(stage, MODULE)
    assert (budget.left, stage.should_stop, stage.strategy.asked) == (None, False, 0)
