"""Hosts entries that are given as text."""

import os
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.data.synthetic.settings import SheetSettings
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.starter_kit.entry import EntryRecord, run_entry
from dpc_lightning.starter_kit.hosted_data import HostedData, open_data
from dpc_lightning.starter_kit.settings import EntrySettings

POOL = 60
SECRET = 2**62 + 4711
"""Seed of the sheets; no entry is told."""

PHASE = "class ZEWDPCBaseRun:\n    def purchase_phase(self, pool, training, purchase_budget, compute_budget):\n"


def sheets(root: Path, seed: int = SECRET) -> HostedData:
    """Generated sheets of 16 pixels, opened."""
    drawn = SheetSettings(px=16, training=120, unlabelled=POOL, validation=8, test=8, seed=seed)
    return open_data(str(root), image_size=16, generator=drawn)


@dataclass(frozen=True)
class Hosted:
    """What came of an entry.

    Attributes:
        record: of its run.
        bought: indices in the ledger, in order.
        labels: of them, as the ledger has them.
        printed: what it printed.
        folder: of the run.
    """

    record: EntryRecord
    bought: list[int]
    labels: NDArray[np.uint8]
    printed: str
    folder: Path


def host(
    code: str,
    data: HostedData,
    place: Path,
    *,
    phase: bool = False,
    labels: int = 5,
    seconds: float | None = 30,
    files: dict[str, bytes] | None = None,
    **settings: Any,
) -> Hosted:
    """Run an entry.

    Args:
        code: of its file; `HOST`, `ROOT` and `RUN` stand for the host's process, data root and folder.
        data: the data.
        place: an empty folder.
        phase: whether `code` is the body of `purchase_phase` only.
        labels: label budget.
        seconds: compute budget.
        files: further files of the entry.
        settings: of the run.
    """
    entry, folder = place / "mine" / "run.py", place / "run"
    entry.parent.mkdir(parents=True)
    folder.mkdir(parents=True, exist_ok=True)
    body = textwrap.dedent(code).strip()
    text = PHASE + textwrap.indent(body, " " * 8) if phase else body
    for name, value in (("HOST", os.getpid()), ("ROOT", data.root), ("RUN", folder)):
        text = text.replace(name, str(value))
    entry.write_text(text + "\n", encoding="utf-8")
    for name, content in (files or {}).items():
        (entry.parent / name).write_bytes(content)
    chosen = EntrySettings(**({"grace": 0.5, "work_mb": 64} | settings))
    record = run_entry(entry, data, folder, chosen, labels=labels, seconds=seconds)
    with Ledger.read(folder / "ledger.sqlite") as ledger:
        ledger.verify(record.head)
        purchases = ledger.purchases()
    printed = (folder / "log.txt").read_text(encoding="utf-8", errors="replace")
    return Hosted(record, purchases.index.tolist(), purchases.labels, printed, folder)
