"""The planner in real runs whose clock is moved by the work alone: every decision can be foretold."""

import json
import shutil
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dpc_lightning.__main__ import main
from dpc_lightning.acquisition.expected_gain import ExpectedGain
from dpc_lightning.callbacks.compute_budget import ComputeBudget
from dpc_lightning.loops.planner import PLAN, PRETRAIN_PLAN, Planner, PlanWarning
from dpc_lightning.loops.purchase_loop import CLOCK_STOP, PurchaseLoop
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, weights, words
from tests.test_resume import Stop, stop_at_call

STEP, VALIDATION, IMAGE, PICK = 0.1, 0.5, 0.01, 0.3
"""Seconds that a training step, a validation, the scoring of an image and a pick take on the clock of these tests."""
AUTO = (
    "--purchase.rounds=auto",
    "--purchase.round_epochs=2",
    "--evaluate.epochs=1",
    "--trainer.check_val_every_n_epoch=4",
)


class WorkClock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slower: Callable[[], float] = lambda: 1.0

    def __call__(self) -> float:
        return self.now

    def moved_by(self, function: Callable[..., Any], seconds: Callable[..., float]) -> Callable[..., Any]:
        @wraps(function)
        def moved(*args: Any, **kwargs: Any) -> Any:
            self.now += seconds(*args)
            return function(*args, **kwargs)

        return moved


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WorkClock:
    """A clock that training, validating, scoring and picking move."""
    clock = WorkClock()
    defaults = ComputeBudget.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "clock", clock)
    work: list[tuple[type, str, Callable[..., float]]] = [
        (MultiLabelClassifier, "training_step", lambda *_: STEP * clock.slower()),
        (MultiLabelClassifier, "on_validation_epoch_end", lambda *_: VALIDATION),
        (
            MultiLabelClassifier,
            "score_batch",
            lambda module, images: 0.0 if torch.is_grad_enabled() else IMAGE * len(images),
        ),
        (ExpectedGain, "_pick", lambda *_: PICK),
    ]
    for owner, name, seconds in work:
        monkeypatch.setattr(owner, name, clock.moved_by(getattr(owner, name), seconds))
    return clock


def events(run_dir: Path, kind: str) -> list[dict[str, Any]]:
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        return ledger.events(kind)


def test_the_seconds_are_used_and_not_exceeded(small_root: Path, tmp_path: Path, clock: WorkClock) -> None:
    summary = fit(small_root, tmp_path / "run", *AUTO, "--purchase.seconds=12", "--purchase.pretrain_epochs=8")
    assert summary["labels_bought"] == 12
    assert 0.85 * 12 <= summary["compute_spent_s"] <= 12 + STEP + VALIDATION
    assert summary["rounds"] == len([name for name in summary["phases"] if name["name"].startswith("round")]) > 1
    spent = summary["compute_spent_on_s"]
    assert sum(spent.values()) == pytest.approx(summary["compute_spent_s"], abs=0.01)
    assert spent["pick"] == pytest.approx(summary["rounds"] * PICK, abs=0.01)
    assert [plan["rounds_done"] for plan in summary["plans"]] == list(range(summary["rounds"]))
    assert summary["plans"][-1]["round_epochs"] == [0]
    assert summary["rounds_planned"] == "auto"


def test_more_seconds_give_more_rounds_then_more_epochs(small_root: Path, tmp_path: Path, clock: WorkClock) -> None:
    limits = ("--purchase.max_rounds=3", "--purchase.max_round_epochs=9", "--purchase.pretrain_epochs=2")
    rounds, epochs = [], []
    for seconds in (3, 8, 16, 90):
        summary = fit(small_root, tmp_path / str(seconds), *AUTO, *limits, f"--purchase.seconds={seconds}")
        rounds.append(summary["rounds"])
        epochs.append(max(phase["epochs"] for phase in summary["phases"] if phase["name"].startswith("round")))
    assert rounds == sorted(rounds)
    assert (rounds[0], rounds[-1]) == (1, 3)
    assert (epochs[0], epochs[-1]) == (0, 9)


