"""`summary.json`: the result of a run, in numbers."""

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from dpc_lightning import __version__
from dpc_lightning.atomic import write_text
from dpc_lightning.callbacks.phase_records import PhaseRecords
from dpc_lightning.data.datamodule import PurchaseDataModule
from dpc_lightning.errors import RunDirError
from dpc_lightning.loops.buyer import START_MODEL
from dpc_lightning.loops.planner import PLAN
from dpc_lightning.models.classifier import MultiLabelClassifier
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.run_dir import RunDir
from dpc_lightning.trainer import PurchaseTrainer

__all__ = ["cut_short_by", "write_summary"]

PACKAGES = ("lightning", "torch", "torchvision", "timm", "torchmetrics", "albumentations", "numpy")


def write_summary(
    run_dir: RunDir, trainer: PurchaseTrainer, module: MultiLabelClassifier, data: PurchaseDataModule
) -> None:
    """Write the summary of a finished run; it is the last file that a run writes.

    Args:
        run_dir: the folder of the run, with its ledger.
        trainer: the trainer after fit and test.
        module: the tested model.
        data: the data of the run.

    Raises:
        RunDirError: if the file cannot be written, or if the model was not tested.
    """
    scores = module.test_scores
    if scores is None:
        msg = f"Cannot write {run_dir.summary}: the model was not tested."
        raise RunDirError(msg)
    loop = trainer.purchase_loop
    with Ledger.read(run_dir.ledger) as ledger:
        purchases, head = ledger.purchases(), ledger.head
        judged, plans = ledger.events(START_MODEL), ledger.events(PLAN)
    summary = {
        "label_budget": loop.plan.labels,
        "labels_bought": len(purchases.index),
        "compute_budget_s": loop.compute_budget.seconds,
        "compute_spent_s": round(loop.compute_budget.spent, 3),
        "compute_spent_on_s": {name: round(spent, 3) for name, spent in loop.compute_budget.spent_on.items()},
        "compute_budget_exhausted": loop.compute_budget.exhausted,
        "rounds": int(purchases.round.max()) if len(purchases.index) else 0,
        "rounds_planned": loop.plan.rounds,
        "plans": [_plan(event) for event in plans],
        "acquisition": type(loop.plan.acquisition).__name__,
        "start_model_informed": judged[-1]["informed"] if judged else None,
        "test": scores.as_numbers(),
        "seed": loop.seed,
        "classes": list(data.classes),
        "images": {
            "training": len(data.labelled),
            "pool": len(data.pool),
            "validation": len(data.validation),
            "test": len(data.test_set),
        },
        "phases": [asdict(record) | {"seconds": round(record.seconds, 3)} for record in _phase_records(trainer)],
        "ledger_head": head,
        "cut_short_by": cut_short_by(trainer),
        "versions": _versions(),
        "hardware": _hardware(trainer),
    }
    write_text(run_dir.summary, json.dumps(summary, indent=2, allow_nan=False) + "\n")


def _plan(event: Mapping[str, Any]) -> dict[str, Any]:
    """Say what was decided after a phase: epochs of the rounds to come, why, and the seconds then spent."""
    done, epochs = int(event["after"]), list(event["rounds"])
    return {
        "rounds_done": done,
        "round_epochs": epochs,
        "reason": event["reason"],
        "expected_s": round(event["seconds"], 3),
        "spent_s": round(event["spent"], 3),
    }


def cut_short_by(trainer: PurchaseTrainer) -> list[str]:
    """Name the trainer's settings that leave images out, with which a run is a trial and no result."""
    whole = {
        "fast_dev_run": not trainer.fast_dev_run,  # type: ignore[attr-defined]
        "overfit_batches": not trainer.overfit_batches,  # type: ignore[attr-defined]
        "limit_train_batches": trainer.limit_train_batches == 1.0,
        "limit_val_batches": trainer.limit_val_batches == 1.0,
        "limit_test_batches": trainer.limit_test_batches == 1.0,
    }
    return [f"trainer.{name}" for name, kept in whole.items() if not kept]


def _phase_records(trainer: PurchaseTrainer) -> list[Any]:
    """Find the records of the phases among the trainer's callbacks."""
    return [record for each in trainer.callbacks if isinstance(each, PhaseRecords) for record in each.records]


def _versions() -> dict[str, str]:
    """Name the versions that a result depends on."""
    own = {"python": platform.python_version(), "dpc_lightning": __version__}
    return own | {name: version(name) for name in PACKAGES}


def _hardware(trainer: PurchaseTrainer) -> dict[str, str | int]:
    """Name the kind of machine that the run used."""
    return {
        "accelerator": type(trainer.accelerator).__name__,
        "ranks": trainer.world_size,
        "precision": str(trainer.precision),
        "machine": platform.machine(),
    }
