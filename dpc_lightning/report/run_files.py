"""The files that a finished run left, read and checked: a report of a broken file would be a wrong report."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dpc_lightning.errors import DataError
from dpc_lightning.purchase.ledger_view import LedgerView
from dpc_lightning.run_dir import RunDir

__all__ = ["Bought", "RunFiles", "pool_images", "read_config", "read_purchases"]

FIXED_COLUMNS = ("order", "round", "index", "image", "score")
"""Columns of `purchases.csv` before those of the classes."""

SUMMARY: Mapping[str, type | tuple[type, ...]] = {
    "label_budget": int,
    "labels_bought": int,
    "compute_budget_s": (int, float, type(None)),
    "compute_spent_s": (int, float),
    "compute_spent_on_s": dict,
    "acquisition": str,
    "start_model_informed": (bool, type(None)),
    "test": dict,
    "seed": int,
    "classes": list,
    "images": dict,
    "phases": list,
    "cut_short_by": list,
    "versions": dict,
    "hardware": dict,
}
"""What the report takes from `summary.json`, and of which kind it is."""


@dataclass(frozen=True)
class Bought:
    """One row of `purchases.csv`.

    Attributes:
        order: its number, from 1.
        round: in which round it was bought, from 1.
        index: the image's index in the pool.
        image: its file name.
        score: what the rule gave it, larger is preferred, comparable within one round only; None for a rule without.
        labels: names of the classes found in it.
    """

    order: int
    round: int
    index: int
    image: str
    score: float | None
    labels: tuple[str, ...]


@dataclass(frozen=True)
class RunFiles:
    """What a finished run left.

    Attributes:
        run_dir: its folder.
        summary: `summary.json`, checked.
        purchases: `purchases.csv`, empty if nothing was bought.
        metrics: rows of `metrics.csv`: phase, step, and the numbers logged there.
        config: `config.yaml`, empty if it is gone.
        ledger_rows: rows of the ledger's chain, verified; None if the ledger is gone.
    """

    run_dir: RunDir
    summary: dict[str, Any]
    purchases: tuple[Bought, ...]
    metrics: tuple[tuple[str, int, dict[str, float]], ...]
    config: dict[str, Any]
    ledger_rows: int | None

    @property
    def images(self) -> Path | None:
        """Folder of the pool's images, or None if the configuration does not say."""
        return pool_images(self.config)

    @classmethod
    def read(cls, folder: Path) -> "RunFiles":
        """Read the files of a finished run.

        Args:
            folder: the run's folder.

        Raises:
            DataError: if a file cannot be read or is not what a run writes; names the file and the row or key.
            LedgerError: if the ledger is damaged, was changed, or does not agree with the summary.
        """
        run_dir = RunDir(folder)
        summary = _summary(run_dir.summary)
        ledger_rows = None
        if run_dir.ledger.exists():
            with LedgerView(run_dir.ledger) as ledger:
                ledger_rows = ledger.verify(summary.get("ledger_head"))
        return cls(
            run_dir=run_dir,
            summary=summary,
            purchases=read_purchases(run_dir.purchases),
            metrics=_metrics(run_dir.metrics),
            config=read_config(run_dir.config),
            ledger_rows=ledger_rows,
        )


def read_purchases(file: Path) -> tuple[Bought, ...]:
    """Read `purchases.csv`.

    Args:
        file: the file; nothing was bought if there is none.

    Raises:
        DataError: if it is not what a run writes; names the row.
    """
    if not file.exists():
        return ()
    header, rows = _csv(file)
    if tuple(header[: len(FIXED_COLUMNS)]) != FIXED_COLUMNS:
        msg = (
            f"Expected {file} to begin with the columns {', '.join(FIXED_COLUMNS)}, but got {', '.join(header)[:200]}."
        )
        raise DataError(msg)
    classes = header[len(FIXED_COLUMNS) :]
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            order, round_number, index = (int(cell) for cell in row[:3])
            labels = tuple(name for name, cell in zip(classes, row[5:], strict=True) if int(cell))
            score = float(row[4]) if row[4] else None
        except ValueError as error:
            msg = f"Expected a purchase in row {number} of {file}, but got {','.join(row)[:200]!r}: {error}."
            raise DataError(msg) from error
        found.append(Bought(order, round_number, index, row[3], score, labels))
    return tuple(found)


def read_config(file: Path) -> dict[str, Any]:
    """Read `config.yaml`, or another file of settings.

    Args:
        file: the file; there are no settings if there is none.

    Raises:
        DataError: if it is no mapping in YAML.
    """
    if not file.exists():
        return {}
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        msg = f"Expected the configuration of a run in {file}, but it cannot be read: {error}."
        raise DataError(msg) from error
    if not isinstance(found, dict):
        msg = f"Expected the configuration of a run in {file}, but got {type(found).__name__}."
        raise DataError(msg)
    return found


def pool_images(config: Mapping[str, Any]) -> Path | None:
    """Say where the images of the pool are, as far as the configuration of a run tells.

    Args:
        config: as `read_config` gives it.

    Example:
        >>> pool_images({"data": {"root": "data/sheets"}}).as_posix()
        'data/sheets/unlabelled/images'
    """
    data = config.get("data")
    root = data.get("root") if isinstance(data, Mapping) else None
    return Path(root) / "unlabelled" / "images" if isinstance(root, str) else None


def _summary(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"Expected the summary of a finished run in {file}, but it cannot be read: {error}."
        raise DataError(msg) from error
    if not isinstance(found, dict):
        msg = f"Expected a JSON object in {file}, but got {type(found).__name__}."
        raise DataError(msg)
    for key, kind in SUMMARY.items():
        if key not in found or not isinstance(found[key], kind):
            got = f"{type(found[key]).__name__} {str(found[key])[:60]!r}" if key in found else "nothing"
            msg = f"Expected the summary of a finished run in {file}, but got {got} for `{key}`."
            raise DataError(msg)
    scores, phases = found["test"], found["phases"]
    if not isinstance(scores.get("f1_per_class"), dict) or not all(
        isinstance(phase, dict) and {"name", "epochs", "train_images", "seconds"} <= phase.keys() for phase in phases
    ):
        msg = f"Expected `test.f1_per_class` and `phases` of a finished run in {file}, but they are of another form."
        raise DataError(msg)
    return found


def _metrics(file: Path) -> tuple[tuple[str, int, dict[str, float]], ...]:
    if not file.exists():
        return ()
    header, rows = _csv(file)
    if header[:2] != ["phase", "step"]:
        msg = f"Expected {file} to begin with the columns phase, step, but got {', '.join(header)[:200]}."
        raise DataError(msg)
    found = []
    for number, row in enumerate(rows, start=2):
        try:
            values = {name: float(cell) for name, cell in zip(header[2:], row[2:], strict=True) if cell}
            found.append((row[0], int(row[1]), values))
        except (ValueError, IndexError) as error:
            msg = f"Expected numbers in row {number} of {file}, but got {','.join(row)[:200]!r}: {error}."
            raise DataError(msg) from error
    return tuple(found)


def _csv(file: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.reader(stream))
    except (OSError, ValueError, csv.Error) as error:
        msg = f"Expected a CSV file in {file}, but it cannot be read: {error}."
        raise DataError(msg) from error
    if not rows:
        msg = f"Expected a CSV file with a header in {file}, but it is empty."
        raise DataError(msg)
    return rows[0], rows[1:]