def test_only_the_images_that_the_rule_wants_scored_are_planned_for(
    small_root: Path, tmp_path: Path, clock: WorkClock
) -> None:
    expected = {}
    for wants in ("all", "third"):
        rule = ("--purchase.acquisition=tests.loops.probes.Fussy", f"--purchase.acquisition.wants={wants}")
        one = ("--purchase.max_rounds=1", "--purchase.pretrain_epochs=2", "--purchase.seconds=30")
        fit(small_root, tmp_path / wants, *AUTO, *one, *rule)
        expected[wants] = events(tmp_path / wants, PLAN)[0]["seconds"]
    assert expected == {"all": pytest.approx(1.5 * 50 * IMAGE), "third": pytest.approx(1.5 * 17 * IMAGE)}


def test_the_owned_images_that_the_rule_wants_to_know_are_planned_for(
    small_root: Path, tmp_path: Path, clock: WorkClock
) -> None:
    """40 images are owned and 50 in the pool: with each purchase the first become more, the second fewer."""
    rule = ("--purchase.acquisition=KCenter", "--purchase.max_rounds=2", "--purchase.max_round_epochs=2")
    summary = fit(small_root, tmp_path / "run", *AUTO, *rule, "--purchase.pretrain_epochs=2", "--purchase.seconds=30")
    first, second = events(tmp_path / "run", PLAN)
    training = summary["compute_spent_on_s"]["train"]
    assert first["seconds"] == pytest.approx(2 * 1.5 * 90 * IMAGE + training, rel=0.05)
    assert second["seconds"] == pytest.approx(90 * IMAGE)
    trial = 50 * IMAGE  # it scores a few batches of the pool, which here are all of it
    assert summary["compute_spent_on_s"]["score"] == pytest.approx(trial + 2 * 90 * IMAGE)


