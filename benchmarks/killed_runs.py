"""Runs in forked processes that are killed in the middle: where, how, and what must be the same afterwards."""

import importlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

from dpc_lightning.__main__ import main
from dpc_lightning.data.samplers import EpochBatches
from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase.ledger import Ledger
from tests.small_run import metrics, purchases, weights

__all__ = ["PLACES", "Kill", "Place", "differences", "impure_order", "ledger_faults", "run"]

Start = Callable[[], None]
PATIENCE = 300.0
"""Seconds after which a process that has not ended counts as hanging, and is killed."""
TIMED = ("second", "purchase/score", "purchase/pick", "plan/")
"""What names numbers that depend on the clock begin with, or hold."""


@dataclass(frozen=True)
class Place:
    """A function of the program, at one of whose calls the process is killed."""

    target: str
    """`module:attribute` or `module:Class.attribute`."""
    calls: int
    """The call is drawn from this many."""
    first: int = 0
    """Calls that are left alone before."""
    fresh: bool = False
    """Whether the data root must not be there yet."""


PLACES: dict[str, Place] = {
    "generating data": Place("dpc_lightning.data.synthetic.worker:image_name", 140, fresh=True),
    "describing data": Place("dpc_lightning.data.synthetic.writer:write_description", 1, fresh=True),
    "building the image store": Place("dpc_lightning.data.image_store:_decode", 140, fresh=True),
    "naming the image store": Place("dpc_lightning.data.image_store:ImageStore.__init__", 8, fresh=True),
    "saving the configuration": Place("dpc_lightning.run_dir:write_text", 1),
    "making the ledger": Place("dpc_lightning.purchase.ledger:create_schema", 1),
    "training": Place("dpc_lightning.models.classifier:MultiLabelClassifier.training_step", 12),
    "writing metrics": Place("dpc_lightning.metrics_file:write_text", 12),
    "writing a checkpoint": Place("torch:save", 10),
    "naming a checkpoint": Place("os:fsync", 30),
    "validation": Place("dpc_lightning.models.classifier:MultiLabelClassifier.validation_step", 4),
    "scoring": Place("dpc_lightning.models.classifier:MultiLabelClassifier.score_batch", 2),
    "picking": Place("dpc_lightning.acquisition.badge:Badge._pick", 2),
    "writing the picks down": Place("dpc_lightning.purchase.ledger:Ledger.record_picks", 2),
    "charging": Place("dpc_lightning.purchase.ledger:Ledger._charge", 2),
    "asking the oracle": Place("dpc_lightning.purchase.oracle:HiddenLabels.label", 3),
    "between buying and training": Place("dpc_lightning.loops.buyer:write_purchases", 2),
    "between buying and checkpointing": Place("dpc_lightning.loops.purchase_loop:PurchaseLoop._enter", 3),
    "announcing a phase": Place("dpc_lightning.loops.purchase_loop:PurchaseLoop._announce", 4),
    "the end of an epoch": Place("dpc_lightning.models.classifier:MultiLabelClassifier.on_train_epoch_end", 6),
    "the evaluation": Place("dpc_lightning.models.classifier:MultiLabelClassifier.training_step", 4, first=8),
    "the test": Place("dpc_lightning.models.classifier:MultiLabelClassifier.test_step", 1),
    "writing the summary": Place("dpc_lightning.run_summary:write_text", 1),
    "ending the fit": Place("dpc_lightning.purchase.ledger:Ledger.close", 1),
}


@dataclass(frozen=True)
class Kill:
    """When a process is killed: at a call of a function, before or after it, or so many seconds after its start."""

    place: str
    """A key of `PLACES`, or `any time`."""
    call: int = 0
    after: bool = False
    seconds: float = 0.0

    @classmethod
    def draw(cls, place: str, chance: random.Random, seconds: float) -> "Kill":
        """Draw an instant at a place, or within so many seconds."""
        if place not in PLACES:
            return cls(place, seconds=chance.uniform(0, seconds))
        first, calls = PLACES[place].first, PLACES[place].calls
        return cls(place, call=first + chance.randrange(calls), after=chance.random() < 0.5)


