"""What a phase is: own epochs, optimizers and data, one fit; and that a resumed fit is the uninterrupted one."""

from pathlib import Path

import pytest

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