def test_pretraining_takes_half_of_the_budget_at_most_and_its_rate_comes_down(
    small_root: Path, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    step = MultiLabelClassifier.training_step

    @wraps(step)
    def noted(module: MultiLabelClassifier, *args: Any) -> Any:
        if module.phase == "pretrain":
            rates.append(module.trainer.optimizers[0].param_groups[0]["lr"])
        return step(module, *args)

    monkeypatch.setattr(MultiLabelClassifier, "training_step", noted)
    summary = fit(small_root, tmp_path / "run", *AUTO, "--purchase.seconds=10", "--purchase.pretrain_epochs=90")
    epochs = summary["phases"][0]["epochs"]
    assert events(tmp_path / "run", PRETRAIN_PLAN)[-1]["epochs"] == epochs
    assert 10 < epochs < 25
    assert summary["compute_spent_on_s"]["pretrain"] <= 5 + VALIDATION
    assert rates[-1] < 0.02 * max(rates)


def test_steps_slowed_at_random_change_nothing_of_that(small_root: Path, tmp_path: Path, clock: WorkClock) -> None:
    chance = np.random.default_rng(5)
    clock.slower = lambda: float(chance.choice([0.5, 1.0, 4.0]))
    summary = fit(small_root, tmp_path / "run", *AUTO, "--purchase.seconds=15", "--purchase.pretrain_epochs=8")
    assert 0.85 * 15 <= summary["compute_spent_s"] <= 15 + 4 * STEP + VALIDATION
    assert summary["labels_bought"] == 12


@pytest.mark.parametrize(("spend_all", "bought"), [("true", 12), ("false", 0)])
@pytest.mark.filterwarnings("ignore:The plan will not fit")
def test_a_stop_within_an_epoch_spends_the_labels_that_are_left(
    small_root: Path, tmp_path: Path, clock: WorkClock, spend_all: str, bought: int
) -> None:
    settings = ("--purchase.seconds=3", "--purchase.pretrain_epochs=40", f"--purchase.spend_all={spend_all}")
    summary = fit(small_root, tmp_path / "run", *settings, "--evaluate.epochs=1")
    stop = events(tmp_path / "run", CLOCK_STOP)
    assert [event["phase"] for event in stop] == ["pretrain"]
    assert summary["labels_bought"] == bought
    assert summary["compute_budget_exhausted"]
    assert [plan["reason"] for plan in summary["plans"]] == ["clock"]
    assert [phase["name"] for phase in summary["phases"]] == ["pretrain", *["round_1"] * (bought > 0), "evaluate"]
    assert summary["compute_spent_s"] <= 3 + STEP + VALIDATION
    assert summary["compute_spent_s"] >= 3 - STEP - (VALIDATION + 50 * IMAGE * 1.5 if bought else 0)


def test_a_fixed_plan_that_will_not_fit_is_said_while_pretraining(
    small_root: Path, tmp_path: Path, clock: WorkClock
) -> None:
    with pytest.warns(PlanWarning, match=r"need about \d+\.\d s on this machine, but `purchase.seconds` is 5"):
        fit(small_root, tmp_path / "run", "--purchase.seconds=5", "--purchase.pretrain_epochs=30")
    fit(small_root, tmp_path / "fits", "--purchase.seconds=50")  # a warning would be an error
    fit(
        small_root, tmp_path / "nothing", "--purchase.seconds=0.6", "--purchase.labels=0"
    )  # no rounds, so no time for them


def test_batches_that_wait_for_others_cost_what_they_cost(small_root: Path, tmp_path: Path, clock: WorkClock) -> None:
    settings = ("--trainer.accumulate_grad_batches=4", "--model.batch_size=4", "--purchase.pretrain_epochs=2")
    summary = fit(small_root, tmp_path / "run", *AUTO, *settings, "--purchase.seconds=12")
    assert 0.85 * 12 <= summary["compute_spent_s"] <= 12 + STEP + VALIDATION
    planned = len(summary["plans"][0]["round_epochs"])
    assert abs(planned - summary["rounds"]) <= 1


def test_pretraining_is_paid_for_where_only_training_is_free(
    small_root: Path, tmp_path: Path, clock: WorkClock
) -> None:
    covers = "--purchase.seconds_cover=[pretrain, score, pick, buy]"
    limits = (covers, "--purchase.pretrain_epochs=60", "--purchase.max_round_epochs=4", "--purchase.max_rounds=2")
    summary = fit(small_root, tmp_path / "run", *AUTO, *limits, "--purchase.seconds=8")
    assert summary["compute_spent_on_s"]["pretrain"] <= 4 + VALIDATION
    assert summary["phases"][1]["epochs"] == 4  # training is free, so it gets all that it may have


@pytest.mark.filterwarnings("ignore:The plan will not fit")
def test_a_last_purchase_that_does_not_fit_is_left_out_where_labels_may_stay(
    small_root: Path, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ExpectedGain, "_pick", clock.moved_by(ExpectedGain._pick, lambda *_: 3.0))
    settings = ("--purchase.seconds=7", "--purchase.spend_all=false", "--evaluate.epochs=1")
    summary = fit(small_root, tmp_path / "run", *settings)
    assert summary["labels_bought"] == 6
    assert summary["compute_spent_s"] <= 7


@pytest.mark.filterwarnings("ignore:The plan will not fit")
@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_stop_that_was_noted_is_replayed_at_its_very_batch(
    small_root: Path, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch, accumulate: int
) -> None:
    """Also where checkpoints were lost, and the heartbeat says that all is spent."""
    settings = ("--purchase.seconds=3", "--purchase.pretrain_epochs=40", "--model.batch_size=8", "--evaluate.epochs=1")
    command = (*settings, f"--trainer.accumulate_grad_batches={accumulate}")
    whole = fit(small_root, tmp_path / "whole", *command)
    assert whole["compute_budget_exhausted"]
    with monkeypatch.context() as patch:
        patch.setattr(Planner, "announce", stop_at_call(Planner.announce, 0))
        clock.now = 0.0
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "run", *command))
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    summary = fit(small_root, tmp_path / "run", *command)
    assert summary["compute_budget_exhausted"]
    assert len(events(tmp_path / "run", CLOCK_STOP)) == 1
    assert [phase["epochs"] for phase in summary["phases"]] == [phase["epochs"] for phase in whole["phases"]]
    for phase in ("pretrain", "evaluate"):
        assert weights(tmp_path / "run", phase) == weights(tmp_path / "whole", phase)


