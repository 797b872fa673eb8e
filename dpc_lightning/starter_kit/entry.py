"""Runs an entry of the competition: hands out the images, sells labels, ends it in time, writes down what it bought."""

import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from dpc_lightning.atomic import write_text
from dpc_lightning.errors import EntryError
from dpc_lightning.purchase.export import write_purchases
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import HiddenLabels
from dpc_lightning.starter_kit.hosted_data import HostedData
from dpc_lightning.starter_kit.material import CodeFile, hand_out, list_code, make_own
from dpc_lightning.starter_kit.seal.cgroup import PREFIX, left_behind
from dpc_lightning.starter_kit.seal.launch import NOBODY
from dpc_lightning.starter_kit.seal.process import Seal, SealedProcess
from dpc_lightning.starter_kit.seal.syscalls import set_dumpable
from dpc_lightning.starter_kit.seal.view import View, programs
from dpc_lightning.starter_kit.server import Ending, PurchaseServer
from dpc_lightning.starter_kit.settings import EntrySettings

__all__ = ["EntryRecord", "run_entry"]

RUNNER: Final = "dpc_lightning.starter_kit.runner"
RECORD: Final = "entry.json"
LEDGER: Final = "ledger.sqlite"


@dataclass(frozen=True)
class EntryRecord:
    """What came of an entry; the content of `entry.json`.

    Attributes:
        entry: its file.
        how: see `Ending.how`; `interrupted` if the host was ended before it.
        text: what there is to say about its end.
        seal: how it was shut off from the hidden labels; empty for not at all.
        labels: label budget.
        bought: labels that it bought.
        returned: how many indices its last phase returned, -1 for none: they do not count.
        seconds_allowed: compute budget, None for no limit.
        seconds: of it that were used.
        disguised: whether the images of the pool were disguised.
        head: of the ledger.
        code: the files that it brought.
        asked: digest of all that the run was asked for.
    """

    entry: str
    how: str
    text: str
    seal: str
    labels: int
    bought: int
    returned: int
    seconds_allowed: float | None
    seconds: float
    disguised: bool
    head: str
    code: tuple[CodeFile, ...]
    asked: str


def run_entry(
    entry: Path,
    data: HostedData,
    folder: Path,
    settings: EntrySettings,
    *,
    labels: int,
    seconds: float | None,
    on_progress: Callable[[float, int], object] = lambda share, bought: None,  # noqa: ARG005
) -> EntryRecord:
    """Run an entry to its end, or find that it was run already.

    Args:
        entry: the file with the class.
        data: the data; its root has the hidden labels.
        folder: gets `ledger.sqlite`, `purchases.csv`, `log.txt` and at last `entry.json`; it exists.
        settings: how it is run.
        labels: label budget.
        seconds: compute budget; None for no limit.
        on_progress: is told how far the entry is, and how many labels it has bought.

    Returns:
        What came of it, also where it failed: what it bought in time counts.

    Raises:
        EntryError: if it cannot be run: no such file, too much of it, no seal, or another entry in this folder.
        DpcError: if data or ledger are wrong.
    """
    if sys.platform != "linux":
        msg = f"UNSEALED: an entry is run on Linux only, for {sys.platform} cannot shut it off. Run it in a container."
        raise EntryError(msg)
    beside = entry.resolve().parent
    for hidden in (data.root, data.cache_dir, folder):
        if hidden.resolve().is_relative_to(beside):
            msg = (
                f"{hidden} lies in the entry's own folder {beside}, all of which an entry is given: keep the entry in "
                "a folder of its own, apart from data and run folders."
            )
            raise EntryError(msg)
    code = list_code(entry, settings.code_mb)
    asked = _digest(code, entry.name, settings, labels, seconds, data)
    found = _read_record(folder, asked)
    if found is not None:
        return found
    oracle = HiddenLabels()
    oracle.attach(data.hidden_labels())
    disguised = settings.disguise if settings.disguise is not None else (data.root / "deeppcb.json").exists()
    with Ledger.open(
        folder / LEDGER,
        oracle=oracle,
        budget=labels,
        pool_size=len(data.splits.pool),
        classes=data.splits.classes,
        pool_fingerprint=data.splits.pool.fingerprint,
    ) as ledger:
        began_before = bool(ledger.events("entry"))
        if began_before:
            text = "The host was ended while the entry ran; an entry cannot go on, and what it had bought counts."
            ending, seal = Ending("gone", text), _noted_seal(ledger)
        else:
            with _material(entry, code, data, disguised=disguised) as given:
                process = _sealed(given, folder, settings, hide=(data.root, data.cache_dir, folder))
                try:
                    seal = process.seal
                    ledger.record_event("entry", {"seal": seal, "entry": entry.name, "asked": asked})
                    ending = _serve(process, ledger, data, entry, settings, seconds, on_progress)
                finally:
                    process.end()
        ledger.settle()
        write_purchases(folder / "purchases.csv", ledger.purchases(), data.splits.pool.images, data.splits.classes)
        record = EntryRecord(
            entry=entry.name,
            how="interrupted" if began_before else ending.how,
            text=ending.text,
            seal=seal,
            labels=labels,
            bought=ledger.rows,
            returned=ending.returned,
            seconds_allowed=seconds,
            seconds=round(ending.seconds, 3),
            disguised=disguised,
            head=ledger.head,
            code=code,
            asked=asked,
        )
    write_text(folder / RECORD, json.dumps(asdict(record), indent=2) + "\n")
    return record


