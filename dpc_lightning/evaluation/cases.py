"""The cases of a benchmark: what was asked of every arm, and the scores that came back."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import isfinite
from typing import NamedTuple

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.result import ALL, NONE, RANDOM, Result

__all__ = ["Case", "Scored", "ScoredRows", "case_of", "constant_arms", "is_plain", "scored_rows", "scores_by_case"]

_BOUNDS = (NONE, ALL)


@dataclass(frozen=True)
class Case:
    """What all arms of a comparison have in common but for the seed.

    Attributes:
        study: name of the data.
        labels: label budget.
        seconds: compute budget in seconds, or None.
        pipeline: name of the pipeline that judged.

    Example:
        >>> Case("default", 100, 60.0, "b0").name
        'default, 100 labels in 60 s, judged by b0'
    """

    study: str
    labels: int
    seconds: float | None
    pipeline: str

    @property
    def name(self) -> str:
        """Name in tables and messages."""
        seconds = "" if self.seconds is None else f" in {self.seconds:g} s"
        return f"{self.study}, {self.labels} labels{seconds}, judged by {self.pipeline}"

    def __str__(self) -> str:
        return self.name

    @property
    def budget(self) -> tuple[str, int, float | None]:
        """The case without its pipeline: study, labels, seconds."""
        return self.study, self.labels, self.seconds

    @property
    def order(self) -> tuple[str, int, float, str]:
        """Key to sort by: study, labels, seconds with no limit last, pipeline."""
        return self.study, self.labels, float("inf") if self.seconds is None else self.seconds, self.pipeline


class Scored(NamedTuple):
    """A row that is done and has a score."""

    row: Result
    score: float


@dataclass(frozen=True)
class ScoredRows:
    """The rows that can be analysed, in an order of their own, and what was wrong with the others.

    Attributes:
        rows: done and with a score, sorted by case, arm and seeds.
        problems: one sentence for each kind of row that had to be left out.
    """

    rows: tuple[Scored, ...]
    problems: tuple[str, ...] = field(default=())


def case_of(row: Result) -> Case:
    """Give the case that a row belongs to."""
    return Case(row.study, row.labels, row.seconds, row.pipeline)


def is_plain(row: Result) -> bool:
    """Say whether a row is of the main grid: one seed for start set, picks and training."""
    return row.seed == row.purchase_seed == row.judge_seed


def scored_rows(results: Iterable[Result], metric: str) -> ScoredRows:
    """Check rows and sort out those that have no score.

    Args:
        results: rows of one version of the protocol, in any order.
        metric: name of a score.

    Returns:
        The rows with their scores. Failed rows, and rows whose score is not defined, are listed as problems.

    Raises:
        EvaluationError: no rows; several versions of the protocol; one job twice; a score that is NaN or infinite; a
            metric that no row has; no row with a score.
    """
    rows = sorted(results, key=_order)
    if not rows:
        raise EvaluationError("expected results, got none: run `benchmark` first, or look into another folder")
    _check_protocol(rows)
    _check_duplicates(rows)
    done = [row for row in rows if row.status == "done"]
    if not done:
        raise EvaluationError(
            f"all {len(rows)} results are failures (the first: {_place(rows[0])}: {rows[0].error}): mend the cause and "
            "start the benchmark again, it computes what is missing"
        )
    known = sorted({name for row in done for name in row.scores})
    if metric not in known:
        raise EvaluationError(f"no result has the metric {metric!r}: expected one of {', '.join(known) or 'none'}")
    scored = []
    for row in done:
        score = row.scores.get(metric)
        if score is None:
            continue
        if not isfinite(score):
            raise EvaluationError(
                f"{_place(row)}: {metric} is {score}, expected a finite number or None: delete the row and compute it "
                "again"
            )
        scored.append(Scored(row, float(score)))
    if not scored:
        raise EvaluationError(f"{metric} is defined in none of {len(done)} results: choose one of {', '.join(known)}")
    failed = [row for row in rows if row.status != "done"]
    undefined = [row for row in done if row.scores.get(metric) is None]
    return ScoredRows(
        tuple(scored),
        (*_listed(failed, "failed and left out"), *_listed(undefined, f"no {metric} defined, left out")),
    )


def scores_by_case(rows: Iterable[Scored]) -> dict[Case, dict[str, dict[int, float]]]:
    """Group the plain rows: case -> arm -> seed -> score.

    The references `none` and `all` are left out: they have budgets of their own and compete with nobody. A case with a
    compute budget that `random` was not run under gets the scores of `random` without one, or with the largest, at as
    many labels: chance needs no time. Cases in which only `random` is left are budgets of the reference alone, and go.

    Args:
        rows: checked rows with their scores.

    Returns:
        The scores, sorted by case.

    Example:
        >>> row = Result("k", "default", "badge", 100, None, "b0", 1, 1, 1)
        >>> scores_by_case([Scored(row, 0.5)])
        {Case(study='default', labels=100, seconds=None, pipeline='b0'): {'badge': {1: 0.5}}}
    """
    table: dict[Case, dict[str, dict[int, float]]] = {}
    for row, score in rows:
        if is_plain(row) and row.arm not in _BOUNDS:
            table.setdefault(case_of(row), {}).setdefault(row.arm, {})[row.seed] = score
    random = {case: arms[RANDOM] for case, arms in table.items() if RANDOM in arms}
    for case, arms in table.items():
        beside = [other for other in random if replace(other, seconds=case.seconds) == case]
        if RANDOM not in arms and beside:
            arms[RANDOM] = dict(random[max(beside, key=lambda other: other.order)])
    return {case: table[case] for case in sorted(table, key=lambda case: case.order) if set(table[case]) != {RANDOM}}


def constant_arms(table: Mapping[Case, Mapping[str, Mapping[int, float]]]) -> list[str]:
    """List arms whose score is the same with every seed: a judge that learns nothing, or one row copied.

    Args:
        table: case -> arm -> seed -> score.

    Returns:
        A sentence for each.
    """
    return [
        f"{case}, arm {arm}: the score is {next(iter(scores.values())):g} with all {len(scores)} seeds; look whether "
        "the pipeline learns anything"
        for case, arms in table.items()
        for arm, scores in arms.items()
        if len(scores) > 1 and len(set(scores.values())) == 1
    ]


def _order(row: Result) -> tuple[object, ...]:
    return *case_of(row).order, row.arm, row.seed, row.purchase_seed, row.judge_seed


def _place(row: Result) -> str:
    seeds = f"seed {row.seed}"
    if not is_plain(row):
        seeds += f", purchase seed {row.purchase_seed}, judge seed {row.judge_seed}"
    return f"{case_of(row)}, arm {row.arm}, {seeds}"


def _check_protocol(rows: list[Result]) -> None:
    versions = Counter(row.protocol for row in rows)
    if len(versions) > 1:
        counts = ", ".join(f"{count} of version {version}" for version, count in sorted(versions.items()))
        raise EvaluationError(
            f"results of several versions of the protocol are never mixed, got {counts}: keep those of one version"
        )


def _check_duplicates(rows: list[Result]) -> None:
    for first, second in pairwise(rows):
        if _order(first) == _order(second):
            raise EvaluationError(
                f"{_place(first)}: two rows (keys {first.key} and {second.key}), expected one: give arms that differ "
                "names that differ, or keep one of the rows"
            )


def _listed(rows: list[Result], what: str) -> list[str]:
    """Name the first of each case and arm, and count the others."""
    groups: dict[tuple[Case, str], list[Result]] = {}
    for row in rows:
        groups.setdefault((case_of(row), row.arm), []).append(row)
    return [
        f"{case}, arm {arm}: {what}: seed{'s' if len(group) > 1 else ''} "
        + ", ".join(str(row.seed) for row in group)
        + ("" if group[0].error is None else f" ({group[0].error})")
        for (case, arm), group in groups.items()
    ]
