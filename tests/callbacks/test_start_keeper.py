"""A start model that is handed on makes no difference."""

import shutil
from pathlib import Path

from tests.small_run import fit, metrics, purchases, weights

KEEPER = "--trainer.callbacks+=dpc_lightning.callbacks.StartKeeper"


def test_a_run_that_begins_with_the_start_model_of_another_is_the_run_that_trains_it_itself(
    finished_run: tuple[Path, Path], tmp_path: Path
) -> None:
    root, whole = finished_run
    kept = tmp_path / "kept"
    more = ("--purchase.labels=0", "--purchase.acquisition=Random", "--evaluate.epochs=1")
    fit(root, tmp_path / "start", *more, KEEPER, f"--trainer.callbacks.folder={kept}")
    assert sorted(str(file.relative_to(kept)) for file in kept.rglob("*.*")) == [
        "checkpoints/last.ckpt",
        "metrics.csv",
        "weights.ckpt",
    ]
    shutil.copytree(kept, tmp_path / "run")
    summary = fit(root, tmp_path / "run")
    assert purchases(tmp_path / "run") == purchases(whole)
    for phase in ("round_1", "round_2", "evaluate"):
        assert weights(tmp_path / "run", phase) == weights(whole, phase)
    scores = ("val/f1_macro", "val/map", "train/loss")
    assert [[row.get(name) for name in scores] for row in metrics(tmp_path / "run")] == [
        [row.get(name) for name in scores] for row in metrics(whole)
    ]
    assert summary["phases"][0]["epochs"] == 2  # the start model's pretraining is this run's too
    assert summary["compute_spent_on_s"]["pretrain"] > 0