def test_a_phase_that_an_earlier_start_went_on_from_is_not_stopped_anew(
    small_root: Path, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ("--purchase.seconds=60", "--evaluate.epochs=1")
    whole = fit(small_root, tmp_path / "whole", *settings)
    with monkeypatch.context() as patch:
        patch.setattr(PurchaseLoop, "_enter", stop_at_call(PurchaseLoop._enter, 1))  # round 2 is bought
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "run", *settings))
    (tmp_path / "run" / "checkpoints" / "last.ckpt").unlink()
    (tmp_path / "run" / "heartbeat.json").write_text('{"train": 70.0}')  # all is spent
    (tmp_path / "run" / "checkpoints" / "previous.ckpt").rename(tmp_path / "run" / "checkpoints" / "last.ckpt")
    summary = fit(small_root, tmp_path / "run", *settings)
    assert [event["phase"] for event in events(tmp_path / "run", CLOCK_STOP)] in ([], ["round_2"])
    assert weights(tmp_path / "run", "round_1") == weights(tmp_path / "whole", "round_1")
    assert summary["labels_bought"] == whole["labels_bought"] == 12


def test_the_heartbeat_of_another_run_does_not_count(small_root: Path, tmp_path: Path, clock: WorkClock) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "heartbeat.json").write_text('{"pretrain": 60.0}')
    summary = fit(small_root, tmp_path / "run", "--purchase.seconds=50", "--evaluate.epochs=1")
    assert summary["compute_spent_s"] < 20


PLACES = {
    "the first epoch": (MultiLabelClassifier, "training_step", 1),
    "after pretraining was cut": (MultiLabelClassifier, "training_step", 8),
    "scoring of round 1": (MultiLabelClassifier, "score_batch", 1),
    "picking of round 2": (ExpectedGain, "_pick", 1),
    "after the stop was noted": (PurchaseLoop, "_decide", -1),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.filterwarnings("ignore:The plan will not fit")
def test_what_was_decided_before_a_kill_is_replayed(
    small_root: Path, tmp_path: Path, clock: WorkClock, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """The second start finds a clock of its own, which would have decided otherwise."""
    settings: tuple[str, ...] = (*AUTO, "--purchase.seconds=9", "--purchase.pretrain_epochs=60", "--checkpoint_every=3")
    owner, name, number = PLACES[place]
    if number < 0:
        settings = (*settings[1:], "--purchase.pretrain_epochs=80", "--purchase.seconds=4")  # rounds are fixed
        number = 0
    kinds = (PRETRAIN_PLAN, PLAN, CLOCK_STOP, "picks")
    run_dir = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, stop_at_call(getattr(owner, name), number))
        with pytest.raises(Stop):
            main(words(small_root, run_dir, *settings))
    before = {kind: events(run_dir, kind) for kind in kinds}
    clock.slower = lambda: 3.0
    main(words(small_root, run_dir, *settings))
    summary = json.loads((run_dir / "summary.json").read_text())
    after = {kind: events(run_dir, kind) for kind in kinds}
    for kind in kinds:
        assert after[kind][: len(before[kind])] == before[kind]
    assert len({event["after"] for event in after[PLAN]}) == len(after[PLAN])
    assert len({event["round"] for event in after["picks"]}) == len(after["picks"]) == summary["rounds"]
    assert len({event["phase"] for event in after[CLOCK_STOP]}) == len(after[CLOCK_STOP]) <= 1
    assert len({event["epoch"] for event in after[PRETRAIN_PLAN]}) == len(after[PRETRAIN_PLAN])
    if before[PLAN]:
        assert after[PRETRAIN_PLAN] == before[PRETRAIN_PLAN]
    if after[PRETRAIN_PLAN] and not any(event["phase"] == "pretrain" for event in after[CLOCK_STOP]):
        assert summary["phases"][0]["epochs"] == after[PRETRAIN_PLAN][-1]["epochs"]
    assert summary["labels_bought"] == 12
    assert weights(run_dir, "evaluate")
