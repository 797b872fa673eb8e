"""Learning curves over labels and over seconds, between nothing and everything."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from matplotlib.axes import Axes

from dpc_lightning.evaluation.curves import LearningCurve
from dpc_lightning.evaluation.result import ALL, NONE
from dpc_lightning.report.benchmark_data import REFERENCES, BenchmarkData, mean_of, said_of_left_out, slug
from dpc_lightning.report.charts import Line, draw_lines, legend_below
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.svg import INK, drawing, svg_of
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["learning_curve_section"]


def learning_curve_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Draw the curves of every study and pipeline that was measured at several budgets.

    Args:
        data: rows and statistics.
    """
    if isinstance(data.comparison, str):
        return (Text(f"There are no curves: {data.comparison}", "empty"),)
    blocks: list[Block] = []
    single = []
    for (study, pipeline), found in groupby(data.comparison.curves, key=lambda curve: (curve.study, curve.pipeline)):
        curves = list(found)
        if max((len(curve.points) for curve in curves if curve.arm not in REFERENCES), default=0) < 2:
            single.append(f"{study} under {pipeline}")
            continue
        blocks += _drawings(data, study, pipeline, curves)
    if single:
        blocks.append(
            Text(f"Measured at one budget only, so without a curve: {'; '.join(single)}. See the verdicts.", "empty")
        )
    return tuple(blocks) or (Text("No arm was measured at two budgets, so there is no curve.", "empty"),)


def _drawings(data: BenchmarkData, study: str, pipeline: str, curves: Sequence[LearningCurve]) -> list[Block]:
    where = f"{study}, {pipeline}"
    heights = {curve.arm: _height(curve) for curve in curves if curve.arm not in {NONE, ALL}}
    series = data.told_apart(heights)
    left_out = len(heights) - len(series)
    about = (
        f"Mean {data.metric} over the seeds with 95 % bands. "
        f"Lines that lie flat: what is reached with no and with all labels. {_best(curves)}"
    ) + said_of_left_out(left_out)
    blocks: list[Block] = []
    for by, label, table in (
        ("labels", "labels bought", _table(study, pipeline, curves)),
        ("seconds", "seconds of pretraining and buying (mean)", _areas(study, pipeline, curves)),
    ):
        title = f"Scores over {by}: {where}"
        name = slug("curves", by, study, pipeline)
        with drawing(height=3.8) as figure:
            axes = figure.add_subplot()
            _draw(axes, series, curves, by)
            axes.set_xlabel(label)
            axes.set_ylabel(data.metric)
            legend_below(figure)
            svg = svg_of(figure, name, title, about)
        blocks.append(Drawing(name, title, about, svg, table))
    return blocks


def _draw(axes: Axes, series: Mapping[str, int], curves: Sequence[LearningCurve], by: str) -> None:
    for curve in (curve for curve in curves if curve.arm in {NONE, ALL}):
        mean = curve.points[0].scores.mean if curve.points else None
        if mean is not None:
            dash = (0, (1, 1.5)) if curve.arm == NONE else (0, (7, 2))
            axes.axhline(mean, color=INK, linewidth=1.1, linestyle=dash, label=f"{curve.arm} ({mean:.3f})")
    lines = []
    for curve in curves:
        if curve.arm not in series:
            continue
        points = [point for point in curve.points if point.scores.mean is not None]
        if by == "seconds":
            points.sort(key=lambda point: point.spent)
        ends = [point.scores.interval for point in points]
        banded = bool(points) and all(ends)
        lines.append(
            Line(
                curve.arm,
                tuple(float(point.labels) if by == "labels" else point.spent for point in points),
                tuple(float(point.scores.mean or 0) for point in points),
                tuple(end.low for end in ends if end) if banded else (),
                tuple(end.high for end in ends if end) if banded else (),
                series=series[curve.arm],
            )
        )
    draw_lines(axes, lines)
    if by == "labels":
        budgets = sorted({point.labels for curve in curves for point in curve.points if curve.arm not in {NONE, ALL}})
        if min(budgets) > 0:
            axes.set_xscale("log")
        axes.set_xticks(budgets, [str(budget) for budget in budgets])
        axes.minorticks_off()


def _height(curve: LearningCurve) -> float:
    """Give the mean over its budgets."""
    return mean_of(point.scores.mean for point in curve.points) or 0.0


def _best(curves: Sequence[LearningCurve]) -> str:
    measured = [(curve.area.mean, curve.arm) for curve in curves if curve.area and curve.area.mean is not None]
    if len(measured) < 2:
        return ""
    (second, _), (area, arm) = sorted(measured)[-2:]
    if area - second < 1e-9:
        return "No arm has the largest area under the curve alone."
    return f"The largest area under the curve has {arm} ({area:.3f})."


def _table(study: str, pipeline: str, curves: Sequence[LearningCurve]) -> Table:
    columns = (
        Column("arm"),
        Column("labels", number=True),
        Column("seconds allowed", number=True),
        Column("seconds spent", digits=1),
        Column("seeds", number=True),
        *(Column(name, digits=3) for name in ("mean", "sd", "low", "high")),
    )
    rows: list[tuple[Value, ...]] = []
    for curve in curves:
        for point in curve.points:
            within = point.scores.interval
            ends = (within.low, within.high) if within else (None, None)
            place = (curve.arm, point.labels, point.seconds, point.spent)
            rows.append((*place, point.scores.n, point.scores.mean, point.scores.sd, *ends))
    return Table(slug("curves", study, pipeline), f"Scores by budget: {study}, {pipeline}", columns, tuple(rows))


def _areas(study: str, pipeline: str, curves: Sequence[LearningCurve]) -> Table:
    columns = (
        Column("arm"),
        Column("seeds", number=True),
        Column("area", digits=3),
        *(Column(name, digits=3, signed=True) for name in ("difference to random", "from", "to")),
        Column("verdict"),
    )
    rows: list[tuple[Value, ...]] = []
    for curve in curves:
        if curve.area is None:
            continue
        by = curve.area_difference
        told = (by.mean, by.adjusted.low, by.adjusted.high, by.verdict) if by else (None,) * 4
        rows.append((curve.arm, curve.area.n, curve.area.mean, *told))
    title = f"Area under the curve over labels, as a mean score: {study}, {pipeline}"
    return Table(slug("areas", study, pipeline), title, columns, tuple(rows))
