"""The cost meter: what it books where, on a clock that the test sets."""

from typing import Any, cast

import numpy as np
import pytest
from lightning.pytorch import LightningModule, Trainer

from dpc_lightning.callbacks.cost_meter import CostMeter
from dpc_lightning.callbacks.phase_callback import PurchaseRecord
from dpc_lightning.purchase.plan import Phase

HERE: tuple[Any, Any] = (cast("Trainer", None), cast("LightningModule", None))


class Clock:
    now = 50.0

    def __call__(self) -> float:
        return self.now


def record(*, replayed: bool = False, scored: int | None = 100) -> PurchaseRecord:
    indices = np.arange(5)
    scores, labels = np.zeros(5, np.float32), np.zeros((5, 2), np.uint8)
    return PurchaseRecord(1, indices, scores, labels, 100, scored, 0, 2.0, 3.0, 0.5, replayed)


def test_each_second_is_booked_once() -> None:
    clock = Clock()
    meter = CostMeter(clock=clock)
    assert meter.costs is None
    meter.on_phase_start(*HERE, Phase(0, "pretrain", 2))
    clock.now += 4  # checkpoint, loaders
    for _ in range(2):
        meter.on_train_epoch_start(*HERE)
        for _ in range(3):
            clock.now += 0.25
            meter.on_train_batch_end(*HERE)
        meter.on_validation_start(*HERE)
        clock.now += 2
        meter.on_validation_end(*HERE)
        clock.now += 0.5  # checkpoint
    meter.on_phase_end(*HERE, Phase(0, "pretrain", 2))
    costs = meter.costs
    assert costs is not None
    assert (costs.step, costs.epoch, costs.validation, costs.phase) == (0.25, 0.5, 2, 4)
    clock.now += 7
    meter.on_round_start(*HERE, Phase(1, "round", 1, 1))
    clock.now += 5.5 + 1  # the purchase, and one second for new optimizers
    meter.on_purchase(*HERE, record())
    meter.on_phase_start(*HERE, Phase(1, "round", 1, 1))
    clock.now += 1
    meter.on_train_epoch_start(*HERE)
    costs = meter.costs
    assert costs is not None
    assert costs.phase == (4 + 2) / 2
    assert (costs.score, costs.score_image, costs.buy) == (0, 0.02, 0.5)
    assert costs.pick == pytest.approx(3.0 / 500)


def test_a_trial_counts_until_the_first_purchase_and_a_replayed_one_says_nothing() -> None:
    clock = Clock()
    meter = CostMeter(clock=clock)
    meter.note_scoring(1.0, 0.25)
    meter.expect_validation(9.0)
    meter.on_train_batch_end(*HERE)
    meter.on_purchase(*HERE, record(replayed=True))
    costs = meter.costs
    assert costs is not None
    assert (costs.score, costs.score_image, costs.pick, costs.validation) == (1.0, 0.25, None, 9.0)


@pytest.mark.parametrize(
    ("scored", "start", "image"),
    [(100, 0, 0.02), (20, 0, 0.1), (0, 2.0, 0), (None, 1.0, 0.25)],
    ids=["the pool", "a part", "nothing of the pool", "the rest of what was begun"],
)
def test_the_images_count_that_were_scored(scored: int | None, start: float, image: float) -> None:
    meter = CostMeter(clock=Clock())
    meter.note_scoring(1.0, 0.25)
    meter.on_train_batch_end(*HERE)
    meter.on_purchase(*HERE, record(scored=scored))
    costs = meter.costs
    assert costs is not None
    assert (costs.score, costs.score_image) == (start, image)


def test_what_was_measured_survives_a_resume() -> None:
    clock = Clock()
    first, second = CostMeter(clock=clock), CostMeter(clock=clock)
    first.note_scoring(1.0, 0.25)
    first.on_train_epoch_start(*HERE)
    clock.now += 0.5
    first.on_train_batch_end(*HERE)
    second.load_state_dict(first.state_dict())
    assert second.costs == first.costs
    assert second.steps == 1
