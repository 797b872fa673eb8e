"""Where the seconds of a benchmark went: means over the seeds, by activity."""

from collections.abc import Mapping, Sequence

from dpc_lightning.evaluation.result import ALL, NONE, Result
from dpc_lightning.report.benchmark_data import REFERENCES, BenchmarkData, Cell, mean_of, slug
from dpc_lightning.report.charts import draw_stacks, legend_below
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.svg import drawing, svg_of
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["time_section"]

ACTIVITIES = ("pretrain", "score", "pick", "buy", "train")


def time_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show the mean seconds by activity; the picture is of the largest budget of a study and pipeline.

    Args:
        data: rows and statistics.
    """
    blocks = [_drawing(study, pipeline, cells) for (study, pipeline), cells in data.by_judge.items()]
    return tuple(blocks) or (Text("No result is finished, so no time can be shown.", "empty"),)


def _drawing(study: str, pipeline: str, cells: Mapping[Cell, Sequence[Result]]) -> Drawing:
    largest = max((labels for arm, labels, _ in cells if arm not in REFERENCES), default=None)
    shown = {cell: rows for cell, rows in cells.items() if largest in {None, cell[1]} or cell[0] in {NONE, ALL}}
    parts = {
        name: [mean_of(row.spent.get(name, 0.0) for row in rows) or 0.0 for rows in shown.values()]
        for name in ACTIVITIES
    } | {"evaluate": [mean_of(row.evaluate_seconds for row in rows) or 0.0 for rows in shown.values()]}
    name = slug("time", study, pipeline)
    title = f"Seconds by activity: {study}, {pipeline}"
    about = (
        f"Means over the seeds, for {largest or 'all'} labels beside none and all. Seconds of a start model that "
        "several jobs share count in each."
    )
    with drawing(height=1.4 + 0.3 * len(shown)) as figure:
        axes = figure.add_subplot()
        draw_stacks(axes, [arm if seconds is None else f"{arm}, {seconds:g} s" for arm, _, seconds in shown], parts)
        axes.set_xlabel("seconds")
        legend_below(figure, 6)
        svg = svg_of(figure, name, title, about)
    return Drawing(name, title, about, svg, _table(study, pipeline, cells))


def _table(study: str, pipeline: str, cells: Mapping[Cell, Sequence[Result]]) -> Table:
    columns = (
        Column("arm"),
        Column("labels", number=True),
        Column("seconds allowed", number=True),
        Column("labels bought", digits=1),
        Column("seeds", number=True),
        *(Column(f"{name} s", digits=2) for name in (*ACTIVITIES, "evaluate", "whole job")),
    )
    table_rows: list[tuple[Value, ...]] = []
    for (arm, labels, seconds), rows in cells.items():
        spent = [mean_of(row.spent.get(name, 0.0) for row in rows) for name in ACTIVITIES]
        whole = (mean_of(row.evaluate_seconds for row in rows), mean_of(row.wall_seconds for row in rows))
        bought = mean_of(float(row.bought) for row in rows)
        table_rows.append((arm, labels, seconds, bought, len(rows), *spent, *whole))
    title = f"Mean seconds by activity: {study}, {pipeline}"
    return Table(slug("time", study, pipeline), title, columns, tuple(table_rows))