def run(command: Sequence[str], log: Path, kill: Kill | None = None, prepare: Start | None = None) -> tuple[int, float]:
    """Run a command in a forked process.

    Args:
        command: words of the command line.
        log: file to which it appends what it says.
        kill: when it is killed; None lets it end.
        prepare: called in the process before it begins.

    Returns:
        Its exit status, that of the signal below 0, and how many seconds it lived.
    """
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _live(command, log, kill, prepare)
    timed = kill is not None and kill.place not in PLACES
    status = _end(child, kill.seconds if timed and kill is not None else PATIENCE)
    return os.waitstatus_to_exitcode(status), time.monotonic() - start


def _end(child: int, seconds: float) -> int:
    """Wait for a process, and kill it when the seconds are up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _live(command: Sequence[str], log: Path, kill: Kill | None, prepare: Start | None) -> None:
    """Be the process: never returns."""
    status = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
        if prepare is not None:
            prepare()
        if kill is not None and kill.place in PLACES:
            _arm(PLACES[kill.place].target, kill)
        status = main(list(command))
    except BaseException:  # noqa: BLE001  whatever it is belongs into the log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def _arm(target: str, kill: Kill) -> None:
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        owner = getattr(owner, part)
    function, calls = getattr(owner, name), 0

    @wraps(function)
    def armed(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == kill.call + 1 and not kill.after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = function(*args, **kwargs)
        if calls == kill.call + 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, armed)


def impure_order() -> None:
    """Draw the order of the images from a generator that goes on in a process, as most loaders do.

    The plain control: runs that are not killed are still equal, but no resume can be exact.
    """
    generator = np.random.default_rng(0)

    def impure(batches: EpochBatches, _epoch: int) -> Any:
        return generator.permutation(batches.count)

    setattr(EpochBatches, "order", impure)  # noqa: B010  type checkers know it as a method


def differences(run_dir: Path, whole: Path, phases: Sequence[str]) -> list[str]:
    """Compare a run that was killed with one that was not.

    Args:
        run_dir: folder of the one.
        whole: folder of the other.
        phases: names of the phases whose weights are compared.

    Returns:
        What differs; nothing if all is the same but for times.
    """
    found = []
    if purchases(run_dir) != purchases(whole):
        found.append("purchases")
    found += [f"weights of {name}" for name in phases if weights(run_dir, name) != weights(whole, name)]
    if _timeless(metrics(run_dir)) != _timeless(metrics(whole)):
        found.append("metrics")
    mine, theirs = _summary(run_dir), _summary(whole)
    found += [f"summary {key}" for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key)]
    return found


def ledger_faults(run_dir: Path, whole: Path) -> list[str]:
    """Look at the ledger that a kill has left: whole, within the budget, a beginning of what the whole run bought."""
    file = run_dir / "ledger.sqlite"
    if not file.exists():
        return []
    with Ledger.read(whole / "ledger.sqlite") as other:
        expected = other.purchases()
    try:
        with Ledger.read(file) as ledger:
            ledger.verify()
            bought, rows, budget = ledger.purchases(), ledger.rows, ledger.budget
    except LedgerError as error:
        return [] if "empty" in str(error) else [f"ledger: {error}"]
    faults = ["more charged than the budget"] if rows > budget else []
    count = len(bought)
    if len(set(bought.index.tolist())) != count:
        faults.append("charged twice")
    if bought.index.tolist() != expected.index[:count].tolist() or (bought.labels != expected.labels[:count]).any():
        faults.append("other purchases than the whole run")
    return faults


def _timeless(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{key: value for key, value in row.items() if not any(part in key for part in TIMED)} for row in rows]


def _summary(run_dir: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((run_dir / "summary.json").read_text())
    summary["phases"] = [{**phase, "seconds": None} for phase in summary["phases"]]
    timed = ("compute_spent_s", "compute_spent_on_s", "ledger_head")
    return {key: value for key, value in summary.items() if key not in timed}
