"""The final ranking, the pairwise penalty matrix, and the critical-difference picture."""

from itertools import pairwise

from matplotlib.axes import Axes

from dpc_lightning.evaluation.mean_ranks import MeanRanks
from dpc_lightning.evaluation.penalties import Beaten
from dpc_lightning.evaluation.ranking import Ranking
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.charts import plain
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.svg import INK, MARKERS, MUTED, PAPER, SERIES, drawing, svg_of
from dpc_lightning.report.table import Column, Table

__all__ = ["penalty_section", "ranking_section"]

SAID = 400
"""Letters of a list of arms in a caption at most."""


def ranking_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show the final order, how stable it is, and the mean ranks.

    Args:
        data: rows and statistics.
    """
    found = data.ranking
    if isinstance(found, str):
        return (Text(f"There is no ranking: {found}", "empty"),)
    order = found.arms[0] + "".join(
        f" {'=' if found.places[worse] == found.places[better] else '>'} {worse}"
        for better, worse in pairwise(found.arms)
    )
    low, high = found.seeds
    said = (
        f"By points over {found.of_cases} cases of study, budget and pipeline ({low} to {high} seeds each): {order}. "
        "Points are the share of the other arms that an arm beats, on average over its cases (Borda); places are "
        "stable as far as resampled seeds repeat them."
    )
    blocks: list[Block] = [Text(said), _order(found)]
    if found.mean_ranks is None:
        blocks.append(
            Text("There are no mean ranks: too few blocks have a score of every arm, or all are ties.", "empty")
        )
    else:
        blocks.append(_critical_difference(data, found.mean_ranks))
    return tuple(blocks)


def penalty_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show who beats whom.

    Args:
        data: rows and statistics.
    """
    found = data.ranking
    if isinstance(found, str):
        return (Text(f"There is no penalty matrix: {found}", "empty"),)
    said = Text(
        "How often the arm of the row beats that of the column by a paired t test at 5 %. The budgets of a study and "
        "pipeline add up to 1, so an entry is at most the number of studies and pipelines in which the two met. The "
        "last row is the mean of a column: how often an arm is beaten; lower is better."
    )
    return (said, _matrix(found.beaten))


def _matrix(beaten: Beaten) -> Table:
    rows, heat = [], []
    for i, arm in enumerate(beaten.arms):
        entries = [None if i == j else value for j, value in enumerate(beaten.matrix[i])]
        rows.append((arm, *entries))
        shares = [
            value / most if value is not None and most else None
            for value, most in zip(entries, beaten.most[i], strict=True)
        ]
        heat.append((None, *shares))
    rows.append(("beaten (mean)", *(beaten.column_means[arm] for arm in beaten.arms)))
    heat.append((None,) * (len(beaten.arms) + 1))
    columns = (Column("beats"), *(Column(arm, digits=2) for arm in beaten.arms))
    return Table("penalty_matrix", "Pairwise penalty matrix", columns, tuple(rows), tuple(heat))


def _order(found: Ranking) -> Table:
    ranks = found.mean_ranks.mean if found.mean_ranks else {}
    places = len(found.arms)
    rows, heat = [], []
    for arm in found.arms:
        shares = found.stability[arm]
        rows.append((arm, found.places[arm], found.points[arm], found.cases[arm], ranks.get(arm), *shares))
        heat.append((None, None, None, None, None, *shares))
    columns = (
        Column("arm"),
        Column("place", number=True),
        Column("points", digits=3),
        Column("cases", number=True),
        Column("mean rank", digits=2),
        *(Column(f"share of place {place}", digits=2) for place in range(1, places + 1)),
    )
    return Table("ranking", "Final ranking", columns, tuple(rows), tuple(heat))


def _critical_difference(data: BenchmarkData, found: MeanRanks) -> Drawing:
    title = "Mean ranks and critical difference"
    told = "; ".join(" and ".join(clique) for clique in found.cliques) or "none"
    if len(told) > SAID:
        told = "the table has their names"
    about = (
        f"Mean ranks over {found.blocks} blocks of a case and a seed, 1 is best; arms closer than the critical "
        f"difference of {found.critical_difference:.2f} (Nemenyi, 5 %) are joined by a bar and not told apart: {told}. "
        f"Friedman's test: chi square {found.statistic:.1f}, p {found.p:.2g}."
    )
    with drawing(height=1.3 + 0.27 * len(found.mean) + 0.16 * len(found.cliques)) as figure:
        _draw(figure.add_subplot(), data, found)
        svg = svg_of(figure, "critical-difference", title, about)
    table = Table(
        "mean_ranks",
        "Mean ranks",
        (Column("arm"), Column("mean rank", digits=3), Column("not told apart from")),
        tuple(
            (arm, rank, ", ".join(dict.fromkeys(o for c in found.cliques if arm in c for o in c if o != arm)) or None)
            for arm, rank in found.mean.items()
        ),
    )
    return Drawing("critical-difference", title, about, svg, table)


def _draw(axes: Axes, data: BenchmarkData, found: MeanRanks) -> None:
    """Draw ranks on a line, names beside them, and bars below that join what is not told apart."""
    count = len(found.mean)
    for place, (arm, rank) in enumerate(found.mean.items()):
        colour = SERIES[data.series(arm)]
        axes.plot([rank, rank], [0, -1 - place], color=MUTED, linewidth=0.8, zorder=1)
        axes.plot([rank], [-1 - place], color=colour, marker=MARKERS[data.series(arm)], markersize=6)
        left = rank > (1 + count) / 2
        axes.annotate(
            f"{plain(arm)}  {rank:.2f}",
            (rank, -1 - place),
            (-8 if left else 8, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.5},
        )
    for number, clique in enumerate(found.cliques):
        ranks = [found.mean[arm] for arm in clique]
        height = -1.6 - count - 0.7 * number
        axes.plot(
            [min(ranks) - 0.04, max(ranks) + 0.04], [height, height], color=INK, linewidth=4, solid_capstyle="butt"
        )
    axes.plot([1, 1 + found.critical_difference], [1.1, 1.1], color=INK, marker="|", linewidth=1.4)
    axes.annotate(
        "critical difference", (1 + found.critical_difference, 1.1), (6, 0), textcoords="offset points", va="center"
    )
    axes.set_xlim(0.7, count + 0.3)
    axes.set_ylim(-2.2 - count - 0.7 * max(0, len(found.cliques) - 1), 1.8)
    axes.xaxis.tick_top()
    axes.set_xticks(range(1, count + 1))
    axes.set_xlabel("mean rank (1 is best)")
    axes.xaxis.set_label_position("top")
    axes.set_yticks([])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.grid(visible=False)
