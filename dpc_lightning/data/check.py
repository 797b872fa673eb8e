"""Read everything in a data root and say what is wrong with it: all of it, not only the first thing.

This is a person's command. It also reads the hidden labels of the pool, which in a run only the simulated oracle may.
"""

import csv
import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from dpc_lightning.data.decoding import read_image
from dpc_lightning.data.manifest import list_images, read_labelled
from dpc_lightning.data.root_report import RootReport, SplitReport
from dpc_lightning.errors import DataError

__all__ = ["check_root"]

SPLITS = ("training", "unlabelled", "validation", "test")


def check_root(root: Path, *, progress: bool = True) -> RootReport:
    """Read all tables and decode all images of a data root. Nothing is written.

    Args:
        root: a folder with `training/ unlabelled/ test/` and optionally `validation/`.
        progress: whether a bar is shown on standard error.

    Returns:
        Counts, errors and warnings; a root without errors has an empty list of them.

    Raises:
        DataError: if `root` is no folder.
    """
    if not root.is_dir():
        msg = f"Expected a data root at {root}, but there is no such folder. Make one with `dpc_lightning data`."
        raise DataError(msg)
    report = RootReport(root)
    for name in SPLITS:
        if (root / name).is_dir():
            report.splits.append(_read_split(report, name))
        elif name != "validation":
            report.errors.append(f"{root / name} is missing: a data root holds training/, unlabelled/ and test/.")
    _compare_classes(report)
    _compare_groups(report)
    _compare_pixels(report, _decode_all(report, progress=progress))
    return report


def _read_split(report: RootReport, name: str) -> SplitReport:
    """Read the table and the names of one split, and note all that is wrong with them."""
    folder, split = report.root / name, SplitReport(name)
    before = len(report.errors)
    try:
        split.files = list_images(folder)
    except DataError as error:
        report.errors.append(str(error))
    table = folder / "labels.csv"
    if table.is_file():
        _read_table(report, split, table)
    elif name == "unlabelled":
        split.listed = list(split.files)
        report.warnings.append(f"{table} is not there: labels can only be bought from people, not from a simulation.")
    else:
        report.errors.append(f"{table} is missing. List the images of {folder / 'images'} in it with their labels.")
        return split
    report.errors += [f"{table} lists {image}, but it is not in {folder / 'images'}." for image in split.absent]
    report.errors += [f"{folder / 'images' / image} is not listed in {table}." for image in split.unlisted]
    if not split.listed and name != "unlabelled":
        report.errors.append(f"{table} lists no image.")
    if len(report.errors) == before and name != "unlabelled":
        _read_strictly(report, folder)
    return split


def _read_strictly(report: RootReport, folder: Path) -> None:
    """Let the reader that a run uses have the last word."""
    try:
        read_labelled(folder)
    except DataError as error:
        report.errors.append(str(error))


