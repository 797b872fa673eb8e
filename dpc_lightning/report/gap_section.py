"""How much of the gap between random and all labels each arm closes."""

import math
from itertools import groupby

from dpc_lightning.report.benchmark_data import BenchmarkData, slug
from dpc_lightning.report.charts import Point, draw_points, plain
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.svg import MUTED, drawing, svg_of
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["gap_section"]

LEFT, RIGHT = -1.0, 2.0
"""Shares between which a picture shows intervals; the table has them whole."""


def gap_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Draw the shares of the gap for every study and pipeline.

    Args:
        data: rows and statistics.
    """
    if isinstance(data.comparison, str):
        return (Text(f"There are no shares: {data.comparison}", "empty"),)
    blocks: list[Block] = []
    for (study, pipeline), cases in groupby(data.cases, key=lambda case: (case.case.study, case.case.pipeline)):
        points: list[Point] = []
        rows: list[tuple[Value, ...]] = []
        for case in cases:
            shares = [(arm.arm, arm.gap) for arm in case.arms if arm.gap is not None]
            for name, gap in sorted(shares, key=lambda found: -found[1].share):
                ends = gap.interval
                label = f"{case.case.labels}" + ("" if case.case.seconds is None else f" / {case.case.seconds:g} s")
                low, high = max(ends.low, LEFT), min(ends.high, RIGHT)
                points.append(
                    Point(
                        f"{plain(name)} {label}",
                        min(max(gap.share, LEFT), RIGHT),
                        low,
                        high,
                        data.series(name),
                    )
                )
                place = (name, case.case.labels, case.case.seconds)
                rows.append((*place, gap.n, gap.share, ends.low, ends.high, gap.gap))
        if points:
            blocks.append(_drawing(study, pipeline, points, rows))
    why = "No share can be given: that all labels are better than random was not measured, or is not shown."
    return tuple(blocks) or (Text(why, "empty"),)


def _drawing(study: str, pipeline: str, points: list[Point], rows: list[tuple[Value, ...]]) -> Drawing:
    title = f"Gap closed: {study}, {pipeline}"
    best = max(rows, key=lambda row: row[4] if isinstance(row[4], float) else -math.inf)
    about = (
        "0 is as good as random, 1 as good as owning every label; lines are 95 % intervals (Fieller). The largest "
        f"share has {best[0]} at {best[1]} labels: {best[4]:.2f}."
    )
    columns = (
        Column("arm"),
        Column("labels", number=True),
        Column("seconds allowed", number=True),
        Column("seeds", number=True),
        *(Column(name, digits=3, signed=True) for name in ("share of the gap", "from", "to")),
        Column("the gap itself", digits=3),
    )
    table = Table(slug("gap", study, pipeline), f"Share of the gap: {study}, {pipeline}", columns, tuple(rows))
    name = slug("gap", study, pipeline)
    with drawing(height=1.0 + 0.25 * len(points)) as figure:
        axes = figure.add_subplot()
        draw_points(axes, points, bars=True)
        axes.axvline(1, color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.set_xlabel("share of the gap from random (0) to all labels (1)")
        svg = svg_of(figure, name, title, about)
    return Drawing(name, title, about, svg, table)
