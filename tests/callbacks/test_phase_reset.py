"""Stock callbacks named in YAML start anew in every phase, and a resume takes up what they knew."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from dpc_lightning.__main__ import main
from dpc_lightning.models.classifier import MultiLabelClassifier
from tests.small_run import metrics, words
from tests.test_resume import Stop, stop_at_call

PHASES = ("pretrain", "round_1", "round_2", "evaluate")


def command(root: Path, folder: Path) -> list[str]:
    """A run whose validation never gets better after the first, and which keeps the best of each phase."""
    settings = {
        "trainer": {
            "check_val_every_n_epoch": 1,
            "callbacks": [
                {"class_path": "EarlyStopping", "init_args": {"monitor": "val/loss", "patience": 2, "min_delta": 1e3}},
                {
                    "class_path": "ModelCheckpoint",
                    "init_args": {
                        "monitor": "val/map",
                        "mode": "max",
                        "dirpath": str(folder / "best"),
                        "filename": "{step}",
                        "save_last": True,
                    },
                },
            ],
        },
        "purchase": {"pretrain_epochs": 6, "round_epochs": 6},
        "evaluate": {"epochs": 6},
    }
    file = folder / "stock.yaml"
    folder.mkdir(exist_ok=True)
    file.write_text(yaml.safe_dump(settings))
    small = [word for word in words(root, folder / "run") if "epochs" not in word]
    return [*small, "--config", str(file)]


def epochs(folder: Path) -> dict[str, int]:
    summary = json.loads((folder / "run" / "summary.json").read_text())
    return {phase["name"]: phase["epochs"] for phase in summary["phases"]}


def best_by_phase(folder: Path) -> dict[str, float]:
    """The best score that each phase reached, by the run's own metrics."""
    rows = [row for row in metrics(folder / "run") if row["val/map"]]
    return {phase: max(float(row["val/map"]) for row in rows if row["phase"] == phase) for phase in PHASES}


def kept(folder: Path) -> list[tuple[int, float]]:
    """Step and score of each file that the model checkpoint kept."""
    found = []
    for file in (folder / "best").glob("step=*.ckpt"):
        state: dict[str, Any] = torch.load(file, weights_only=True)
        (callback,) = (value for key, value in state["callbacks"].items() if key.startswith("ModelCheckpoint"))
        assert Path(callback["best_model_path"]).name == file.name
        found.append((int(state["global_step"]), float(callback["best_model_score"])))
    return sorted(found)


def test_patience_counts_anew_and_each_phase_keeps_its_best(small_root: Path, tmp_path: Path) -> None:
    assert main(command(small_root, tmp_path)) == 0
    assert epochs(tmp_path) == dict.fromkeys(PHASES, 3)
    assert [score for _, score in kept(tmp_path)] == pytest.approx(list(best_by_phase(tmp_path).values()))
    assert [file.name for file in (tmp_path / "best").glob("last*")] == ["last.ckpt"]


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")  # as it is on a resume
@pytest.mark.parametrize("batch", [3, 9], ids=["pretrain", "round_1"])
def test_a_resume_goes_on_with_what_they_knew(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Stopped in the second epoch of a phase: patience goes on from one, and the best so far is remembered."""
    assert main(command(small_root, tmp_path / "whole")) == 0
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, batch))
        with pytest.raises(Stop):
            main(command(small_root, tmp_path / "cut"))
    assert main(command(small_root, tmp_path / "cut")) == 0
    assert epochs(tmp_path / "cut") == dict.fromkeys(PHASES, 3)
    assert kept(tmp_path / "cut") == kept(tmp_path / "whole")
