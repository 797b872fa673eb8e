"""`purchases.png`: the bought images by round, with their labels."""

import csv
import os
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from dpc_lightning.data.decoding import read_image
from dpc_lightning.errors import DataError, RunDirError
from dpc_lightning.run_dir import RunDir

__all__ = ["draw_purchases"]

FIXED_COLUMNS = 5
"""order, round, index, image, score; the classes follow."""

LABELS_SHOWN = 5
"""Labels under an image at most; of more, the first ones and a count of the rest."""

LETTERS = 18
"""Letters of a class name at most."""

SIDE, LINE, TITLE = 1.35, 0.125, 0.25
"""Inches: the side of an image, the height of a line under it, and that of a round's title."""


def draw_purchases(run_dir: RunDir, per_round: int = 12) -> Path | None:
    """Draw the most preferred images of every round, each with its index and its labels.

    An image that is no longer in the pool's folder leaves an empty place.

    Args:
        run_dir: the folder of a run that has bought.
        per_round: images shown of each round at most.

    Returns:
        The picture's file, complete or absent, or None if nothing was bought.

    Raises:
        RunDirError: if the picture cannot be written.
    """
    if not run_dir.purchases.exists():
        return None
    with run_dir.purchases.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        classes = (reader.fieldnames or [])[FIXED_COLUMNS:]
        rows = list(reader)
    if not rows:
        return None
    root = Path(yaml.safe_load(run_dir.config.read_text(encoding="utf-8"))["data"]["root"])
    rounds = [(number, list(bought)) for number, bought in groupby(rows, key=lambda row: row["round"])]
    _save(_figure(rounds, root / "unlabelled" / "images", classes, per_round), run_dir.picture)
    return run_dir.picture


def _figure(
    rounds: list[tuple[str, list[dict[str, str]]]], images: Path, classes: Sequence[str], per_round: int
) -> Figure:
    shown = [bought[:per_round] for _, bought in rounds]
    columns = max(4, *map(len, shown))  # a title has its room also over one image
    lines = [1 + max(len(_found(row, classes)) for row in line) for line in shown]
    heights = [SIDE + LINE * count + TITLE for count in lines]
    tall = TITLE + sum(heights)
    figure = Figure(figsize=(SIDE * 1.08 * columns, tall), dpi=100)
    spaces = {"left": 0.01, "right": 0.99, "top": 1 - TITLE / tall, "bottom": 0, "hspace": 0, "wspace": 0.08}
    grid = GridSpec(len(rounds), columns, figure, height_ratios=heights, **spaces)
    for place, ((number, bought), line) in enumerate(zip(rounds, shown, strict=True)):
        clean = sum(all(row[name] == "0" for name in classes) for row in bought)
        for column, row in enumerate(line):
            axes = figure.add_subplot(grid[place, column])
            axes.set_anchor("N")
            _draw_image(axes, row, images, classes)
            if column == 0:
                title = f"round {number}: {len(bought)} bought, {clean} clean"
                axes.set_title(title, loc="left", fontsize=9, weight="bold", y=1.0, pad=3)
    return figure


def _draw_image(axes: Axes, row: dict[str, str], images: Path, classes: Sequence[str]) -> None:
    axes.set_axis_off()
    try:
        axes.imshow(read_image(images / row["image"]))
    except DataError:  # the picture is made long after the image was trained on
        axes.imshow([[[235, 235, 235]]])
        axes.text(0.5, 0.5, "not there\nany more", transform=axes.transAxes, ha="center", va="center", fontsize=6.5)
    text = "\n".join([f"#{row['index']}", *_found(row, classes)])
    axes.text(0.5, -0.03, text, transform=axes.transAxes, ha="center", va="top", fontsize=6.5, parse_math=False)


def _found(row: dict[str, str], classes: Sequence[str]) -> list[str]:
    found = [_short(name) for name in classes if row[name] == "1"]
    if len(found) > LABELS_SHOWN:
        found = [*found[: LABELS_SHOWN - 1], f"and {len(found) - LABELS_SHOWN + 1} more"]
    return found or ["clean"]


def _short(name: str) -> str:
    return name if len(name) <= LETTERS else f"{name[: LETTERS // 2]}…{name[1 - LETTERS // 2 :]}"


def _save(figure: Figure, path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        figure.savefig(draft, format="png")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        msg = f"Cannot write {path}: {error.strerror or error}. Make room or set permissions, then start again."
        raise RunDirError(msg) from error
