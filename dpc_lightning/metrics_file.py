"""`metrics.csv`: every logged number of a run, in one file that goes on where a resumed run goes on."""

import csv
import io
from argparse import Namespace
from collections.abc import Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import RunDirError

__all__ = ["MetricsFile"]

PLACE = ("phase", "step")
"""Columns that say where a row belongs; a step is a whole number."""


class MetricsFile(Logger):
    """A logger that writes one CSV row for each phase and step.

    Lightning's own `CSVLogger` empties the file of an earlier start; this one goes on, and forgets on a resume what was
    logged after the checkpoint, because those steps are trained again.

    Args:
        path: the file, `metrics.csv` in the run's folder.

    Raises:
        RunDirError: if there is such a file, but another program has changed it.

    Example:
        >>> import tempfile
        >>> file = MetricsFile(Path(tempfile.mkdtemp()) / "metrics.csv")
        >>> file.phase = "pretrain"
        >>> file.log_metrics({"val/loss": 0.5}, step=3)
        >>> file.save()
        >>> print(file.path.read_text(), end="")
        phase,step,val/loss
        pretrain,3,0.5
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.phase = ""
        """Name of the phase; a column of every row."""
        self._rows: list[dict[str, str]] = []
        self._written = 0
        if path.exists():
            self._rows = _read(path)

    @property
    def rows(self) -> int:
        """Rows logged so far."""
        return len(self._rows)

    def rewind(self, rows: int, phase: str, step: int) -> None:
        """Forget what was logged after a checkpoint.

        Lightning logs what it averaged over an epoch only after the epoch's checkpoint is written, so rows of earlier
        steps of the checkpoint's phase are kept too.

        Args:
            rows: rows that the file held at the checkpoint.
            phase: the phase of the checkpoint.
            step: training steps done at the checkpoint.
        """
        late = (row["phase"] == phase and int(row["step"]) < step for row in self._rows[rows:])
        kept = min(rows, len(self._rows)) + sum(1 for _ in takewhile(bool, late))
        if kept < len(self._rows):
            del self._rows[kept:]
            self._written = 0

    @property
    @override
    def name(self) -> str:
        return "metrics"

    @property
    @override
    def version(self) -> str:
        return ""

    @property
    @rank_zero_experiment
    def experiment(self) -> None:
        """There is no experiment object behind a file."""
        return

    @override
    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Leave settings to `config.yaml`."""

    @override
    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        place = {"phase": self.phase, "step": str(0 if step is None else step)}
        values = {key: repr(float(value)) for key, value in metrics.items()}
        last = self._rows[-1] if self._rows else {}
        same_place = {key: last.get(key) for key in place} == place
        if same_place and not any(key in last and last[key] != value for key, value in values.items()):
            last |= values
            self._written = min(self._written, len(self._rows) - 1)
        else:
            self._rows.append(place | values)

    @override
    @rank_zero_only
    def save(self) -> None:
        if self._written == len(self._rows):
            return
        columns = dict.fromkeys(PLACE)
        for row in self._rows:
            columns |= dict.fromkeys(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        write_text(self.path, text.getvalue())
        self._written = len(self._rows)

    @override
    @rank_zero_only
    def finalize(self, status: str) -> None:
        self.save()


def _read(path: Path) -> list[dict[str, str]]:
    reason: object = None
    rows: list[dict[str, str]] = []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream, strict=True, restval=""))
    except (OSError, ValueError, csv.Error) as error:
        reason = error
    if any(None in row or not row.keys() >= set(PLACE) or not row["step"].isdecimal() for row in rows):
        reason = "its rows are not those of a file of metrics"
    if reason is not None:
        msg = f"Expected the metrics of this run in {path}, but: {reason}. Move it away; the run goes on without it."
        raise RunDirError(msg)
    return [{key: value for key, value in row.items() if value or key in PLACE} for row in rows]
