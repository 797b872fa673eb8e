"""A run made small: seconds from the first word to the summary, through the real command line."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from dpc_lightning.__main__ import main
from dpc_lightning.configs import config_path

SMALL = (
    "--threads=1",
    "--data.image_size=32",
    "--data.generator.px=32",
    "--data.generator.training=40",
    "--data.generator.unlabelled=50",
    "--data.generator.validation=30",
    "--data.generator.test=30",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--purchase.labels=12",
    "--purchase.rounds=2",
    "--purchase.pretrain_epochs=2",
    "--purchase.round_epochs=1",
    "--evaluate.epochs=2",
)


def words(root: Path, run_dir: Path, *more: str) -> list[str]:
    """The command line of a small run."""
    places = (f"--data.root={root}", f"--run_dir={run_dir}")
    return ["fit", "--config", str(config_path("quickstart")), *SMALL, *places, *more]


def fit(root: Path, run_dir: Path, *more: str) -> dict[str, Any]:
    """Carry out a small run and give its summary."""
    assert main(words(root, run_dir, *more)) == 0
    summary: dict[str, Any] = json.loads((run_dir / "summary.json").read_text())
    return summary


def purchases(run_dir: Path) -> list[dict[str, str]]:
    """The rows of purchases.csv."""
    with (run_dir / "purchases.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def metrics(run_dir: Path) -> list[dict[str, str]]:
    """The rows of metrics.csv."""
    with (run_dir / "metrics.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def weights(run_dir: Path, phase: str) -> str:
    """A digest of the weights at the end of a phase."""
    checkpoint = torch.load(run_dir / "checkpoints" / f"{phase}.ckpt", map_location="cpu", weights_only=True)
    digest = hashlib.sha256()
    for name, value in sorted(checkpoint["state_dict"].items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()
