"""Whether judges agree: between pipelines, and between models that bought and models that judge."""

from dpc_lightning.evaluation.agreement import Agreement
from dpc_lightning.evaluation.tau import Tau
from dpc_lightning.evaluation.transfer import Transfer
from dpc_lightning.report.benchmark_data import BenchmarkData
from dpc_lightning.report.page import Block, Text
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["agreement_section"]


def agreement_section(data: BenchmarkData) -> tuple[Block, ...]:
    """Show how alike pipelines order the arms, and the gains under each.

    Args:
        data: rows and statistics.
    """
    found = data.agreement
    if isinstance(found, str):
        return (Text(f"Agreement cannot be said: {found}", "empty"),)
    said = [
        Text(
            f"{tau.first} and {tau.second} order the arms with Kendall's tau {tau.tau:.2f} "
            f"({tau.low:.2f} to {tau.high:.2f}); 1 is the same order, 0 has none in common, -1 is reversed."
            + ("" if tau.ceiling is None or tau.halves is None else _ceiling(tau.halves, tau.ceiling))
        )
        for tau in found.overall
    ]
    transfer = found.transfer
    blocks: list[Block] = [*said, _taus(found), _gains(found)]
    if transfer is None:
        blocks.append(Text("No row says which model bought, so there is no matrix of buyers and judges.", "empty"))
    else:
        blocks.append(_transfer(transfer))
    return tuple(blocks)


def _ceiling(halves: float, ceiling: float) -> str:
    return (
        f" Between halves of the seeds it is {halves:.2f} across the two, and {ceiling:.2f} within one pipeline, which "
        "is all that noise leaves."
    )


def _taus(found: Agreement) -> Table:
    columns = (
        Column("pipeline"),
        Column("other pipeline"),
        Column("study"),
        Column("labels", number=True),
        Column("arms", number=True),
        Column("seeds", number=True),
        *(Column(name, digits=2) for name in ("tau", "low", "high", "halves", "ceiling")),
    )
    return Table(
        "agreement",
        "Kendall's tau between pipelines",
        columns,
        tuple(_tau(tau) for tau in (*found.overall, *found.taus)),
        tuple((*(None,) * 6, tau.tau, *(None,) * 4) for tau in (*found.overall, *found.taus)),
    )


def _tau(tau: Tau) -> tuple[Value, ...]:
    place = (tau.first, tau.second, tau.study or "all", tau.labels, tau.arms, tau.seeds)
    return (*place, tau.tau, tau.low, tau.high, tau.halves, tau.ceiling)


def _gains(found: Agreement) -> Table:
    columns = (
        Column("arm"),
        Column("study"),
        Column("labels", number=True),
        Column("pipeline"),
        Column("seeds", number=True),
        *(Column(name, digits=3, signed=True) for name in ("difference to random", "low", "high")),
    )
    rows = tuple(
        (gain.arm, gain.case.study, gain.case.labels, gain.case.pipeline, gain.seeds, gain.mean, gain.low, gain.high)
        for gain in found.gains
    )
    return Table("gains_by_pipeline", "Gain over random under each pipeline", columns, rows)


def _transfer(found: Transfer) -> Table:
    entries = {(entry.buyer, entry.pipeline): entry for entry in found.entries}
    most = max((abs(entry.mean) for entry in found.entries), default=0) or 1
    rows: list[tuple[Value, ...]] = []
    heat: list[tuple[float | None, ...]] = []
    for buyer in found.buyers:
        of_buyer = [entries[buyer, pipeline] for pipeline in found.pipelines]
        rows.append((buyer, *(value for entry in of_buyer for value in (entry.mean, entry.low, entry.high))))
        heat.append((None, *(value for entry in of_buyer for value in (entry.mean / most, None, None))))
    columns = (
        Column("bought by"),
        *(
            Column(name, digits=3, signed=True)
            for pipeline in found.pipelines
            for name in (f"judged by {pipeline}", f"{pipeline}: low", f"{pipeline}: high")
        ),
    )
    title = "Gain over random by the model that bought and the pipeline that judged"
    return Table("transfer", title, columns, tuple(rows), tuple(heat))