def _read_table(report: RootReport, split: SplitReport, file: Path) -> None:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = [cell.strip() for cell in next(reader, [])]
            rows = [(reader.line_num, row) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        report.errors.append(f"{file} cannot be read as a comma separated file in UTF-8: {error}.")
        return
    if "image" not in header or len(set(header)) < len(header) or "" in header:
        report.errors.append(f"Expected a column `image` and one for each class in line 1 of {file}, but got {header}.")
        return
    split.classes = tuple(cell for cell in header if cell not in {"image", "group"})
    if not split.classes and split.name != "unlabelled":
        report.errors.append(f"{file} has no class column.")
    seen: set[str] = set()
    for line, row in rows:
        problem = _read_row(split, header, row, seen)
        if problem:
            report.errors.append(f"Line {line} of {file}: {problem}.")


def _read_row(split: SplitReport, header: Sequence[str], row: Sequence[str], seen: set[str]) -> str | None:
    """Take in one row, and say what is wrong with it."""
    if len(row) != len(header):
        return f"expected {len(header)} cells, but got {len(row)}"
    cells = dict(zip(header, row, strict=True))
    image = cells["image"]
    if not image or image in {".", ".."} or any(mark in image for mark in "/\\\0"):
        return f"expected the name of a file in images/, but got {image!r}"
    if image in seen:
        return f"{image} is listed before"
    seen.add(image)
    split.listed.append(image)
    if "group" in cells:
        if not cells["group"].strip():
            return "the group is empty"
        split.groups[image] = cells["group"].strip()
    values = {name: cells[name].strip() for name in split.classes}
    wrong = [f"`{name}` is {value!r}" for name, value in values.items() if value not in {"0", "1"}]
    if wrong:
        return f"expected 0 or 1, but {', '.join(wrong)}"
    split.labels[image] = tuple(int(value) for value in values.values())
    return None


def _compare_classes(report: RootReport) -> None:
    """Compare the class columns with those of training, and look for classes without an example."""
    for split in report.splits:
        table = report.root / split.name / "labels.csv"
        bare_pool = split.name == "unlabelled" and not split.classes
        if split.classes != report.classes and not bare_pool and report.classes:
            report.errors.append(
                f"Expected the classes of training in their order, {list(report.classes)}, in {table}, "
                f"but got {list(split.classes)}."
            )
        report.warnings += [
            f"{table}: no image has the class {name}." for name in split.classes if split.prevalence(name) == 0
        ]


def _compare_groups(report: RootReport) -> None:
    """Look for groups that span two splits."""
    homes: dict[str, dict[str, str]] = defaultdict(dict)
    for split in report.splits:
        for image, group in split.groups.items():
            homes[group].setdefault(split.name, image)
    for group, examples in homes.items():
        if len(examples) > 1:
            where = " and ".join(f"{name} ({image})" for name, image in examples.items())
            report.errors.append(f"Group {group} spans the splits {where}. Move its images into one split.")
    for split in report.splits:
        split.shared_groups = sum(len(homes[group]) > 1 for group in set(split.groups.values()))


Pixels = Mapping[tuple[str, str], bytes]
"""Digest of the decoded pixels by (split, image)."""


def _decode_all(report: RootReport, *, progress: bool) -> Pixels:
    """Decode every file in threads and keep a digest of its pixels."""
    files = [(split, name) for split in report.splits for name in split.files]
    digests: dict[tuple[str, str], bytes] = {}
    columns = TextColumn("[progress.description]{task.description}"), BarColumn(), MofNCompleteColumn()

    def look(split: SplitReport, name: str) -> tuple[tuple[int, int], bytes, bool] | str:
        try:
            pixels = read_image(report.root / split.name / "images" / name)
        except DataError as error:
            return str(error)
        digest = hashlib.blake2b(repr(pixels.shape).encode() + pixels.tobytes(), digest_size=16)
        return (pixels.shape[1], pixels.shape[0]), digest.digest(), bool((pixels == pixels[:1, :1]).all())

    with (
        Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), disable=not progress) as bar,
        ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool,
    ):
        task = bar.add_task("reading images", total=len(files))
        for (split, name), seen in zip(files, pool.map(lambda file: look(*file), files), strict=True):
            bar.advance(task)
            if isinstance(seen, str):
                split.unreadable.append(name)
                report.errors.append(seen)
            else:
                split.sizes.add(seen[0])
                digests[split.name, name] = seen[1]
                if seen[2]:
                    split.blank.add(name)
    return digests


def _compare_pixels(report: RootReport, digests: Pixels) -> None:
    """Look for images with the same pixels, within and across splits."""
    same: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for key, digest in digests.items():
        same[digest].append(key)
    sets = [keys for keys in same.values() if len(keys) > 1]
    pairs: dict[tuple[str, str], list[str]] = defaultdict(list)
    blank = {(split.name, image) for split in report.splits for image in split.blank}
    for keys in sorted(sets, key=lambda same: same[0] in blank):
        for split in report.splits:
            inside = [image for name, image in keys if name == split.name]
            if not inside:
                continue
            outside = {name: image for name, image in reversed(keys) if name != split.name}
            split.twins_inside += len(inside) - 1
            split.twins_outside += len(inside) if outside else 0
            for name, image in outside.items():
                pairs[split.name, name] += [f"{own} = {image}" for own in inside]
            if len(inside) > 1:
                pairs[split.name, split.name] += [f"{own} = {inside[0]}" for own in inside[1:]]
    order = [split.name for split in report.splits]
    for (name, other), twins in sorted(pairs.items(), key=lambda pair: [order.index(split) for split in pair[0]]):
        if order.index(name) <= order.index(other):
            where = f"{other}/" if name != other else f"{name}/ itself"
            report.warnings.append(
                f"{len(twins)} images of {name}/ have the same pixels as one of {where}: {twins[0]}"
                f"{_blanks(report, name, twins)}."
            )
    contrary = [keys for keys in sets if len(_labels_of(report, keys)) > 1]
    if contrary:
        first = " and ".join("/".join(key) for key in contrary[0][:2])
        report.warnings.append(f"{len(contrary)} sets of images with the same pixels have different labels: {first}.")


def _blanks(report: RootReport, name: str, twins: Sequence[str]) -> str:
    """Say how many of some twins are blank, for blank images are bound to be equal."""
    blank = next(split.blank for split in report.splits if split.name == name)
    count = sum(twin.split(" = ")[0] in blank for twin in twins)
    return f" ({count} of a single colour)" if count else ""


def _labels_of(report: RootReport, keys: Sequence[tuple[str, str]]) -> set[tuple[int, ...]]:
    labels = {split.name: split.labels for split in report.splits}
    return {labels[name][image] for name, image in keys if image in labels[name]}
