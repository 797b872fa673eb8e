"""What an entry costs that is sealed: wall time against the same strategy in one open process; labels, images a second.

    OMP_NUM_THREADS=1 python -m benchmarks.entry_cost --root /tmp/quickstart

`--root` is generated as the quickstart's where it is missing. Native is the same file with datasets of the same kind in
one process that holds ledger and labels. Each figure is the median of `--times`, sealed and native in turn.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.data.synthetic.settings import SheetSettings
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import HiddenLabels
from dpc_lightning.starter_kit import runner, shims
from dpc_lightning.starter_kit.datasets import EntryDataset, LabelledDataset, UnlabelledDataset
from dpc_lightning.starter_kit.entry import run_entry
from dpc_lightning.starter_kit.examples import example_path
from dpc_lightning.starter_kit.exceptions import OutOfBudgetException
from dpc_lightning.starter_kit.hosted_data import HostedData, open_data
from dpc_lightning.starter_kit.settings import EntrySettings
from dpc_lightning.starter_kit.shop import Shop, whole_number

LABELS = 300

SPEED = """
import json, time
class ZEWDPCBaseRun:
    def purchase_phase(self, unlabelled_dataset, purchase_budget):
        pool, found = unlabelled_dataset, {}
        start = time.perf_counter()
        for index in range(len(pool)): pool[index]
        found["images"] = len(pool) / (time.perf_counter() - start)
        half = len(pool) // 2
        start = time.perf_counter()
        for index in range(half): pool.purchase_label(index)
        found["single"] = half / (time.perf_counter() - start)
        start = time.perf_counter()
        pool.purchase_labels(range(half, len(pool)))
        found["batch"] = (len(pool) - half) / (time.perf_counter() - start)
        print(json.dumps(found))
"""


class OpenShop(Shop):
    """Sells in the process that holds the labels."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def buy(self, indices: Iterable[object]) -> NDArray[np.uint8]:
        """Buy, as `Shop.buy`."""
        wanted = [whole_number(index) for index in indices]
        if self._ledger.left < len(wanted):
            raise OutOfBudgetException
        return self._ledger.buy(wanted, round=1)

    def seconds_left(self) -> float:
        """No limit."""
        return float("inf")

    def tell(self, progress: object = 0.0) -> bool:  # noqa: ARG002  nobody listens
        """Tell nobody."""
        return False


def opened(root: Path) -> HostedData:
    """The quickstart's data."""
    drawn = SheetSettings(preset="default", px=64, redundancy=0.5, shift=0.3)
    return open_data(str(root), image_size=64, generator=drawn)


def ledger_of(data: HostedData, file: Path, budget: int) -> Ledger:
    """A new ledger over the pool."""
    oracle = HiddenLabels()
    oracle.attach(data.hidden_labels())
    pool = data.splits.pool
    return Ledger.open(
        file,
        oracle=oracle,
        budget=budget,
        pool_size=len(pool),
        classes=data.splits.classes,
        pool_fingerprint=pool.fingerprint,
    )


def native(root: Path, name: str) -> None:
    """Run an example in this process."""
    data = opened(root)
    shims.install()
    module = runner._load(example_path(name))  # noqa: SLF001  the very way in which the runner does it
    labelled = data.splits.labelled
    pixels = np.stack([labelled.pixels(place) for place in range(len(labelled))])
    with tempfile.TemporaryDirectory() as folder, ledger_of(data, Path(folder) / "l.sqlite", LABELS) as ledger:
        known = {
            "training_dataset": LabelledDataset(pixels, labelled.labels),
            "purchase_budget": LABELS,
            "compute_budget": None,
        }
        shop, run = OpenShop(ledger), module.ZEWDPCBaseRun()
        known["register_progress"] = shop.tell
        pool = UnlabelledDataset(data.splits.pool_store.array, shop)
        for phase in ("pre_training_phase", "save_checkpoint", "load_checkpoint", "purchase_phase"):
            if hasattr(run, phase):
                runner._carry_out(run, phase, known, pool, shop, Path(folder))  # noqa: SLF001
        print(json.dumps(ledger.purchases().index.tolist()))


def sealed(root: Path, name: str) -> None:
    """Run an example in a sealed process."""
    with tempfile.TemporaryDirectory() as folder:
        run_entry(example_path(name), opened(root), Path(folder), EntrySettings(), labels=LABELS, seconds=None)
        with Ledger.read(Path(folder) / "ledger.sqlite") as ledger:
            print(json.dumps(ledger.purchases().index.tolist()))


def speeds(root: Path) -> dict[str, float]:
    """Labels and images a second inside of the seal, and images a second without it."""
    data = opened(root)
    with tempfile.TemporaryDirectory() as folder:
        entry = Path(folder) / "mine" / "run.py"
        entry.parent.mkdir()
        entry.write_text(SPEED)
        (Path(folder) / "run").mkdir()
        size = len(data.splits.pool)
        record = run_entry(entry, data, Path(folder) / "run", EntrySettings(), labels=size, seconds=None)
        assert record.bought == size, record.text
        found: dict[str, float] = json.loads((Path(folder) / "run" / "log.txt").read_text())
    items = EntryDataset(data.splits.pool_store.array)
    start = time.perf_counter()
    for index in range(size):
        items[index]
    return found | {"images natively": size / (time.perf_counter() - start)}


def measure(command: list[str]) -> tuple[float, Any]:
    """Seconds of a process from start to end, and what it printed."""
    start = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.perf_counter() - start, json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--example", default="rounds_of_entropy")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--only", choices=("native", "sealed"))
    chosen = parser.parse_args()
    if chosen.only:
        (native if chosen.only == "native" else sealed)(chosen.root, chosen.example)
        return
    opened(chosen.root)
    found: dict[str, list[float]] = {"native": [], "sealed": []}
    picks: list[Any] = []
    for _ in range(chosen.times):
        for way, seconds in found.items():
            words = ["--root", str(chosen.root), "--example", chosen.example, "--only", way]
            spent, indices = measure([sys.executable, "-m", "benchmarks.entry_cost", *words])
            seconds.append(spent)
            picks.append(indices)
    ratio = statistics.median(a / b for a, b in zip(found["sealed"], found["native"], strict=True))
    for way, seconds in found.items():
        print(f"{chosen.example} {way}: {statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})")
    print(f"sealed / native: {ratio:.3f}; the same purchases: {all(each == picks[0] for each in picks)}")
    runs = [speeds(chosen.root) for _ in range(chosen.times)]
    for name in ("single", "batch", "images", "images natively"):
        values = [run[name] for run in runs]
        print(f"{name}: {statistics.median(values):,.0f} a second ({min(values):,.0f} to {max(values):,.0f})")
    print(f"images / natively: {statistics.median(run['images'] / run['images natively'] for run in runs):.3f}")


if __name__ == "__main__":
    main()
