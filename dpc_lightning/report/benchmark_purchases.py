"""What the arms of a benchmark bought: counts from the rows, classes and images from the folders of the jobs."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from dpc_lightning.errors import DataError
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM, Result
from dpc_lightning.report.benchmark_data import BenchmarkData, mean_of
from dpc_lightning.report.page import Block, Gallery, Heading, Text
from dpc_lightning.report.run_files import Bought, pool_images, read_config, read_purchases
from dpc_lightning.report.run_purchases import gallery_of
from dpc_lightning.report.table import Column, Table, Value
from dpc_lightning.report.thumbnails import Thumbnails
from dpc_lightning.run_dir import RunDir

__all__ = ["benchmark_purchases"]

SHOWN = 8
"""Images shown of an arm."""

ALL_BYTES = 1_000_000
"""Bytes of all images together, at most."""

Purchase = tuple[str, str, int, float | None]
"""Study, arm, labels, seconds."""


def benchmark_purchases(data: BenchmarkData) -> tuple[Block, ...]:
    """Show how many images each arm bought, of which classes, and the first ones of one seed.

    Args:
        data: rows and statistics.
    """
    cells = _cells(data.plain, data.folder)
    if not cells:
        return (Text("No finished result says what was bought.", "empty"),)
    blocks: list[Block] = [_counts(cells)]
    bought, problems = _from_folders(data.folder, cells)
    blocks += [Text(problem, "warning") for problem in problems]
    if not bought:
        why = f"The folders of the jobs are not in {data.folder / 'jobs'}, so labels and images cannot be shown."
        return (*blocks, Text(why, "empty"))
    return (*blocks, *_by_class(cells, bought), *_galleries(data.folder, cells, bought))


def _cells(rows: Iterable[Result], folder: Path) -> dict[Purchase, list[Result]]:
    """Group rows by what was bought. A purchase that several pipelines judged counts once, by the job that is there."""
    found: dict[Purchase, dict[int, Result]] = defaultdict(dict)

    def place(row: Result) -> tuple[str, int, float, bool, str, bool]:
        gone = not _file(folder, row).is_file()
        return row.study, row.labels, row.seconds or 0.0, row.arm != RANDOM, row.arm, gone

    for row in sorted(rows, key=place):
        if row.arm not in {NONE, ALL} and row.bought:
            found[row.study, row.arm, row.labels, row.seconds].setdefault(row.seed, row)
    return {cell: list(by_seed.values()) for cell, by_seed in found.items()}


def _file(folder: Path, row: Result) -> Path:
    return RunDir(folder / "jobs" / row.key).purchases


def _counts(cells: dict[Purchase, list[Result]]) -> Table:
    columns = (
        Column("arm"),
        Column("study"),
        Column("labels allowed", number=True),
        Column("seconds allowed", number=True),
        Column("seeds", number=True),
        Column("labels bought, mean", digits=1),
        Column("different images over the seeds", number=True),
    )
    rows: list[tuple[Value, ...]] = []
    for (study, arm, labels, seconds), found in cells.items():
        mean = mean_of(float(row.bought) for row in found)
        different = len({index for row in found for index in row.indices}) or None
        rows.append((arm, study, labels, seconds, len(found), mean, different))
    return Table("purchases", "What was bought, over the seeds", columns, tuple(rows))


def _from_folders(folder: Path, cells: dict[Purchase, list[Result]]) -> tuple[dict[str, tuple[Bought, ...]], list[str]]:
    """Read the purchases of every job whose folder is there, by the job's key."""
    bought, problems = {}, []
    for row in (row for rows in cells.values() for row in rows):
        try:
            found = read_purchases(_file(folder, row))
        except DataError as error:
            problems.append(str(error))
            continue
        if found:
            bought[row.key] = found
    return bought, problems


def _by_class(cells: dict[Purchase, list[Result]], bought: dict[str, tuple[Bought, ...]]) -> list[Block]:
    """Count labels found by class, for every 100 images bought; the colour is the difference to random."""
    classes = list(dict.fromkeys(name for rows in cells.values() for row in rows for name in row.f1_per_class))
    shares: dict[Purchase, list[float]] = {}
    for cell, rows in cells.items():
        images = [image for row in rows for image in bought.get(row.key, ())]
        if images:
            found = [sum(name in image.labels for image in images) for name in classes]
            shares[cell] = [100 * count / len(images) for count in (*found, sum(not image.labels for image in images))]
    if not shares:
        return []
    columns = (
        Column("arm"),
        Column("study"),
        Column("labels", number=True),
        Column("seconds allowed", number=True),
        *(Column(name, digits=1) for name in (*classes, "clean")),
    )
    heat = []
    for (study, _, labels, seconds), mine in shares.items():
        random = shares.get((study, RANDOM, labels, seconds), [0.0] * len(mine))
        warm = [value / other - 1 if other else None for value, other in zip(mine, random, strict=True)]
        heat.append((None, None, None, None, *warm))
    rows_of = tuple((arm, study, labels, seconds, *of) for (study, arm, labels, seconds), of in shares.items())
    title = "Images with each class, for 100 bought; the colour is the difference to random"
    return [Table("bought_classes", title, columns, rows_of, tuple(heat))]


def _galleries(folder: Path, cells: dict[Purchase, list[Result]], bought: dict[str, tuple[Bought, ...]]) -> list[Block]:
    """Show what every arm liked best: for each study one budget in the middle, and one seed."""
    blocks: list[Block] = []
    thumbnails = Thumbnails(ALL_BYTES)
    for study in dict.fromkeys(cell[0] for cell in cells):
        budgets = sorted({cell[2] for cell in cells if cell[0] == study and cell[1] != RANDOM}) or [0]
        middle = budgets[len(budgets) // 2]
        rows = [row for cell, of in cells.items() if (cell[0], cell[2]) == (study, middle) for row in of]
        there = [row for row in rows if row.key in bought]
        if not there:
            continue
        seed = min(row.seed for row in there)
        blocks.append(Heading(f"{study}, {middle} labels, seed {seed}: what was preferred most"))
        blocks += _arms(folder, [row for row in there if row.seed == seed], bought, thumbnails)
    if thumbnails.missing:
        blocks.append(Text(f"{thumbnails.missing} images are not where they were and could not be shown.", "empty"))
    return blocks


def _arms(
    folder: Path, rows: list[Result], bought: dict[str, tuple[Bought, ...]], thumbnails: Thumbnails
) -> Iterator[Gallery]:
    for row in sorted(rows, key=lambda row: (row.arm != RANDOM, row.arm)):
        images = pool_images(read_config(folder / "jobs" / row.key / "config.yaml"))
        title = row.arm if row.seconds is None else f"{row.arm}, {row.seconds:g} s"
        yield gallery_of(title, list(bought[row.key][:SHOWN]), images or folder, thumbnails)
