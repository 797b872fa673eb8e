"""Verdicts: a sentence for every arm in every case, and the numbers that it stands on."""

import math
from collections import Counter
from collections.abc import Sequence

from dpc_lightning.evaluation.comparison import ArmResult, CaseComparison
from dpc_lightning.evaluation.statistics import FEWEST_SEEDS
from dpc_lightning.report.benchmark_data import BenchmarkData, case_slug
from dpc_lightning.report.page import Block, Facts, Heading, Text
from dpc_lightning.report.table import Column, Table, Value

__all__ = ["missing", "verdicts"]


def verdicts(data: BenchmarkData) -> tuple[Block, ...]:
    """Say of every arm whether it is better than random.

    Args:
        data: rows and statistics.
    """
    found = data.comparison
    if isinstance(found, str):
        return (Text(f"There is no verdict: {found}", "warning"),)
    if not any(case.arms for case in found.cases):
        return (Text("There is no verdict: no arm was measured beside the references.", "empty"),)
    said = Counter(arm.verdict for case in found.cases for arm in case.arms)
    facts = Facts(
        (
            ("Better than random", str(said["better"]), f"of {said.total()} comparisons"),
            ("Worse", str(said["worse"]), ""),
            ("Not shown", str(said["not shown"]), "neither better nor worse"),
            *((("Too few seeds", str(few), f"{FEWEST_SEEDS} are needed"),) if (few := said["too few seeds"]) else ()),
        )
    )
    how = Text(
        f"By {found.metric}. A verdict is the paired difference to random over the seeds, with an interval that "
        f"Holm's procedure widens for the arms beside it (95 % for a case as a whole). Below {FEWEST_SEEDS} seeds "
        "there is none."
    )
    blocks: list[Block] = [facts, how]
    if data.missing:
        so_far = f"{data.missing} results are not measured yet: these verdicts are provisional, and not to be reported."
        blocks.append(Text(so_far, "warning"))
    blocks += _overview(data.cases)
    for case in data.cases:
        if case.arms:
            blocks += [Heading(case.case.name), *(_sentence(arm) for arm in _best_first(case)), _table(case)]
    return tuple(blocks)


def missing(data: BenchmarkData) -> tuple[Block, ...]:
    """Say what failed, and what keeps the statistics from being complete.

    Args:
        data: rows and statistics.
    """
    failed = [row for row in data.results if row.status == "failed"]
    blocks: list[Block] = []
    if data.missing:
        blocks.append(Text(f"{data.missing} of the results that were asked for are not measured yet.", "warning"))
    if failed:
        blocks.append(Text(f"{len(failed)} of {len(data.results)} results failed and count nowhere.", "warning"))
        columns = ("arm", "study", "labels", "pipeline", "seed", "error")
        rows = tuple(
            (row.arm, row.study, row.labels, row.pipeline, row.seed, " ".join((row.error or "unknown").split())[:300])
            for row in failed
        )
        heads = tuple(Column(name, number=name in {"labels", "seed"}) for name in columns)
        blocks.append(Table("failed", "What failed", heads, rows))
    problems: dict[str, list[str]] = {}
    for name in ("comparison", *(("head_to_head",) if data.against else ()), "ranking", "agreement", "noise"):
        found = getattr(data, name)
        for problem in [] if isinstance(found, str) else found.problems:
            problems.setdefault(" ".join(problem.split()), []).append(name)
    if problems:
        rows_of = tuple((problem, ", ".join(names)) for problem, names in problems.items())
        columns_of = (Column("remark"), Column("concerns"))
        blocks.append(Table("problems", "Remarks of the statistics", columns_of, rows_of, folded=True))
    return tuple(blocks) or (Text("Nothing is missing and nothing failed.", "empty"),)


def _overview(found: Sequence[CaseComparison]) -> list[Block]:
    """Lay all verdicts side by side: an arm a row, a case a column."""
    cases = [case for case in found if case.arms]
    if len(cases) < 2:
        return []
    arms = sorted({arm.arm for case in cases for arm in case.arms})
    rows, heat = [], []
    for name in arms:
        row: list[Value] = [name]
        warmth: list[float | None] = [None]
        for case in cases:
            arm = next((arm for arm in case.arms if arm.arm == name), None)
            row.append(None if arm is None else _short(arm))
            warmth.append({"better": 0.9, "worse": -0.9}.get(arm.verdict or "") if arm else None)
        rows.append(tuple(row))
        heat.append(tuple(warmth))
    columns = (Column("arm"), *(Column(case.case.name) for case in cases))
    return [Table("verdicts", "All verdicts, with the mean difference to random", columns, tuple(rows), tuple(heat))]


def _best_first(case: CaseComparison) -> list[ArmResult]:
    return sorted(case.arms, key=lambda arm: -(arm.difference.mean if arm.difference else -math.inf))


def _short(arm: ArmResult) -> str:
    return str(arm.verdict) + (f" {arm.difference.mean:+z.3f}" if arm.difference else "")


def _sentence(arm: ArmResult) -> Text:
    kind = arm.verdict or "not shown"
    if arm.difference is None:
        return Text(f"{arm.arm}: no difference to random can be given, on {len(arm.seeds)} seeds.", kind)
    by, n = arm.difference, arm.difference.n
    numbers = f"{by.mean:+z.3f} ({by.adjusted.low:+z.3f} to {by.adjusted.high:+z.3f}, ahead on {by.wins} of {n} seeds)"
    words = {
        "better": f"{arm.arm} is better than random: {numbers}.",
        "worse": f"{arm.arm} is worse than random: {numbers}.",
        "not shown": f"{arm.arm} is not shown to differ from random: {numbers}.",
        "too few seeds": f"{arm.arm} has {n} of the {FEWEST_SEEDS} seeds that a verdict needs: {numbers}.",
    }
    worth = ""
    if kind == "better" and arm.needed is not None:
        worth = f" Random would need {arm.needed.factor_text(arm.needed.labels)} times the labels."
    return Text(words[kind] + worth, kind)


def _table(case: CaseComparison) -> Table:
    columns = (
        Column("arm"),
        Column("labels", number=True),
        Column("seeds", number=True),
        *(Column(name, digits=3) for name in ("mean", "sd", "low", "high")),
        *(Column(name, digits=3, signed=True) for name in ("difference", "from", "to")),
        *(Column(name, digits=4) for name in ("p (t, Holm)", "p (Wilcoxon, Holm)")),
        *(Column(name, number=True) for name in ("wins", "losses")),
        Column("labels that random needs"),
        Column("verdict"),
    )
    rows = tuple(_row(arm) for arm in (*case.references, *case.arms))
    return Table(
        case_slug("case", case.case), f"{case.case.name}: scores, and differences to random", columns, rows, folded=True
    )


def _row(arm: ArmResult) -> tuple[Value, ...]:
    scores, by, needed = arm.scores, arm.difference, arm.needed
    worth = None
    if needed is not None:
        labels, low, high = (needed.text(end) for end in (needed.labels, needed.interval.low, needed.interval.high))
        worth = f"{labels} ({low} to {high})"
    within = scores.interval
    return (
        arm.name,
        arm.labels,
        scores.n,
        scores.mean,
        scores.sd,
        *((within.low, within.high) if within else (None, None)),
        *((by.mean, by.adjusted.low, by.adjusted.high) if by else (None,) * 3),
        *((by.p_holm, by.p_wilcoxon_holm, by.wins, by.losses) if by else (None,) * 4),
        worth,
        arm.verdict,
    )
