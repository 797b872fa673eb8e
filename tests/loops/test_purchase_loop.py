"""The loop of the run: phases, budgets, and what a second start takes up."""

import csv
import shutil
from pathlib import Path
from unittest.mock import ANY

import pytest
import torch

from dpc_lightning.__main__ import main
from dpc_lightning.callbacks.run_checkpoint import RunCheckpoint
from dpc_lightning.loops.purchase_loop import CLOCK_STOP, PurchaseLoop
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.plan import Phase
from tests.small_run import fit, purchases, words
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


@pytest.mark.parametrize("start", ["continue", "fresh"])
def test_rounds_start_afresh_where_the_plan_says_so(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    begun: dict[str, float] = {}
    announce = PurchaseLoop._announce

    def noted(loop: PurchaseLoop, phase: Phase) -> None:
        begun[phase.name] = sum(float(value.detach().double().sum()) for value in loop._module.network.parameters())
        announce(loop, phase)

    monkeypatch.setattr(PurchaseLoop, "_announce", noted)
    settings = ("--purchase.acquisition=Random", "--purchase.seconds=900", f"--purchase.round_start={start}")
    fit(small_root, tmp_path / "run", *SHORT, *settings, "--purchase.rounds=auto", "--purchase.max_rounds=2")
    assert list(begun) == ["pretrain", "round_1", "round_2", "evaluate"]
    pretrained, trained = weight_sum(tmp_path / "run", "pretrain"), weight_sum(tmp_path / "run", "round_1")
    assert (begun["round_1"] == pretrained) == (start == "continue")
    assert begun["round_2"] == trained  # it trains nothing, so nothing is begun
    assert len({*begun.values()}) == 4


def weight_sum(run_dir: Path, phase: str) -> float:
    weights = torch.load(run_dir / "checkpoints" / f"{phase}.ckpt", weights_only=True)["state_dict"]
    parameters = dict(weights)
    for name in weights:
        if name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            del parameters[name]
    return sum(float(value.double().sum()) for value in parameters.values())


EARLY = "[{class_path: EarlyStopping, init_args: {monitor: val/loss, patience: 1, min_delta: 1000.0}}]"


def test_an_early_stop_is_kept_however_often_people_are_asked(small_root: Path, tmp_path: Path) -> None:
    settings = ("--purchase.oracle=FilesOracle", "--purchase.rounds=1", f"--trainer.callbacks={EARLY}")
    epochs = ("--purchase.pretrain_epochs=9", "--trainer.check_val_every_n_epoch=1")
    steps = []
    for _ in range(3):
        assert main(words(small_root, tmp_path / "run", *settings, *epochs)) == 3
        steps.append(torch.load(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)["global_step"])
    assert steps == [4, 4, 4]


def test_a_pool_with_fewer_images_than_rounds_goes_on_within_its_evaluation(
    small_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    shutil.copytree(small_root, root, ignore=shutil.ignore_patterns("sheets.json", ".cache"))
    table = (root / "unlabelled" / "labels.csv").read_text().splitlines()
    for row in table[4:]:
        (root / "unlabelled" / "images" / row.split(",")[0]).unlink()
    (root / "unlabelled" / "labels.csv").write_text("\n".join(table[:4]) + "\n")
    settings = ("--purchase.rounds=5", "--purchase.pretrain_epochs=1", "--purchase.round_epochs=0")
    with monkeypatch.context() as patch:
        patch.setattr(MultiLabelClassifier, "training_step", stop_at_call(MultiLabelClassifier.training_step, 4))
        with pytest.raises(Stop):  # in the second epoch of the evaluation
            main(words(root, tmp_path / "run", *settings))
    summary = fit(root, tmp_path / "run", *settings)
    assert [phase["name"] for phase in summary["phases"]] == ["pretrain", "round_1", "round_2", "round_3", "evaluate"]
    assert summary["phases"][-1]["epochs"] == 2
    assert summary["plans"] == [
        {"rounds_done": 3, "round_epochs": [], "reason": "all bought", "expected_s": 0.0, "spent_s": ANY}
    ]


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
