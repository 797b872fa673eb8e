"""Small data roots for tests: random images of a few pixels, random labels."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["CLASSES", "random_labels", "write_root", "write_split"]

CLASSES = ("scratch", "dent", "particle")


def random_labels(count: int, seed: int = 0, columns: int = len(CLASSES)) -> NDArray[np.uint8]:
    """Labels with about a third of positives, at least two of each class where there is room."""
    labels = (np.random.default_rng(seed).random((count, columns)) < 0.3).astype(np.uint8)
    for column in range(min(columns, count // 2)):
        labels[[2 * column, 2 * column + 1], column] = 1
    return labels


def write_split(
    folder: Path,
    labels: NDArray[np.uint8] | None,
    *,
    count: int | None = None,
    classes: Sequence[str] = CLASSES,
    groups: Sequence[str] | None = None,
    size: int = 8,
    prefix: str = "",
) -> None:
    """Write images, and labels.csv unless `labels` is None."""
    (folder / "images").mkdir(parents=True)
    count = len(labels) if labels is not None else count or 0
    rng = np.random.default_rng([count, *prefix.encode()])
    names = [f"{prefix}{number:04d}.png" for number in range(count)]
    for name in names:
        Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / "images" / name)
    if labels is None:
        return
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", *(["group"] if groups else []), *classes])
        for number, name in enumerate(names):
            writer.writerow([name, *([groups[number]] if groups else []), *labels[number].tolist()])


def write_root(root: Path, *, training: int = 20, pool: int = 15, test: int = 7, validation: int = 0) -> Path:
    """Write a whole root; `root` itself is returned."""
    for seed, (name, count) in enumerate(
        {"training": training, "unlabelled": pool, "test": test, "validation": validation}.items()
    ):
        if count or name == "unlabelled":
            write_split(root / name, random_labels(count, seed), prefix=name[:2])
    return root
