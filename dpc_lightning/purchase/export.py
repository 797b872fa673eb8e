"""Purchases as a table that any program reads."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from dpc_lightning.atomic import write_text
from dpc_lightning.purchase.ledger import Purchases

__all__ = ["write_purchases"]


def write_purchases(path: Path, purchases: Purchases, images: Sequence[str], classes: Sequence[str]) -> None:
    """Write `purchases.csv`: order, round, index, image, score, then one 0/1 column a class.

    Args:
        path: the file; complete or absent.
        purchases: rows of the ledger in the order of purchase.
        images: file name of every image of the pool, by index.
        classes: names of the classes, in the order of the label columns.

    Raises:
        RunDirError: if the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["order", "round", "index", "image", "score", *classes])
    columns = (purchases.order, purchases.round, purchases.index, purchases.score)
    for (order, round_number, index, score), labels in zip(zip(*columns, strict=True), purchases.labels, strict=True):
        shown = "" if score != score else f"{score:.6g}"  # NaN: the rule has no score  # noqa: PLR0124
        writer.writerow([int(order), int(round_number), int(index), images[int(index)], shown, *map(int, labels)])
    write_text(path, text.getvalue())
