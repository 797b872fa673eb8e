"""The loop of the run: phases, budgets, and what a second start takes up."""

import csv
import shutil
from pathlib import Path

import pytest

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.loops.purchase_loop import CLOCK_STOP, PurchaseLoop
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import fit, purchases, weights, words
from tests.test_resume import Stop, stop_at_call

SHORT = ("--purchase.pretrain_epochs=1", "--evaluate.epochs=1")


def events(run_dir: Path, kind: str) -> list[dict[str, object]]:
    with Ledger.read(run_dir / "ledger.sqlite") as ledger:
        return ledger.events(kind)


@pytest.mark.filterwarnings("ignore:The plan will not fit")
def test_a_stop_of_the_clock_is_kept_and_a_second_start_does_not_buy_after_it(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the stop was noted: the checkpoint before it has spent less, and would buy."""
    settings = (*SHORT, "--purchase.seconds=0.0001", "--purchase.spend_all=false")
    with monkeypatch.context() as patch:
        patch.setattr(RunCheckpoint, "on_phase_end", lambda *_: None)
        patch.setattr(PurchaseLoop, "_enter", stop_at_call(PurchaseLoop._enter, 0))
        with pytest.raises(Stop):
            main(words(small_root, tmp_path / "run", *settings))
    assert [event["phase"] for event in events(tmp_path / "run", CLOCK_STOP)] == ["pretrain"]
    monkeypatch.setattr("dpc_lightning.callbacks.compute_budget.ComputeBudget.check", lambda *_: False)
    summary = fit(small_root, tmp_path / "run", *settings)
    assert summary["labels_bought"] == 0
    assert len(events(tmp_path / "run", CLOCK_STOP)) == 1


@pytest.mark.parametrize("labels", [0, 50], ids=["nothing", "all"])
def test_the_table_of_purchases_is_there_whatever_was_bought(small_root: Path, tmp_path: Path, labels: int) -> None:
    fit(small_root, tmp_path / "run", *SHORT, f"--purchase.labels={labels}", "--purchase.acquisition=Random")
    assert len(purchases(tmp_path / "run")) == labels
    with (tmp_path / "run" / "purchases.csv").open(newline="") as stream:
        assert next(csv.reader(stream))[:5] == ["order", "round", "index", "image", "score"]


def test_an_empty_pool_is_a_run_without_purchases(small_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(small_root, root, ignore=shutil.ignore_patterns("sheets.json", ".cache"))
    for image in (root / "unlabelled" / "images").iterdir():
        image.unlink()
    labels = root / "unlabelled" / "labels.csv"
    labels.write_text(labels.read_text().splitlines()[0] + "\n")
    summary = fit(root, tmp_path / "run", *SHORT)
    assert (summary["labels_bought"], summary["images"]["pool"]) == (0, 0)
    assert [phase["name"] for phase in summary["phases"]] == ["pretrain", "evaluate"]


def test_rounds_start_afresh_where_the_plan_says_so(small_root: Path, tmp_path: Path) -> None:
    settings = (*SHORT, "--purchase.acquisition=Random", "--purchase.round_epochs=0")
    for start in ("continue", "fresh"):
        fit(small_root, tmp_path / start, *settings, f"--purchase.round_start={start}")
    phases = ("pretrain", "round_1", "round_2")
    assert len({weights(tmp_path / "continue", phase) for phase in phases}) == 1
    assert len({weights(tmp_path / "fresh", phase) for phase in phases}) == 3


def test_the_ledger_is_free_again_after_an_error_in_any_place(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, step in enumerate(("training_step", "_collect", "score_batch")):
        with monkeypatch.context() as patch:
            patch.setattr(MultiLabelClassifier, step, stop_at_call(getattr(MultiLabelClassifier, step), 0))
            with pytest.raises(Stop) as caught:
                main(words(small_root, tmp_path / str(number), *SHORT))
            # the traceback in `caught` keeps all objects of the run alive: nothing is closed by their end
            assert main(words(small_root, tmp_path / str(number), *SHORT)) == 0, caught
