"""Drives an entry through its phases, in the process that holds no label but those bought."""

import importlib.util
import io
import json
import os
import random
import shutil
import socket
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.starter_kit import shims
from dpc_lightning.starter_kit.arguments import call
from dpc_lightning.starter_kit.datasets import LabelledDataset, UnlabelledDataset
from dpc_lightning.starter_kit.messages import Done, Failed, Ready, Receiver, pack
from dpc_lightning.starter_kit.shop import Shop

__all__ = ["start"]

MODULE = "entry_run"
"""Name under which the entry's file is imported."""


def start(handle: int, given: str, work: str) -> None:
    """Run an entry from its import to its last phase, and tell the host how it ended.

    Args:
        handle: number of the channel to the host, whose first message says budgets and switches as JSON.
        given: folder with `code/`, `pool.npy`, `training.npy` and `training_labels.npy`.
        work: folder of this process; the entry's files are copied into it, and it is the current one.
    """
    for stream in (sys.stdout, sys.stderr):  # what was printed stays, however the process ends
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    channel = socket.socket(fileno=handle)
    _run(channel, json.loads(Receiver(channel).receive()), Path(given), Path(work))


def _run(channel: socket.socket, setup: Mapping[str, Any], given: Path, work: Path) -> None:
    shutil.copytree(given / "code", work, dirs_exist_ok=True, copy_function=shutil.copyfile)
    os.chdir(work)
    sys.path.insert(0, str(work))
    shims.install()
    training, pool = _pixels(given / "training.npy"), _pixels(given / "pool.npy")
    labels = np.load(given / "training_labels.npy")
    random.seed(setup["seed"])
    np.random.seed(setup["seed"])  # noqa: NPY002  entries use the global generator
    shop = Shop(channel, len(setup["classes"]))
    channel.send(pack(Ready()))
    phase = "import"
    try:
        entry = getattr(_load(work / setup["file"]), setup["class"])
        phase = "__init__"
        run = entry()
        known = {
            "training_dataset": LabelledDataset(training, labels, setup["images"]),
            "purchase_budget": setup["budget"],
            "compute_budget": None,
            "register_progress": shop.tell,
        }
        for phase in ("pre_training_phase", "save_checkpoint", "load_checkpoint", "purchase_phase"):
            if phase == "purchase_phase" or hasattr(run, phase):
                returned = _carry_out(run, phase, known, UnlabelledDataset(pool, shop, setup["images"]), shop, work)
    except BaseException as error:  # noqa: BLE001  an entry may raise anything, SystemExit too
        channel.send(pack(Failed(phase, _told(error))))
        return
    channel.send(pack(Done(_count(returned))))


def _carry_out(  # noqa: PLR0917  what the phases are given
    run: object, phase: str, known: Mapping[str, Any], pool: UnlabelledDataset, shop: Shop, work: Path
) -> object:
    method = getattr(run, phase)
    if phase in {"save_checkpoint", "load_checkpoint"}:
        folder = work / "checkpoint"
        folder.mkdir(exist_ok=True)
        return method(str(folder))
    left = shop.seconds_left()
    offered = {"unlabelled_dataset": pool, **known, "compute_budget": left}
    if phase == "pre_training_phase":
        del offered["unlabelled_dataset"], offered["purchase_budget"]
        offered = {name: offered[name] for name in ("training_dataset", "compute_budget", "register_progress")}
    return call(method, offered)


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        msg = f"Expected a Python file, but got {file.name}."
        raise ImportError(msg)
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # so that what it defines can be pickled by its own worker processes
    spec.loader.exec_module(module)
    return module


def _pixels(file: Path) -> NDArray[np.uint8]:
    array: NDArray[np.uint8] = np.load(file, mmap_mode="r")
    return array.view(np.ndarray)


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)[-6:])


def _count(returned: object) -> int:
    """Say how many indices the last phase gave back; purchases are what the ledger holds, whatever this is."""
    try:
        return len(returned)  # type: ignore[arg-type]
    except BaseException:  # noqa: BLE001  an entry may return anything
        return -1
