"""Purchases as a table that any program reads."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from dpc_lightning.atomic import write_text
from dpc_lightning.purchase.ledger_view import Purchases

__all__ = ["purchases_as_csv", "write_purchases"]


def purchases_as_csv(purchases: Purchases, images: Sequence[str] | None, classes: Sequence[str]) -> str:
    """Give purchases as CSV: order, round, index, image, score, then one 0/1 column a class.

    Args:
        purchases: rows of the ledger in the order of purchase.
        images: file name of every image of the pool, by index; None leaves out the column, for the ledger has no names.
        classes: names of the classes, in the order of the label columns.

    Returns:
        The text; a rule without scores leaves that column empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["order", "round", "index", *(["image"] if images is not None else []), "score", *classes])
    for place, index in enumerate(purchases.index.tolist()):
        score = float(purchases.score[place])
        name = [images[index]] if images is not None else []
        shown = "" if math.isnan(score) else f"{score:.6g}"
        labels = purchases.labels[place].tolist()
        writer.writerow([purchases.order[place], purchases.round[place], index, *name, shown, *labels])
    return text.getvalue()


def write_purchases(path: Path, purchases: Purchases, images: Sequence[str], classes: Sequence[str]) -> None:
    """Write `purchases.csv`; see `purchases_as_csv`.

    Args:
        path: the file; complete or absent.
        purchases: rows of the ledger in the order of purchase.
        images: file name of every image of the pool, by index.
        classes: names of the classes, in the order of the label columns.

    Raises:
        RunDirError: if the file cannot be written.
    """
    write_text(path, purchases_as_csv(purchases, images, classes))
