"""The noise: its sources, what lowers it, how many seeds see through it, and random against random."""

from dpc_lightning.evaluation.noise import Noise
from dpc_lightning.evaluation.power import POINTS
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.charts import draw_stacks, legend_below
from dpc_lightning.report.page import Block, Drawing, Text
from dpc_lightning.report.svg import drawing, svg_of
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["noise_section"]


def noise_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show where the noise comes from and what it takes to see through it.

    Args:
        data: rows and statistics.
    """
    found = data.noise
    if isinstance(found, str):
        return (Text(f"Nothing can be said of the noise: {found}.", "empty"),)
    blocks: list[Block] = []
    if found.splits:
        blocks.append(_sources(found))
    else:
        blocks.append(Text("Seeds were not crossed, so the noise cannot be split by its sources.", "empty"))
    if found.remedies:
        blocks += [_best_remedy(found), _remedies(found)]
    else:
        blocks.append(Text("No purchase was trained on more than once, so no remedy was measured.", "empty"))
    if found.chance:
        blocks.append(_chance(found))
    else:
        blocks.append(
            Text("Random was not repeated on the same start sets, so random against random is unknown.", "empty")
        )
    if found.seeds_needed:
        blocks.append(_seeds(found))
    return tuple(blocks)


def _sources(found: Noise) -> Drawing:
    names = [f"{split.arm}, {split.case}" for split in found.splits]
    sources = list(dict.fromkeys(part.source for split in found.splits for part in split.components))
    first = found.splits[0]
    told = ", ".join(f"{part.source} {part.share:.0%}" for part in first.components)
    title = "Noise by source"
    about = (
        f"Share of the variance of a score by what was drawn anew. {first.arm}, {first.case}: {told}, in all a "
        f"standard deviation of {first.sd:.3f}."
    )
    with drawing(height=1.3 + 0.34 * len(names)) as figure:
        axes = figure.add_subplot()
        parts = {
            source: [
                next((part.share for part in split.components if part.source == source), 0.0) for split in found.splits
            ]
            for source in sources
        }
        draw_stacks(axes, [f"{split.arm} {split.case.labels}, {split.case.pipeline}" for split in found.splits], parts)
        axes.set_xlabel("share of the variance")
        axes.set_xlim(0, 1)
        legend_below(figure)
        svg = svg_of(figure, "noise", title, about)
    columns = (
        Column("arm"),
        Column("study"),
        Column("labels", number=True),
        Column("pipeline"),
        Column("source"),
        *(Column(name, digits=4) for name in ("sd", "variance", "variance low", "variance high")),
        *(Column(name, digits=2) for name in ("share", "share low", "share high")),
    )
    rows = tuple(
        (
            *(split.arm, split.case.study, split.case.labels, split.case.pipeline, part.source, part.sd),
            *(part.variance, part.low, part.high, part.share, part.share_low, part.share_high),
        )
        for split in found.splits
        for part in split.components
    )
    return Drawing("noise", title, about, svg, Table("noise", "Variance by source", columns, rows))


def _best_remedy(found: Noise) -> Text:
    best = min(found.remedies, key=lambda remedy: remedy.cost)
    what = best.pipeline if best.metric == best.base_metric else f"{best.metric} in place of {best.base_metric}"
    shown = "" if best.cost_high < 1 else " The interval holds 1: that it is worth its seconds is not shown."
    return Text(
        f"Most noise a second is taken away by {what}: the seconds of training until the standard error is one point "
        f"are {best.cost:.2f} times those of {best.base_pipeline} ({best.cost_low:.2f} to {best.cost_high:.2f}).{shown}"
    )


def _remedies(found: Noise) -> Table:
    columns = (
        Column("remedy"),
        Column("score"),
        Column("beside"),
        Column("study"),
        Column("labels", number=True),
        Column("purchases", number=True),
        *(Column(name, digits=4) for name in ("sd", "sd of the base")),
        *(Column(name, digits=2) for name in ("variance ratio", "ratio low", "ratio high")),
        *(Column(name, digits=1) for name in ("seconds a training", "seconds of the base")),
        *(Column(name, digits=2) for name in ("cost ratio", "cost low", "cost high")),
        Column("gap random to all", digits=3),
    )
    rows: list[tuple[Value, ...]] = []
    for each in found.remedies:
        base = each.base_pipeline if each.metric == each.base_metric else f"{each.base_pipeline}, {each.base_metric}"
        place = (each.pipeline, each.metric, base, each.study, each.labels, each.purchases, each.sd, each.base_sd)
        seconds = (each.evaluate_seconds, each.base_evaluate_seconds)
        costs = (each.cost, each.cost_low, each.cost_high, each.gap)
        rows.append((*place, each.ratio, each.low, each.high, *seconds, *costs))
    return Table("remedies", "What remedies buy, in noise of training and in seconds", columns, tuple(rows))


def _chance(found: Noise) -> Table:
    columns = (
        Column("case"),
        Column("start sets", number=True),
        Column("experiments", number=True),
        Column("false", number=True),
        *(Column(name, digits=3) for name in ("rate", "low", "high", "rate of mixed draws", "largest difference")),
    )
    rows = tuple(
        (
            *("all together" if each.case is None else str(each.case), each.seeds, each.experiments, each.false),
            *(each.rate, each.low, each.high, each.mixed_rate, each.largest),
        )
        for each in found.chance
    )
    return Table(
        "random_against_random", "Random against random: differences that a t test at 5 % shows", columns, rows
    )


def _seeds(found: Noise) -> Table:
    columns = (
        Column("arm"),
        Column("study"),
        Column("labels", number=True),
        Column("pipeline"),
        Column("seeds", number=True),
        *(Column(name, digits=4) for name in ("sd of differences", "sd low", "sd high")),
        *(Column(f"to see {points:g} points", number=True) for points in POINTS),
        *(Column(f"{points:g} points, sd high", number=True) for points in POINTS),
        *(Column(f"{points:g} points, unpaired", number=True) for points in POINTS),
    )
    rows: list[tuple[Value, ...]] = []
    for each in found.seeds_needed:
        place = (each.arm, each.case.study, each.case.labels, each.case.pipeline, each.seeds)
        counts = (kind.get(points) for kind in (each.paired, each.paired_at_worst, each.unpaired) for points in POINTS)
        rows.append((*place, each.sd, each.sd_low, each.sd_high, *counts))
    title = "Seeds that see a difference of 1, 2 and 5 points with a probability of 80 %"
    return Table("seeds_needed", title, columns, tuple(rows))
