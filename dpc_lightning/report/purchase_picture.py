"""`purchases.png`: the bought images by round, with their labels."""

import csv
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from dpc_lightning.run_dir import RunDir

__all__ = ["draw_purchases"]

FIXED_COLUMNS = 5
"""order, round, index, image, score; the classes follow."""


def draw_purchases(run_dir: RunDir, per_round: int = 12) -> Path | None:
    """Draw the most preferred images of every round, each with its index and its labels.

    Args:
        run_dir: the folder of a run that has bought.
        per_round: images shown of each round at most.

    Returns:
        The picture's file, or None if nothing was bought.
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
    figure = Figure(figsize=(1.35 * per_round, 1.9 * len(rounds)), layout="constrained", dpi=100)
    axes = figure.subplots(len(rounds), per_round, squeeze=False)
    for (number, bought), line in zip(rounds, axes, strict=True):
        clean = sum(all(row[name] == "0" for name in classes) for row in bought)
        line[0].set_title(f"round {number}: {len(bought)} bought, {clean} clean", loc="left", fontsize=9, weight="bold")
        for place, row in zip(line, [*bought[:per_round], *[None] * (per_round - len(bought))], strict=False):
            _draw_image(place, row, root, classes)
    figure.savefig(run_dir.picture)
    return run_dir.picture


def _draw_image(place: Axes, row: dict[str, str] | None, root: Path, classes: Sequence[str]) -> None:
    place.set_axis_off()
    if row is None:
        return
    path = root / "unlabelled" / "images" / row["image"]
    with Image.open(path) as image:
        place.imshow(image.convert("RGB"))
    found = [name for name in classes if row[name] == "1"]
    place.text(
        0.5,
        -0.04,
        "\n".join([f"#{row['index']}", *found]) if found else f"#{row['index']}\nclean",
        transform=place.transAxes,
        ha="center",
        va="top",
        fontsize=6.5,
    )
