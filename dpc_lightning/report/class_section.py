"""F1 by class of every arm: means over the seeds."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from dpc_lightning.evaluation.result import ALL, NONE, RANDOM
from dpc_lightning.report.benchmark_data import REFERENCES, BenchmarkData, Cell, mean_of, said_of_left_out, slug
from dpc_lightning.report.charts import legend_below, plain
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.svg import INK, MARKERS, SERIES, drawing, svg_of
from dpc_lightning.report.table import Column, Table

__all__ = ["class_section"]

Means = Mapping[Cell, list[float | None]]
"""By arm and budget, the mean F1 of every class."""


def class_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show the mean F1 of every class for every arm; the picture is of the largest budget of a study and pipeline.

    Args:
        data: rows and statistics.
    """
    blocks: list[Block] = []
    for (study, pipeline), cells in data.by_judge.items():
        classes = list(dict.fromkeys(name for rows in cells.values() for row in rows for name in row.f1_per_class))
        if classes:
            means = {
                cell: [mean_of(row.f1_per_class.get(name) for row in rows) for name in classes]
                for cell, rows in cells.items()
            }
            blocks.append(_drawing(data, f"{study}, {pipeline}", classes, means))
    return tuple(blocks) or (Text("No result has an F1 by class.", "empty"),)


def _drawing(data: BenchmarkData, where: str, classes: list[str], means: Means) -> Drawing:
    largest = max([labels for arm, labels, _ in means if arm not in REFERENCES] or [labels for _, labels, _ in means])
    title = f"F1 by class: {where}"
    shown = {cell: values for cell, values in means.items() if cell[0] in {NONE, ALL} or cell[1] == largest}
    scores: dict[str, float] = {}
    for (arm, _, _), values in shown.items():
        scores[arm] = max(scores.get(arm, 0.0), mean_of(values) or 0.0)
    series = data.told_apart(scores)
    left_out = len(set(scores) - set(series) - {NONE, ALL})
    about = (
        f"Means over the seeds at {largest} labels, beside none and all. In the table, the colour of a cell is its "
        "difference to random at the same budget."
    ) + said_of_left_out(left_out)
    columns = (
        Column("arm"),
        Column("labels", number=True),
        Column("seconds allowed", number=True),
        *(Column(name, digits=3) for name in classes),
    )
    rows = tuple((arm, labels, seconds, *values) for (arm, labels, seconds), values in means.items())
    table = Table(slug("f1", where), f"Mean test F1 by class: {where}", columns, rows, _heat(means))
    with drawing(height=1.5 + 0.34 * len(classes)) as figure:
        axes = figure.add_subplot()
        for (arm, _, _), values in shown.items():
            if arm in {NONE, ALL}:
                _draw(axes, arm, values, INK, "<" if arm == NONE else ">")
            elif arm in series:
                _draw(axes, arm, values, SERIES[series[arm]], MARKERS[series[arm]])
        axes.set_yticks(range(len(classes)), [plain(name) for name in classes])
        axes.set_ylim(len(classes) - 0.5, -0.5)
        axes.set_xlabel("mean test F1")
        legend_below(figure)
        svg = svg_of(figure, slug("f1", where), title, about)
    return Drawing(slug("f1", where), title, about, svg, table)


def _draw(axes: Axes, arm: str, values: list[float | None], colour: str, marker: str) -> None:
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    across, down = [value for value, _ in known], [place for _, place in known]
    axes.plot(across, down, color=colour, marker=marker, linestyle="none", label=plain(arm), markersize=6)


def _heat(means: Means) -> tuple[tuple[float | None, ...], ...]:
    """Colour every cell by its difference to random at the same budget; a tenth is the full colour."""
    rows = []
    for (arm, labels, seconds), values in means.items():
        beside = means.get((RANDOM, labels, seconds), [None] * len(values))
        warm = [
            None if arm == RANDOM or mine is None or other is None else (mine - other) * 10
            for mine, other in zip(values, beside, strict=True)
        ]
        rows.append((None, None, None, *warm))
    return tuple(rows)
