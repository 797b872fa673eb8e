"""Write a data root of generated sheets, in parallel, completely or not at all."""

import csv
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import IO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import dpc_lightning
from dpc_lightning.data.synthetic.settings import CLASSES, SPLITS, SheetSettings, Split
from dpc_lightning.data.synthetic.worker import Row, Stretch, image_name, write_stretches
from dpc_lightning.data.whole_folder import check_description, whole_folder, write_description
from dpc_lightning.errors import ConfigError

__all__ = ["GENERATOR_VERSION", "SETTINGS_FILE", "write_sheets"]

GENERATOR_VERSION = 1
"""Goes up when the same settings give other pixels or labels."""

SETTINGS_FILE = "sheets.json"
"""File in the data root that says what the sheets were generated from."""

_STRETCH_PIXELS = 50 * 64 * 64  # about a tenth of a second of work: often enough for a progress bar
_WORKER_PIXELS = 400 * 64 * 64  # a process pays for its start of about .3 s from here on

Finished = tuple[Stretch, list[Row]]


def write_sheets(root: Path, settings: SheetSettings, *, workers: int | None = None, progress: bool = True) -> None:
    """Write generated sheets as a data root: `training/ unlabelled/ validation/ test/`, each `images/` + `labels.csv`.

    The root is complete or absent: it is written under another name beside it and renamed at the end, and what a killed
    process left is removed by the next. Two processes may call this at once: one writes, the other waits. A root that
    holds sheets of the same settings is left as it is.

    Args:
        root: the folder to make.
        settings: what is generated.
        workers: processes; by default one a processor core that this process may use, and fewer for few images. The
            number changes no pixel.
        progress: whether a bar is shown on standard error.

    Raises:
        DataError: if `root` holds anything else, or cannot be written.
        ConfigError: if `workers` is not a positive number.
    """
    with whole_folder(root) as folder:
        if folder is None:
            check_description(root, SETTINGS_FILE, _description(settings), "`data.generator`")
            return
        stretches = _stretches(settings)
        splits = [split for split in SPLITS if settings.count(split) or split != "validation"]
        for split in splits:
            (folder / split / "images").mkdir(parents=True)
        count = _worker_count(settings, workers)
        finished = (
            write_stretches(folder, settings, stretches) if count == 1 else _spread(folder, settings, stretches, count)
        )
        with closing(finished):
            rows = _collect(finished, settings, progress=progress)
        for split in splits:
            _write_labels(folder / split / "labels.csv", rows[split])
        write_description(folder, SETTINGS_FILE, _description(settings))


def _description(settings: SheetSettings) -> dict[str, object]:
    return {"generator": "dpc_lightning.data.synthetic", "version": GENERATOR_VERSION, **settings.as_dict()}


def _stretches(settings: SheetSettings) -> list[Stretch]:
    step = max(1, _STRETCH_PIXELS // settings.px**2)
    return [
        Stretch(split, start, min(start + step, settings.count(split)))
        for split in SPLITS
        for start in range(0, settings.count(split), step)
    ]


def _worker_count(settings: SheetSettings, workers: int | None) -> int:
    if workers is not None and (isinstance(workers, bool) or workers < 1):
        msg = f"Expected `workers` to be a whole number of at least 1 or null, but got {workers!r}."
        raise ConfigError(msg)
    pixels = sum(settings.count(split) for split in SPLITS) * settings.px**2
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    most = min(cores, max(1, pixels // _WORKER_PIXELS)) if workers is None else workers
    return min(most, len(_stretches(settings)))


def _collect(finished: Iterator[Finished], settings: SheetSettings, *, progress: bool) -> dict[Split, list[Row]]:
    """Put the rows of all finished stretches in order while a bar moves."""
    rows: dict[Split, list[Row]] = {split: [([], "")] * settings.count(split) for split in SPLITS}
    columns = TextColumn("[progress.description]{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not progress) as bar:
        task = bar.add_task("generating sheets", total=sum(map(settings.count, SPLITS)))
        for stretch, part in finished:
            rows[stretch.split][stretch.start : stretch.stop] = part
            bar.advance(task, len(part))
    return rows


def _write_labels(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", "group", *CLASSES))
        writer.writerows((image_name(index), group, *labels) for index, (labels, group) in enumerate(rows))


def _spread(
    folder: Path, settings: SheetSettings, stretches: Sequence[Stretch], count: int
) -> Generator[Finished, None, None]:
    """Have `count` processes write the stretches, and give them as they are finished, in any order."""
    answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    processes = [_start(folder, settings, stretches[number::count]) for number in range(count)]
    readers = [threading.Thread(target=_listen, args=(process, answers), daemon=True) for process in processes]
    try:
        for reader in readers:
            reader.start()
        listening = count
        while listening:
            line = answers.get()
            if line is None:
                listening -= 1
                continue
            answer = json.loads(line)
            yield Stretch(**answer["stretch"]), [(labels, group) for labels, group in answer["rows"]]
        for process in processes:
            _check_end(process)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for reader in readers:
            reader.join()
        for process in processes:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def _start(folder: Path, settings: SheetSettings, stretches: Sequence[Stretch]) -> subprocess.Popen[str]:
    """Start one process and hand it its order."""
    package = str(Path(dpc_lightning.__file__).resolve().parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    process = subprocess.Popen(
        [sys.executable, "-m", "dpc_lightning.data.synthetic.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    order = {
        "folder": str(folder),
        "settings": asdict(settings),
        "stretches": [asdict(stretch) for stretch in stretches],
    }
    pipe = _pipe(process.stdin)
    pipe.write(json.dumps(order))
    pipe.close()
    return process


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        msg = "a worker was started without its pipes"
        raise RuntimeError(msg)
    return pipe


def _listen(process: subprocess.Popen[str], answers: "queue.SimpleQueue[str | None]") -> None:
    for line in _pipe(process.stdout):
        answers.put(line)
    answers.put(None)


def _check_end(process: subprocess.Popen[str]) -> None:
    reasons = _pipe(process.stderr).read().strip().splitlines()
    if process.wait() != 0:
        reason = reasons[-1] if reasons else f"exit code {process.returncode}"
        msg = f"a process that generates sheets failed: {reason}"
        raise OSError(msg)
