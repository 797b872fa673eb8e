"""One arm, for example the default, as the measure of all others."""

from dpc_lightning.evaluation.statistics import PairedDifference
from dpc_lightning.report.benchmark_data import BenchmarkData, case_slug, slug
from dpc_lightning.report.page import Block, Text
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["head_to_head_section"]

NUMBERS = (
    Column("seeds", number=True),
    Column("difference", digits=3, signed=True),
    *(Column(name, digits=3, signed=True) for name in ("from", "to", "from (Holm)", "to (Holm)")),
    Column("p (t)", digits=4),
    Column("p (t, Holm)", digits=4),
    *(Column(name, number=True) for name in ("wins", "losses")),
)


def head_to_head_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show the paired differences of all arms to `data.against`, case by case and over all cases.

    Args:
        data: rows and statistics, with an arm to compare with.
    """
    found = data.head_to_head
    if isinstance(found, str):
        return (Text(f"There is no comparison with {data.against}: {found}", "empty"),)
    said = Text(
        f"By {data.metric}. Differences are arm minus {found.against}, paired by seed, with 95 % intervals: of each "
        "arm alone, and wide enough to hold for all arms of a table together (Holm). An arm that is looked at because "
        "it leads is judged by the second, or on seeds that nobody has seen."
    )
    blocks: list[Block] = [said]
    for pipeline, means in found.overall.items():
        best = sorted(means.items(), key=lambda item: -item[1].difference.mean)
        rows = tuple((arm, mean.cases, *_numbers(mean.difference)) for arm, mean in best)
        columns = (Column("arm"), Column("cases", number=True), *NUMBERS)
        title = f"Minus {found.against}, mean over cases, judged by {pipeline}"
        blocks.append(Table(slug("against", "mean", pipeline), title, columns, rows))
    for case, differences in found.cases.items():
        if differences:
            name = case_slug("against", case)
            alone = sorted(differences.items(), key=lambda item: -item[1].mean)
            lines = tuple((arm, *_numbers(by)) for arm, by in alone)
            blocks.append(Table(name, f"Minus {found.against}: {case.name}", (Column("arm"), *NUMBERS), lines))
    return tuple(blocks)


def _numbers(by: PairedDifference) -> tuple[Value, ...]:
    alone, together = by.interval, by.adjusted
    ends = (alone.low, alone.high, together.low, together.high)
    return by.n, by.mean, *ends, by.p, by.p_holm, by.wins, by.losses