def _serve(  # noqa: PLR0917  all parts of it
    process: SealedProcess,
    ledger: Ledger,
    data: HostedData,
    entry: Path,
    settings: EntrySettings,
    seconds: float | None,
    on_progress: Callable[[float, int], object],
) -> Ending:
    setup = {
        "file": entry.name,
        "class": settings.class_name,
        "classes": list(data.splits.classes),
        "images": settings.images,
        "seed": settings.seed,
        "budget": ledger.budget,
    }
    with suppress(ConnectionError):  # it is gone already, as the server will find
        process.channel.send(json.dumps(setup).encode())
    server = PurchaseServer(process.channel, ledger, seconds=seconds, grace=settings.grace, on_progress=on_progress)
    ending = server.serve()
    return replace(ending, text=f"Its process {process.how_it_ended()}.") if ending.how == "gone" else ending


def _sealed(given: Path, folder: Path, settings: EntrySettings, hide: tuple[Path, ...]) -> SealedProcess:
    """Start a process in the best seal that is to be had, or in the one that was asked for."""
    readable = programs()
    for path in (each.resolve() for each in hide):
        around = next((place for place in readable if path.is_relative_to(Path(place).resolve())), None)
        if around is not None:
            msg = (
                f"The folder {path} lies within {around}, which an entry must be able to read to run at all. Put data "
                "and run folder elsewhere."
            )
            raise EntryError(msg)
    view = View(readable, str(given / "given"), str(given / "work"), settings.work_mb, _devices())
    tried: list[str] = []
    ways: tuple[Seal, ...] = ("namespaces", "landlock") if settings.seal == "auto" else (settings.seal,)
    if settings.allow_unsealed and "none" not in ways:
        ways = (*ways, "none")
    for seal in ways:
        if seal == "none" and not settings.allow_unsealed:
            break
        if seal != "namespaces":
            make_own(given / "given" / "pool.npy")
        try:
            return SealedProcess(
                RUNNER,
                view,
                seal,
                memory=int(settings.memory_gb * 2**30),
                processes=settings.processes,
                log=folder / "log.txt",
                environment={"OMP_NUM_THREADS": os.environ["OMP_NUM_THREADS"]}
                if "OMP_NUM_THREADS" in os.environ
                else {},
                cuda=any("nvidia" in device for device in view.devices),
            )
        except EntryError as error:
            tried.append(str(error))
    msg = (
        f"UNSEALED: the entry could read every hidden label here, so it was not run. {' '.join(tried)} Run it on a "
        "Linux that allows namespaces or Landlock, or accept that by --allow_unsealed true."
    )
    raise EntryError(msg)


@contextmanager
def _material(entry: Path, code: tuple[CodeFile, ...], data: HostedData, *, disguised: bool) -> Iterator[Path]:
    """Give a folder outside of everything that is hidden, which goes when the entry has ended."""
    for left in left_behind(Path(tempfile.gettempdir())):
        _remove(left)
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    try:
        folder.chmod(0o711)
        (folder / "given").mkdir()
        (folder / "work").mkdir(mode=0o700)
        if os.geteuid() == 0:
            with suppress(PermissionError):  # root of a container that may not: the entry stays root too
                os.chown(folder / "work", NOBODY, NOBODY)
        noise = secrets.randbits(63) if disguised else None
        try:
            hand_out(entry, code, data.splits, folder / "given", noise)
        except OSError as error:
            msg = f"Cannot hand out the images in {folder}: {error.strerror or error}. TMPDIR names another place."
            raise EntryError(msg) from error
        set_dumpable(dumpable=False)
        yield folder
    finally:
        set_dumpable(dumpable=True)
        _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, however deep an entry has dug in it."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
    except RecursionError:
        subprocess.run(["/bin/rm", "-rf", str(folder)], check=False)  # it needs no recursion


def _devices() -> tuple[str, ...]:
    return tuple(sorted(str(path) for path in Path("/dev").glob("nvidia*") if path.is_char_device()))


def _digest(  # noqa: PLR0917  all that it depends on
    code: tuple[CodeFile, ...],
    name: str,
    settings: EntrySettings,
    labels: int,
    seconds: float | None,
    data: HostedData,
) -> str:
    run = {key: value for key, value in asdict(settings).items() if key in {"class_name", "images", "seed", "disguise"}}
    facts: list[Any] = [name, [asdict(each) for each in code], run, labels, seconds, data.splits.pool.fingerprint()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read_record(folder: Path, asked: str) -> EntryRecord | None:
    file = folder / RECORD
    if not file.exists():
        return None
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        record = EntryRecord(**{**known, "code": tuple(CodeFile(**each) for each in known["code"])})
    except (ValueError, TypeError, KeyError) as error:
        msg = f"Expected what came of an entry in {file}, but it cannot be read: {error}."
        raise EntryError(msg) from error
    if record.asked != asked:
        msg = (
            f"{folder} holds the run of {record.entry}, of other files, budgets, settings or data. An entry is run "
            "once a folder: name another --run_dir."
        )
        raise EntryError(msg)
    return record


def _noted_seal(ledger: Ledger) -> str:
    noted = ledger.events("entry")
    return str(noted[-1]["seal"]) if noted else ""
