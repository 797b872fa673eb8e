"""The compute budget: what it counts, when it stops, and what survives a resume."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer

from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.errors import LabelsPendingError
from dpc_lightning.heartbeat import Heartbeat
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
    return SimpleNamespace(
        should_stop=False,
        strategy=strategy or Broadcast(),
        global_step=7,
        is_global_zero=True,
        state=SimpleNamespace(fn="fit"),
    )


def test_it_stops_the_phase_at_the_first_batch_after_the_seconds_are_up() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock=clock)
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
    budget = ComputeBudget(10.0, clock=clock)
    budget.on_fit_start(stage, MODULE)
    budget.on_train_batch_end(stage, MODULE)
    assert stage.should_stop is True


def test_the_evaluation_is_not_counted_and_not_stopped() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock=clock)
    budget.on_fit_start(stage, MODULE)
    clock.now += 4
    budget.on_phase_start(stage, MODULE, Phase(3, "evaluate", 5))
    clock.now += 100
    budget.on_train_batch_end(stage, MODULE)
    assert (budget.spent, stage.should_stop) == (4.0, False)


def test_seconds_survive_a_resume_also_into_the_evaluation() -> None:
    clock = Clock()
    first = ComputeBudget(10.0, clock=clock)
    first.on_fit_start(trainer(), MODULE)
    clock.now += 3
    state = first.state_dict()
    clock.now = 5.0  # another process, another origin of its clock
    second = ComputeBudget(10.0, clock=clock)
    second.load_state_dict(state)
    second.on_fit_start(trainer(), MODULE)
    clock.now += 2
    assert second.spent == 5.0
    second.on_phase_start(trainer(), MODULE, Phase(3, "evaluate", 5))
    third = ComputeBudget(10.0, clock=clock)
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


def test_the_reserve_is_kept_back_for_the_last_purchase() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock=clock)
    budget.reserve = lambda: 3.0
    budget.on_fit_start(stage, MODULE)
    clock.now += 6.9
    assert not budget.check(stage)
    assert budget.check(stage, ahead=0.2)


def test_a_stop_is_written_down_before_it_takes_effect() -> None:
    clock, stage = Clock(), trainer()
    seen: list[bool] = []
    budget = ComputeBudget(10.0, clock=clock)
    budget.note_stop = lambda: seen.append(stage.should_stop)
    budget.place = lambda: (2, 5)
    budget.on_fit_start(stage, MODULE)
    clock.now += 10
    budget.on_train_batch_end(stage, MODULE)
    budget.on_train_batch_end(stage, MODULE)
    assert (seen, budget.noted_place) == ([False], (2, 5))


def test_a_noted_stop_is_replayed_at_its_place_whatever_the_clock_says() -> None:
    clock, stage, place = Clock(), trainer(), (1, 9)
    budget = ComputeBudget(10.0, clock=clock)
    budget.note_stop = lambda: (_ for _ in ()).throw(AssertionError("noted twice"))
    budget.on_fit_start(stage, MODULE)
    budget.place = lambda: place
    budget.noted_place = (2, 3)
    clock.now += 99
    budget.on_train_batch_end(stage, MODULE)
    assert (stage.should_stop, budget.exhausted) == (False, False)
    place = (2, 3)
    budget.on_train_batch_end(stage, MODULE)
    assert (stage.should_stop, budget.exhausted) == (True, True)


def test_asking_whether_people_are_ready_costs_nothing() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock=clock)
    budget.on_fit_start(stage, MODULE)
    budget.on_loop_start(stage, MODULE)
    clock.now += 2
    budget.on_train_batch_start(stage, MODULE, None, 0)
    budget.on_exception(stage, MODULE, LabelsPendingError("asked"))
    assert budget.spent == 2
    budget.on_fit_start(stage, MODULE)
    budget.on_loop_start(stage, MODULE)
    clock.now += 3
    budget.on_exception(stage, MODULE, LabelsPendingError("not ready"))
    assert budget.spent == 2


def test_a_validation_that_used_up_the_seconds_ends_the_phase_without_another_step() -> None:
    clock, stage = Clock(), trainer()
    budget = ComputeBudget(10.0, clock=clock)
    budget.on_fit_start(stage, MODULE)
    clock.now += 11
    budget.on_validation_end(stage, MODULE)
    assert stage.should_stop is True


def test_what_the_budget_does_not_cover_is_measured_and_free() -> None:
    clock = Clock()
    budget = ComputeBudget(10.0, ("pretrain", "train"), clock=clock)
    budget.on_fit_start(trainer(), MODULE)
    clock.now += 1
    with budget.doing("score"):
        clock.now += 2
        with budget.doing("pick"):
            clock.now += 4
        clock.now += 8
    clock.now += 16
    budget.on_phase_start(trainer(), MODULE, Phase(1, "round", 1, 1))
    clock.now += 32
    assert budget.spent_on == {"pretrain": 17, "score": 10, "pick": 4, "buy": 0, "train": 32}
    assert (budget.spent, budget.left) == (49, 0)


def test_a_kill_loses_no_more_than_a_heartbeat(tmp_path: Path) -> None:
    clock, file = Clock(), tmp_path / "heartbeat.json"
    killed = ComputeBudget(10.0, clock=clock, heartbeat=file)
    killed.on_fit_start(trainer(), MODULE)
    state = killed.state_dict()
    clock.now += 5
    deadline = time.monotonic() + 10
    while Heartbeat.read(file).get("pretrain") != 5.0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    resumed = ComputeBudget(10.0, clock=clock, heartbeat=file)
    resumed.load_state_dict(state)  # of a checkpoint at 0 s
    clock.now += 1_000  # no process runs
    resumed.on_fit_start(trainer(), MODULE)
    assert resumed.spent == 5.0
    for budget in (killed, resumed):
        budget.stop()


def test_a_rank_that_does_not_write_files_does_not_beat(tmp_path: Path) -> None:
    stage = trainer()
    stage.is_global_zero = False
    budget = ComputeBudget(10.0, heartbeat=tmp_path / "heartbeat.json")
    budget.on_fit_start(stage, MODULE)
    budget.stop()
    assert not list(tmp_path.iterdir())
