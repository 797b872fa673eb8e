"""What a phase is: own epochs, optimizers and data, one fit; and that a resumed fit is the uninterrupted one."""

from pathlib import Path

import pytest

from dpc_lightning.data.samplers import EpochBatches
from tests.loops.phases import PHASES, STEPS, batches_by_phase, run


def test_each_phase_trains_its_own_data_with_its_own_optimizer_in_one_fit(tmp_path: Path) -> None:
    loop, recorder, _, trainer = run(tmp_path)
    assert list(batches_by_phase(recorder)) == [(12, "AdamW"), (16, "AdamW"), (18, "AdamW"), (18, "SGD")]
    assert recorder.hooks == {
        "setup": 1,
        "on_fit_start": 1,
        "on_train_start": 4,
        "on_train_end": 4,
        "on_fit_end": 1,
        "teardown": 1,
    }
    assert [step for _, _, step in recorder.batches] == list(range(sum(STEPS)))
    assert trainer.global_step == sum(STEPS)
    assert [name for name, _ in loop.ended] == [name for name, _, _ in PHASES]


def test_the_plan_decides_about_epochs_not_the_trainer(tmp_path: Path) -> None:
    _, recorder, _, _ = run(tmp_path, max_epochs=1)
    assert len(recorder.batches) == sum(STEPS)


def test_a_stop_ends_the_phase_and_not_the_fit(tmp_path: Path) -> None:
    loop, recorder, _, _ = run(tmp_path, limit_train_batches=3)
    assert [count for count, _ in batches_by_phase(recorder)] == [6, 6, 6, 6]
    loop.trainer.should_stop = True
    loop._clear()
    assert loop.trainer.should_stop is False


def test_state_is_restored_in_the_order_that_ownership_relies_on(tmp_path: Path) -> None:
    run(tmp_path, save_every=5, fail_before=33)
    _, _, trace, _ = run(tmp_path, resume=True)
    first = [step for place, step in enumerate(trace) if step not in trace[:place]]
    assert first[:5] == [
        "datamodule.setup",
        "module.on_load_checkpoint",
        "datamodule.load_state_dict",
        "configure_optimizers",
        "train_dataloader",
    ]
    assert trace.index("configure_optimizers") < trace.index("fit_loop.on_load_checkpoint")
    assert "first_phase" not in trace


@pytest.mark.parametrize(
    ("save_every", "fail_before"),
    [(2, 3), (2, 11), (2, 17), (2, 29), (2, 47), (5, 55), (-1, 13), (-1, 29), (-1, 56)],
    ids=str,
)
def test_a_resumed_fit_ends_every_phase_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, save_every: int, fail_before: int
) -> None:
    whole, _, _, _ = run(tmp_path / "whole")
    run(tmp_path / "cut", save_every=save_every, fail_before=fail_before)
    rest, recorder, _, _ = run(tmp_path / "cut", resume=True)
    assert rest.resumed
    assert recorder.batches[0][2] <= fail_before
    assert rest.ended == whole.ended[-len(rest.ended) :]


def test_the_comparison_can_fail_with_an_impure_batch_order(tmp_path: Path) -> None:
    """The control: a loader that shuffles by global state does not resume to the same weights."""
    whole, _, _, _ = run(tmp_path / "whole", impure=True)
    run(tmp_path / "cut", save_every=2, fail_before=17, impure=True)
    rest, _, _, _ = run(tmp_path / "cut", resume=True, impure=True)
    assert rest.ended != whole.ended[-len(rest.ended) :]


@pytest.mark.parametrize(
    ("before", "stop", "now", "first", "rest"),
    [
        (2, 1, 1, 2, 4 + 6),  # 8 of 24 images are done: the third of six steps of 4 is next
        (2, 4, 1, 2, 4),  # the same in the second epoch
        (2, 3, 1, 0, 6),  # the checkpoint is of the last step of an epoch, so the next one begins
        (1, 5, 2, 2, 1 + 3),  # 20 of 24: step 2 of three of 8 has begun, and is done again in part
        (1, 1, 2, 0, 3 + 3),  # less than a step of both: the epoch begins anew
        (1, 7, 2, 0, 3),  # the same in the second epoch
        (4, 1, 2, 2, 1 + 3),
        (2, 2, 4, 1, 1 + 2),
        (1, 3, 3, 1, 1 + 2),
        (2, 2, 2, 2, 1 + 3),
    ],
    ids=str,
)
def test_within_an_epoch_it_goes_on_with_another_number_of_ranks(
    tmp_path: Path, before: int, stop: int, now: int, first: int, rest: int
) -> None:
    """This process stands for rank 0 of several: it has as many steps as any, and an own share of the images."""
    run(tmp_path, save_every=1, fail_before=stop, ranks=before)
    loop, recorder, _, _ = run(tmp_path, resume=True, ranks=now)
    assert recorder.places[0] == first
    steps = [count for count, _ in batches_by_phase(recorder)]
    lengths = [len(EpochBatches(rows, 4, seed=3, phase=0, world_size=now)) for _, _, rows in PHASES]
    assert steps == [rest, *(epochs * each for (_, epochs, _), each in zip(PHASES[1:], lengths[1:], strict=True))]
    per_epoch = lengths[0]
    ends = [stop + at for at in range(rest, 0, -per_epoch)]
    assert recorder.validated[: len(ends)] == ends[::-1]  # one validation at the end of each epoch
    assert loop.rates == pytest.approx([1e-4] * len(PHASES))  # and the schedule ends with the phase


def test_a_schedule_that_goes_on_where_it_was_is_not_touched(tmp_path: Path) -> None:
    run(tmp_path, save_every=1, fail_before=9)
    loop, _, _, trainer = run(tmp_path, resume=True)
    assert loop.rates == pytest.approx([1e-4] * len(PHASES))
    schedule = trainer.lr_scheduler_configs[0].scheduler
    assert schedule.last_epoch == STEPS[-1]
