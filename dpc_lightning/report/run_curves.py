"""Training curves of a run, phase by phase."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from dpc_lightning.report.charts import Line, draw_lines, legend_below
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.run_files import RunFiles
from dpc_lightning.report.svg import MUTED, drawing, svg_of
from dpc_lightning.report.table import Column, Table

__all__ = ["curves_of_training"]

LOSSES = {"train/loss": "training loss", "val/loss": "validation loss"}
SCORES = {"val/f1_macro": "macro-F1, tuned", "val/f1_macro_at_half": "macro-F1 at 0.5", "val/map": "mAP"}

EVALUATE = "evaluate"
"""The phase that trains a network of its own."""

POINTS = 240
"""Points of a curve at most: of more, the mean of neighbours is drawn."""

Rows = Sequence[tuple[str, int, dict[str, float]]]


def curves_of_training(files: RunFiles) -> tuple[Block, ...]:
    """Draw losses and validation scores over the steps of the run.

    Args:
        files: what the run left.
    """
    wanted = LOSSES | SCORES
    rows = [row for row in files.metrics if wanted.keys() & row[2].keys()]
    if not rows:
        return (Text("No training was logged: metrics.csv is not there or holds no loss.", "empty"),)
    table = _last_of_each_phase(rows)
    title = "Losses and validation scores"
    phases = [str(row[0]) for row in table.rows]
    about = f"Steps of training from left to right over the phases {', '.join(phases)}; a line marks each beginning."
    if EVALUATE in phases:
        about += " The last phase trains a new network on all that is owned, so its curves start afresh."
    with drawing(height=4.6) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        draw_lines(upper, _lines(rows, LOSSES, 0))
        draw_lines(lower, _lines(rows, SCORES, 2))
        upper.set_ylabel("loss")
        lower.set_ylabel("validation score")
        lower.set_xlabel("step")
        upper.set_ylim(bottom=0)
        _mark_phases(upper, lower, rows)
        legend_below(figure, 3)
        svg = svg_of(figure, "training", title, about)
    return (Drawing("training", title, about, svg, table),)


def _lines(rows: Rows, names: dict[str, str], series: int) -> list[Line]:
    found = []
    for place, (key, label) in enumerate(names.items()):
        logged = [(phase == EVALUATE, float(step), values[key]) for phase, step, values in rows if key in values]
        if not logged:
            continue
        bought, judged = (_thinned([(x, y) for late, x, y in logged if late is part]) for part in (False, True))
        points = [*bought, (math.nan, math.nan), *judged]  # another network, another line
        x, y = zip(*points, strict=True)
        found.append(Line(label, x, y, series=series + place, marked=len(points) < 40))
    return found


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    size = max(1, -(-len(points) // POINTS))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def _mark_phases(upper: Axes, lower: Axes, rows: Rows) -> None:
    starts: dict[str, int] = {}
    for phase, step, _ in rows:
        starts.setdefault(phase, step)
    told, width = -math.inf, rows[-1][1] - rows[0][1]
    for phase, step in starts.items():
        for axes in (upper, lower):
            axes.axvline(step, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)))
        if step - told < width / 25:  # no room for its name
            continue
        told, place = step, (step, 1.0)
        upper.annotate(
            phase,
            place,
            (2, 2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            rotation=30,
            fontsize=8,
        )


def _last_of_each_phase(rows: Rows) -> Table:
    last: dict[str, dict[str, float]] = {}
    steps: dict[str, int] = {}
    for phase, step, values in rows:
        last.setdefault(phase, {}).update(values)
        steps[phase] = step
    names = LOSSES | SCORES
    return Table(
        "training",
        "At the end of each phase",
        (Column("phase"), Column("step", number=True), *(Column(name, digits=4) for name in names.values())),
        tuple((phase, steps[phase], *(values.get(key) for key in names)) for phase, values in last.items()),
    )
