"""What a run bought: counts by round and class, why, and the images."""

from collections import Counter
from itertools import groupby
from pathlib import Path

import dpc_lightning.acquisition as rules
from dpc_lightning.report.charts import draw_stacks, legend_below
from dpc_lightning.report.page import Block, Drawing, Gallery, Image, Text
from dpc_lightning.report.run_files import Bought, RunFiles
from dpc_lightning.report.svg import drawing, svg_of
from dpc_lightning.report.table import Column, Table
from dpc_lightning.report.thumbnails import Thumbnails

__all__ = ["gallery_of", "what_was_bought", "why"]

PER_ROUND = 16
"""Images shown of a round at most."""

ALL_IMAGES = 120
"""Images shown at most."""

LABELS_SHOWN = 4
"""Labels under an image at most."""


def what_was_bought(files: RunFiles) -> tuple[Block, ...]:
    """Show counts by round and class, the reason, and the most preferred images of every round.

    Args:
        files: what the run left.
    """
    if not files.purchases:
        return (Text("Nothing was bought.", "empty"),)
    rounds = [(number, list(rows)) for number, rows in groupby(files.purchases, key=lambda row: row.round)]
    classes = [str(name) for name in files.summary["classes"]]
    table = _counts(rounds, classes)
    clean = sum(not row.labels for row in files.purchases)
    about = (
        f"{len(files.purchases)} labels in {len(rounds)} rounds; {clean} of the images turned out clean. An image with "
        "several labels counts for each of them."
    )
    title = "Labels found by round and class"
    with drawing(height=1.5 + 0.34 * len(rounds)) as figure:
        axes = figure.add_subplot()
        parts = {name: [sum(name in row.labels for row in rows) for _, rows in rounds] for name in classes}
        parts["clean"] = [sum(not row.labels for row in rows) for _, rows in rounds]
        draw_stacks(axes, [f"round {number}" for number, _ in rounds], parts)
        axes.set_xlabel("labels found")
        legend_below(figure)
        svg = svg_of(figure, "labels", title, about)
    return (
        Text(why(files.summary["acquisition"])),
        Drawing("labels", title, about, svg, table),
        *_galleries(rounds, files.images),
    )


def why(rule: str) -> str:
    """Say how a rule picks and what its score is, in the words of its own documentation.

    Args:
        rule: name of its class.

    Example:
        >>> why("Badge")[:65]
        'Badge: draws images whose gradients are large and unlike each oth'
    """
    found = getattr(rules, rule, None)
    if found is None or not found.__doc__:
        return f"{rule} is no rule of this package: its own documentation says what its scores mean."
    paragraphs = [" ".join(part.split()) for part in found.__doc__.split("\n\n")]
    score = next((part.partition("Cost:")[0] for part in paragraphs if part.startswith("Score:")), "")
    first = paragraphs[0]
    return f"{rule}: {first[0].lower()}{first[1:]} {score}".strip()


def _counts(rounds: list[tuple[int, list[Bought]]], classes: list[str]) -> Table:
    rows, heat = [], []
    for number, bought in rounds:
        counts = Counter(label for row in bought for label in row.labels)
        clean = sum(not row.labels for row in bought)
        scores = [row.score for row in bought if row.score is not None]
        limits = (min(scores), max(scores)) if scores else (None, None)
        rows.append((number, len(bought), clean, *(counts[name] for name in classes), *limits))
        shares = [counts[name] / len(bought) for name in classes]
        heat.append((None, None, None, *shares, None, None))
    return Table(
        "bought",
        "Bought by round: images of each class, and the scores that they were picked for",
        (
            Column("round", number=True),
            Column("bought", number=True),
            Column("clean", number=True),
            *(Column(name, number=True) for name in classes),
            Column("lowest score", digits=3),
            Column("highest score", digits=3),
        ),
        tuple(rows),
        tuple(heat),
    )


def _galleries(rounds: list[tuple[int, list[Bought]]], images: Path | None) -> list[Block]:
    if images is None or not images.is_dir():
        said = "config.yaml does not say where they were" if images is None else f"{images} is not there any more"
        return [Text(f"The images cannot be shown: {said}.", "empty")]
    per_round = max(1, min(PER_ROUND, ALL_IMAGES // len(rounds)))
    thumbnails = Thumbnails()
    shown: list[Block] = []
    for number, bought in rounds[:ALL_IMAGES]:
        some = bought[:per_round]
        title = f"Round {number}: the {len(some)} most preferred of {len(bought)}"
        shown.append(gallery_of(title, some, images, thumbnails))
    return shown


def gallery_of(title: str, bought: list[Bought], images: Path, thumbnails: Thumbnails) -> Gallery:
    """Show bought images with index, score and labels.

    Args:
        title: the heading.
        bought: which ones.
        images: the pool's folder of images.
        thumbnails: makes the small pictures.
    """
    found = []
    for row in bought:
        labels = [*row.labels[:LABELS_SHOWN], *(["and more"] if len(row.labels) > LABELS_SHOWN else [])] or ["clean"]
        score = [] if row.score is None else [f"score {row.score:.3g}"]
        alt = f"image {row.index} of the pool, {', '.join(row.labels) or 'clean'}"
        found.append(Image(thumbnails.address(images / row.image), alt, (f"#{row.index}", *score, *labels)))
    return Gallery(title, tuple(found))
