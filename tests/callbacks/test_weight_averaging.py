"""The moving average: what it is, who sees it, and that it neither bleeds nor gets lost."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from dpc_lightning.__main__ import main
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.callbacks.probes import State, Weights
from tests.small_run import fit, weights, words
from tests.test_resume import PHASES, Stop, stop_at_call

DECAY = 0.6
SETTINGS = (
    f"--model.average_decay={DECAY}",
    f"--evaluate.average_decay={DECAY}",
    "--trainer.check_val_every_n_epoch=1",
)
PROBE = "--trainer.callbacks+=tests.callbacks.probes.Weights"


def averaged(states: list[State]) -> State:
    """The average by its definition, in float64."""
    result = {name: value.double() for name, value in states[0].items()}
    for state in states[1:]:
        for name, value in state.items():
            if value.is_floating_point():
                result[name] = DECAY * result[name] + (1 - DECAY) * value.double()
    return result


def same(found: State, expected: State) -> bool:
    return all(
        torch.allclose(found[name].double(), value.double(), atol=1e-5)
        for name, value in expected.items()
        if found[name].is_floating_point()
    )


def in_checkpoint(file: Path) -> State:
    state: State = torch.load(file, weights_only=True)["state_dict"]
    return {name.removeprefix("network."): value for name, value in state.items() if name.startswith("network.")}


def test_a_phase_ends_with_the_average_of_its_own_steps_and_validates_with_it(small_root: Path, tmp_path: Path) -> None:
    fit(small_root, tmp_path / "run", *SETTINGS, PROBE)
    for phase in PHASES:
        expected = averaged(Weights.trained[phase])
        final = in_checkpoint(tmp_path / "run" / "checkpoints" / f"{phase}.ckpt")
        assert same(final, expected)
        assert not same(final, Weights.trained[phase][-1])
        for steps, seen in Weights.validated[phase]:
            assert same(seen, averaged(Weights.trained[phase][:steps]))


def test_training_goes_on_with_the_plain_weights(small_root: Path, tmp_path: Path) -> None:
    fit(small_root, tmp_path / "with", *SETTINGS, PROBE)
    with_average = Weights.trained["pretrain"]
    fit(small_root, tmp_path / "without", "--trainer.check_val_every_n_epoch=1", PROBE)
    assert all(same(*pair) for pair in zip(with_average, Weights.trained["pretrain"], strict=True))
    assert not any(same(*pair) for pair in pairwise(with_average))  # the comparison sees a single step
    # without the setting nothing is averaged
    assert all(same(seen, Weights.trained["pretrain"][steps - 1]) for steps, seen in Weights.validated["pretrain"])
    last: dict[str, Any] = torch.load(tmp_path / "without" / "checkpoints" / "last.ckpt", weights_only=True)
    assert "plain_weights" not in last


@pytest.mark.parametrize("batch", [3, 10], ids=["pretrain", "evaluate"])
def test_a_resume_within_a_phase_ends_as_an_uninterrupted_run(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    fit(small_root, tmp_path / "whole", *SETTINGS)
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, batch))
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "cut", *SETTINGS))
    assert "plain_weights" in torch.load(tmp_path / "cut" / "checkpoints" / "last.ckpt", weights_only=True)
    fit(small_root, tmp_path / "cut", *SETTINGS)
    assert [weights(tmp_path / "cut", phase) for phase in PHASES] == [
        weights(tmp_path / "whole", phase) for phase in PHASES
    ]


def test_the_best_file_of_a_stock_checkpoint_holds_the_weights_that_were_validated(
    small_root: Path, tmp_path: Path
) -> None:
    best = ("--trainer.callbacks+=ModelCheckpoint", "--trainer.callbacks.monitor=val/map")
    place = (f"--trainer.callbacks.dirpath={tmp_path / 'best'}", "--trainer.callbacks.save_top_k=-1")
    fit(small_root, tmp_path / "run", *SETTINGS, PROBE, *best, *place)
    files = sorted((tmp_path / "best").glob("*.ckpt"))
    assert len(files) >= len(PHASES)
    seen = [state for phase in PHASES for _, state in Weights.validated[phase]]
    assert all(any(same(in_checkpoint(file), state) for state in seen) for file in files)
