"""The kinds of picture in the report: lines with bands, stacked bars, points with intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dpc_lightning.report.svg import HATCHES, INK, LINES, MARKERS, MUTED, PAPER, SERIES

__all__ = ["Line", "Point", "draw_lines", "draw_points", "draw_stacks", "legend_below", "plain"]

LETTERS = 26
"""Letters of a name in a picture at most; the table beside it has the whole name."""


@dataclass(frozen=True)
class Line:
    """A curve, with a band if its limits are given.

    Attributes:
        label: its name in the legend.
        x: places of its points.
        y: heights of its points.
        low: lower limits, or empty.
        high: upper limits, or empty.
        series: which colour, marker and dash it has, from 0; below 0 for a reference in the colour of the text.
        marked: whether its points bear markers.
    """

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    series: int = 0
    marked: bool = True


@dataclass(frozen=True)
class Point:
    """A value with an interval, in a row of its own.

    Attributes:
        label: name of the row.
        value: where the marker stands.
        low: lower limit of the interval, or None.
        high: upper limit, or None.
        series: which colour and marker it has, from 0.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    series: int = 0


def plain(name: str, letters: int = LETTERS) -> str:
    """Give a name as it stands in a picture: short, and not hidden, as matplotlib does with one that begins with `_`.

    Args:
        name: any name.
        letters: letters at most.

    Example:
        >>> plain("a very long name of a rule with settings")
        'a very long n…ith settings'
    """
    short = name if len(name) <= letters else f"{name[: letters // 2]}…{name[1 - letters // 2 :]}"
    return f"\u200b{short}" if short.startswith("_") else short


def draw_lines(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw curves, each with a colour, a marker and a dash of its own.

    Args:
        axes: where to.
        lines: in the order of the legend.
    """
    for line in lines:
        colour, number = (SERIES[line.series % len(SERIES)], line.series) if line.series >= 0 else (INK, -line.series)
        marker = MARKERS[number % len(MARKERS)] if line.marked else ""
        dash = LINES[number % len(LINES)]
        axes.plot(line.x, line.y, color=colour, marker=marker, linestyle=dash, label=plain(line.label))
        if line.low and len(line.x) > 1:
            axes.fill_between(line.x, line.low, line.high, color=colour, alpha=0.14, linewidth=0)
        elif line.low:
            errors = [[line.y[0] - line.low[0]], [line.high[0] - line.y[0]]]
            axes.errorbar(line.x, line.y, yerr=errors, color=colour, capsize=3, linestyle="none")


def draw_stacks(axes: Axes, rows: Sequence[str], parts: Mapping[str, Sequence[float]]) -> None:
    """Draw lying bars that consist of parts, the first row at the top; parts differ in colour and pattern.

    Args:
        axes: where to.
        rows: names of the bars.
        parts: lengths by name of the part, one a row.
    """
    ends = [0.0] * len(rows)
    places = list(range(len(rows)))
    for number, (name, lengths) in enumerate(parts.items()):
        colour, hatch = SERIES[number % len(SERIES)], HATCHES[number % len(HATCHES)]
        axes.barh(places, lengths, left=ends, height=0.7, color=colour, hatch=hatch, edgecolor=PAPER, label=plain(name))
        ends = [end + length for end, length in zip(ends, lengths, strict=True)]
    axes.set_yticks(places, [plain(row) for row in rows])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")


def draw_points(axes: Axes, points: Sequence[Point], *, bars: bool = False) -> None:
    """Draw a row for each value, its interval as a line, the first row at the top.

    Args:
        axes: where to.
        points: the rows.
        bars: whether a bar leads from zero to the value.
    """
    for place, point in enumerate(points):
        colour = SERIES[point.series % len(SERIES)]
        if bars:
            axes.barh(place, point.value, height=0.62, color=colour, alpha=0.45)
        if point.low is not None and point.high is not None:
            axes.plot([point.low, point.high], [place, place], color=INK if bars else colour, linewidth=1.3)
        marker = MARKERS[point.series % len(MARKERS)]
        axes.plot([point.value], [place], color=INK if bars else colour, marker=marker, linestyle="none")
    axes.set_yticks(range(len(points)), [plain(point.label) for point in points])
    axes.set_ylim(len(points) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=MUTED, linewidth=0.9)


def legend_below(figure: Figure, columns: int = 4) -> None:
    """Set one legend of all that is drawn below the picture, where it hides nothing.

    Args:
        figure: what it explains.
        columns: entries side by side at most.
    """
    named = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if named:
        longest = max(len(name) for name in named)
        columns = max(1, min(columns, len(named), 84 // (longest + 8)))  # a line has room for so many letters
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=columns, handlelength=2.8)
