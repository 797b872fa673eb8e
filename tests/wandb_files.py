"""What an offline run of Weights & Biases would send, read back from its log."""

import csv
import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb
from wandb.proto import wandb_internal_pb2

from dpc_lightning.report.table import Table

__all__ = ["OfflineRun", "check_report", "offline_runs"]


@dataclass
class OfflineRun:
    """One start of a W&B run: its facts, the rows of its history, its summary, and all files by name."""

    id: str = ""
    project: str = ""
    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    artifacts: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Names of the files of each artifact, by the artifact's type and name."""

    @property
    def logged(self) -> set[str]:
        """Names of all that the history holds."""
        return {name for row in self.history for name in row}

    def table(self, name: str) -> dict[str, Any]:
        """Read a table: its `columns` and `data`."""
        found: dict[str, Any] = json.loads(self.files[f"{name}.table.json"].read_text())
        return found


def offline_runs(folder: Path) -> list[OfflineRun]:
    """Read the W&B runs below a folder, in the order of their starts; ends those that are under way.

    A process of W&B's writes the logs, and goes on to do so after a run has ended: they are whole when it is gone.
    """
    wandb.teardown()
    return [_read(file) for file in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"), key=_begun)]


def check_report(run: OfflineRun, tables: Mapping[str, Table]) -> None:
    """Check that a run got the tables of a report cell by cell, and the page with their files as an artifact."""
    assert tables
    for name, table in tables.items():
        sent = run.table(f"report/{name}")
        assert sent["columns"] == [column.name for column in table.columns]
        assert sent["data"] == [[None if _is_nan(value) else value for value in row] for row in table.rows]
    files = ["report.html", "report/report.md", *(f"report/{name}.csv" for name in tables)]
    assert run.artifacts.get(("report", f"report-{run.id}")) == sorted(files), run.artifacts.keys()
    page = run.files["report.html"].read_text()
    assert page.lower().startswith("<!doctype html>")
    for name, table in tables.items():
        with run.files[f"report/{name}.csv"].open(newline="") as stream:
            assert len(list(csv.reader(stream))) == len(table.rows) + 1


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _begun(file: Path) -> int:
    return file.stat().st_mtime_ns


def _read(file: Path) -> OfflineRun:
    run = OfflineRun()
    for data in _records(file):
        record = wandb_internal_pb2.Record.FromString(data)  # type: ignore[attr-defined]  # generated
        kind = record.WhichOneof("record_type")
        if kind == "history":
            run.history.append(_values(record.history.item))
        elif kind == "summary":
            run.summary |= _values(record.summary.update)
        elif kind == "run":
            run.id, run.project, run.name = record.run.run_id, record.run.project, record.run.display_name
            run.config |= _values(record.run.config.update)
        artifact = record.artifact if record.HasField("artifact") else record.request.log_artifact.artifact
        found = {entry.path: Path(entry.local_path) for entry in artifact.manifest.contents}
        run.files |= found
        if artifact.name:
            run.artifacts[artifact.type, artifact.name] = sorted(found)
    return run


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}


def _records(file: Path) -> Iterator[bytes]:
    """Read the log of an offline run: 7 bytes of header, then records in blocks of 32 KiB, as LevelDB writes them."""
    content, place, record = file.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while place < len(content):
        if 32_768 - place % 32_768 < 7:  # the rest of a block that has no room for a record's header
            place += 32_768 - place % 32_768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        record += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in {1, 4}:  # the whole record, or its last part
            yield record
            record = b""
