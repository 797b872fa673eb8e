"""Seconds and memory of every rule, from ten thousand to a million images and from a hundred to ten thousand picks.

    OMP_NUM_THREADS=1 python -m benchmarks.acquisition_scale --folder /tmp/pools --rows rows.jsonl
    python -m benchmarks.acquisition_scale --rows rows.jsonl --table --picture docs/acquisition_scale.png

Each case is a process of its own, so that its peak of resident memory is its own; what is in `rows.jsonl` already is
not measured again. Embeddings are 512 columns of float16 in a mapped file, 1,000 images are labelled. Resident memory
includes the pages of the file that the case has read (up to 1 GB at a million images) and 0.1 GB of imports. Needs
Linux, and 1.1 GB of disk for a million images; `--most 10000000` asks for ten million too.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.acquisition_pools import make_pool, open_pool
from dpc_lightning.acquisition import Acquisition
from dpc_lightning.acquisition.rule_list import rules
from dpc_lightning.errors import AcquisitionError

CASES = (
    *((10_000, picks) for picks in (100, 1_000)),
    (100_000, 1_000),
    *((1_000_000, picks) for picks in (100, 1_000, 10_000)),
    (10_000_000, 1_000),
)
LIMIT = 600
"""Seconds after which a case is given up."""

Row = dict[str, Any]


def settings() -> dict[str, Callable[[], Acquisition]]:
    """Give every rule that can be made without settings."""
    found: dict[str, Callable[[], Acquisition]] = {}
    for name, rule in rules().items():
        try:
            rule()
        except TypeError:
            continue  # a composition: its cost is that of its parts
        if name != "Listed":
            found[name] = rule
    return found


def measure(folder: Path, rule: str, images: int, picks: int) -> Row:
    """Pick once in this process."""
    pool = open_pool(folder, images)
    if "committee_logits" in settings()[rule]().needs:
        members = np.random.default_rng(3).standard_normal((images, 3, pool.num_classes), np.float32)
        members += pool.logits[:, None]
        pool = replace(pool, committee_logits=members)
    start, cpu = time.perf_counter(), time.process_time()
    said = None
    try:
        settings()[rule]().select(pool, picks, np.random.default_rng(0))
    except AcquisitionError as error:
        said = str(error)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert peak is not None
    return {
        "rule": rule,
        "images": images,
        "picks": picks,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "mib": int(peak.group(1)) // 1024,
        "refused": said,
    }


def read_rows(file: Path) -> list[Row]:
    """Read what was measured."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []


def measure_all(folder: Path, file: Path, names: Iterable[str], cases: Iterable[tuple[int, int]]) -> None:
    """Measure what is missing, the smallest first; a rule that was too slow is not asked for more of the same kind."""
    for images, picks in sorted(cases):
        make_pool(folder, images)
        for name in names:
            done = read_rows(file)
            if any(row["rule"] == name and (row["images"], row["picks"]) == (images, picks) for row in done):
                continue
            slow = [row for row in done if row["rule"] == name and row["refused"] == "too slow"]
            if any(row["images"] <= images and row["picks"] <= picks for row in slow):
                continue
            words = ["--one", name, "--images", str(images), "--picks", str(picks), "--folder", str(folder)]
            command = [sys.executable, "-m", "benchmarks.acquisition_scale", *words]
            try:
                ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=True)
                row = json.loads(ended.stdout.splitlines()[-1])
            except subprocess.TimeoutExpired:
                row = {"rule": name, "images": images, "picks": picks, "seconds": None, "mib": None}
                row["refused"] = "too slow"
            except subprocess.CalledProcessError as error:
                print(f"{name} {images} {picks}: {error.stderr[-2000:]}")
                continue
            print(json.dumps({**row, "refused": (row["refused"] or "")[:60]}), flush=True)
            with file.open("a", encoding="utf-8") as out:
                out.write(json.dumps(row) + "\n")


def show(rows: list[Row]) -> None:
    """Print the table, one line a rule."""
    cases = sorted({(row["images"], row["picks"]) for row in rows})
    table = Table("rule", *(f"{images:,} / {picks:,}" for images, picks in cases), title="seconds, MiB resident")
    for name in sorted({row["rule"] for row in rows}):
        cells = []
        for case in cases:
            found = [row for row in rows if row["rule"] == name and (row["images"], row["picks"]) == case]
            if not found:
                cells.append("-")
            elif found[-1]["refused"]:
                cells.append("too slow" if found[-1]["refused"] == "too slow" else "refuses")
            else:
                cells.append(f"{found[-1]['seconds']:.3g} s, {found[-1]['mib']}")
        table.add_row(name, *cells)
    Console(width=200).print(table)


def draw(rows: list[Row], file: Path) -> None:
    """Draw seconds over images at a thousand picks, and over picks at a million images."""
    import matplotlib as mpl  # noqa: PLC0415  only here

    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(1, 2, figsize=(12, 6), sharey=True)
    names = sorted({row["rule"] for row in rows})
    for axis, over, fixed, at in ((axes[0], "images", "picks", 1_000), (axes[1], "picks", "images", 1_000_000)):
        for number, name in enumerate(names):
            points = sorted(
                (row[over], row["seconds"])
                for row in rows
                if row["rule"] == name and row[fixed] == at and not row["refused"]
            )
            if points:
                marker = "os^Dv*PXd<"[number // 10 % 10]
                axis.plot(*zip(*points, strict=True), label=name, color=f"C{number % 10}", marker=marker, markersize=4)
        axis.set(xscale="log", yscale="log", xlabel=over, title=f"{at:,} {fixed}")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("seconds on one thread")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=7, ncols=1)
    figure.subplots_adjust(right=0.82)
    figure.savefig(file, dpi=110)


def main() -> None:
    """Measure, print or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/pools"))
    parser.add_argument("--rows", type=Path, default=Path("docs/results/acquisition_scale.jsonl"))
    parser.add_argument("--rules", nargs="*", default=list(settings()))
    parser.add_argument("--most", type=int, default=1_000_000, help="images of the largest pool")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--images", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--picks", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="only print what was measured")
    parser.add_argument("--picture", type=Path, help="only draw what was measured")
    words = parser.parse_args()
    if words.one:
        print(json.dumps(measure(words.folder, words.one, words.images, words.picks)))
        return
    if not (words.table or words.picture):
        words.rows.parent.mkdir(parents=True, exist_ok=True)
        measure_all(words.folder, words.rows, words.rules, [case for case in CASES if case[0] <= words.most])
    if words.picture:
        draw(read_rows(words.rows), words.picture)
    show(read_rows(words.rows))


if __name__ == "__main__":
    main()
