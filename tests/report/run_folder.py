"""The folder of a run that never ran: every file that a report is made of, in milliseconds, with names that are odd."""

import csv
import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

NASTY = "<script>document.title='taken'</script>"
CLASSES = ("scratch_small", NASTY, '_$dent$ & "co" | é')
ROUNDS, PER_ROUND = 3, 20


def summary() -> dict[str, Any]:
    phases = ["pretrain", *(f"round_{number}" for number in range(1, ROUNDS + 1)), "evaluate"]
    return {
        "label_budget": 80,
        "labels_bought": ROUNDS * PER_ROUND,
        "compute_budget_s": 90.0,
        "compute_spent_s": 61.25,
        "compute_spent_on_s": {"pretrain": 30.5, "score": 6.0, "pick": 0.25, "buy": 0.5, "train": 24.0},
        "compute_budget_exhausted": False,
        "acquisition": "Badge",
        "start_model_informed": True,
        "test": {
            "f1_macro": 0.612345,
            "f1_macro_at_half": 0.5,
            "map": 0.7,
            "exact_match": None,
            "f1_per_class": {CLASSES[0]: 0.75, CLASSES[1]: 0.474691, CLASSES[2]: None},
            "classes_without_positives": [CLASSES[2]],
        },
        "seed": 4,
        "classes": list(CLASSES),
        "images": {"training": 100, "pool": 500, "validation": 50, "test": 70},
        "phases": [
            {"name": name, "epochs": 3, "train_images": 100 + 20 * place, "seconds": 10.5 + place}
            for place, name in enumerate(phases)
        ],
        "ledger_head": "0" * 64,
        "cut_short_by": [],
        "versions": {"python": "3.11.7", "dpc_lightning": "0.1.0"},
        "hardware": {"accelerator": "CPUAccelerator", "ranks": 1},
    }


def write_run(folder: Path, **changes: Any) -> Path:
    """Write what a run leaves.

    Args:
        folder: to be made.
        changes: values of the summary that differ.
    """
    images = folder / "data" / "unlabelled" / "images"
    images.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary() | changes))
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"data": {"root": str(folder / "data"), "cache_dir": None}, "purchase": {"labels": 80}})
    )
    with (folder / "purchases.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["order", "round", "index", "image", "score", *CLASSES])
        for order in range(1, ROUNDS * PER_ROUND + 1):
            Image.new("RGB", (20, 10), (order, 90, 200)).save(images / f"{order}.png")
            labels = [order % 2, int(order % 3 == 0), 0]
            row = [order, 1 + (order - 1) // PER_ROUND, 500 - order, f"{order}.png", 1 / order, *labels]
            writer.writerow(row)
    _write_metrics(folder / "metrics.csv")
    return folder


def _write_metrics(file: Path) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["phase", "step", "train/loss", "val/loss", "val/f1_macro", "purchase/score_seconds"])
        step = 0
        for place, phase in enumerate(("pretrain", "round_1", "round_2", "round_3", "evaluate")):
            scored = "2.0" if phase.startswith("round") else ""
            writer.writerow([phase, step, "", "", "", scored])
            for _ in range(5):
                step += 1
                writer.writerow([phase, step, 1 / (step + 1), "", "", ""])
            writer.writerow([phase, step, "", 0.9 / (step + 1), 0.4 + place / 20, ""])
