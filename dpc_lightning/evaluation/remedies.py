"""What each remedy against noise buys: the sd between trainings of one purchase, and what it costs in seconds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case, Scored, case_of, is_plain
from dpc_lightning.evaluation.result import ALL, RANDOM

__all__ = ["Remedy", "remedies", "thresholds"]

Doubles = NDArray[np.float64]
Budget = tuple[str, int, float | None]

TUNED, FIXED = "f1_macro", "f1_macro_at_half"

POINT = 0.01
"""One point of F1."""


@dataclass(frozen=True)
class Remedy:
    """The noise of training under one pipeline beside a base, on the same purchases with the same judge seeds.

    Attributes:
        study: name of the data.
        labels: label budget.
        seconds: compute budget in seconds, or None.
        pipeline: name of the pipeline that is the remedy.
        metric: the score.
        base_pipeline: name of the pipeline it is compared with; the same when only the metric differs.
        base_metric: the score of the base.
        purchases: purchases that both trained on more than once.
        degrees: degrees of freedom of both variances: trainings minus purchases.
        sd: standard deviation between trainings on the same purchase, in units of the score.
        base_sd: the same of the base.
        ratio: variance over the base's variance; below 1 the remedy helps.
        low: lower end of the 95 % interval of the ratio.
        high: upper end.
        evaluate_seconds: mean seconds of one training.
        base_evaluate_seconds: the same of the base.
        seconds_to_a_point: seconds of training until the standard error is one point: variance / 0.01² trainings.
        base_seconds_to_a_point: the same of the base.
        cost: `seconds_to_a_point` over the base's; below 1 the remedy is worth its seconds.
        cost_low: lower end of its 95 % interval.
        cost_high: upper end.
        gap: mean score of `all` minus mean score of `random` at this budget under this pipeline and metric, None if not
            measured. A judge that scores everything alike has no noise and no gap.
    """

    study: str
    labels: int
    seconds: float | None
    pipeline: str
    metric: str
    base_pipeline: str
    base_metric: str
    purchases: int
    degrees: int
    sd: float
    base_sd: float
    ratio: float
    low: float
    high: float
    evaluate_seconds: float
    base_evaluate_seconds: float
    seconds_to_a_point: float
    base_seconds_to_a_point: float
    cost: float
    cost_low: float
    cost_high: float
    gap: float | None


@dataclass(frozen=True)
class _Trainings:
    """Trainings by purchase (arm, start set, picks) and judge seed: score and seconds."""

    pipeline: str
    metric: str
    of: Mapping[tuple[str, int, int], Mapping[int, tuple[float, float]]]
    gap: float | None


def remedies(rows: Sequence[Scored], metric: str, base: str | None, problems: list[str]) -> list[Remedy]:
    """Compare the noise of training of every pipeline with that of the base.

    Args:
        rows: checked rows with their scores.
        metric: name of the score of `rows`.
        base: name of the base pipeline; None for the one with most rows, of equal ones the first by name.
        problems: gets a sentence for each pipeline that cannot be compared.

    Returns:
        One remedy for each budget and pipeline but the base.

    Raises:
        EvaluationError: no row has the pipeline `base`.

    Example:
        >>> remedies([], "f1_macro", None, [])
        []
    """
    counts: dict[str, int] = {}
    for row, _ in rows:
        counts[row.pipeline] = counts.get(row.pipeline, 0) + 1
    if base is not None and base not in counts:
        raise EvaluationError(f"no results of pipeline {base!r}: expected one of {', '.join(sorted(counts))}")
    if not counts:
        return []
    base = base if base is not None else min(counts, key=lambda name: (-counts[name], name))
    found = []
    repeated = _by_budget(rows, metric)
    problems += _trained_once(rows, repeated)
    for budget, trainings in repeated.items():
        for name in sorted(trainings):
            if name == base:
                continue
            if base not in trainings:
                problems.append(f"{_at(budget)}: no repeated trainings under {base}, the base of {name}")
                continue
            found += _compared(budget, trainings[name], trainings[base], problems)
    return found


def thresholds(tuned: Sequence[Scored], fixed: Sequence[Scored], problems: list[str]) -> list[Remedy]:
    """Compare tuned thresholds with fixed ones of 1/2, from the same trainings.

    Args:
        tuned: rows with `f1_macro`.
        fixed: the same rows with `f1_macro_at_half`.
        problems: gets a sentence for each pipeline that cannot be compared.

    Returns:
        One remedy for each budget and pipeline; the base is the fixed threshold.

    Example:
        >>> thresholds([], [], [])
        []
    """
    at_half = _by_budget(fixed, FIXED)
    return [
        remedy
        for budget, trainings in _by_budget(tuned, TUNED).items()
        for name in sorted(trainings)
        if name in at_half.get(budget, {})
        for remedy in _compared(budget, trainings[name], at_half[budget][name], problems)
    ]


def _by_budget(rows: Sequence[Scored], metric: str) -> dict[Budget, dict[str, _Trainings]]:
    """Budget -> pipeline -> trainings; only purchases that were trained on more than once."""
    table: dict[Budget, dict[str, dict[tuple[str, int, int], dict[int, tuple[float, float]]]]] = {}
    for row, score in sorted(rows, key=lambda scored: case_of(scored.row).order):
        of = table.setdefault(case_of(row).budget, {}).setdefault(row.pipeline, {})
        purchase = of.setdefault((row.arm, row.seed, row.purchase_seed), {})
        purchase[row.judge_seed] = score, row.evaluate_seconds
    found: dict[Budget, dict[str, _Trainings]] = {}
    for budget, pipelines in table.items():
        for name, of in pipelines.items():
            repeated = {purchase: judged for purchase, judged in of.items() if len(judged) > 1}
            if repeated:
                gap = _gap(rows, budget, name)
                found.setdefault(budget, {})[name] = _Trainings(name, metric, repeated, gap)
    return found


def _trained_once(rows: Sequence[Scored], repeated: Mapping[Budget, Mapping[str, _Trainings]]) -> list[str]:
    """Say which pipelines of studies of noise have a single row of each purchase."""
    studied = {case_of(row) for row, _ in rows if not is_plain(row)}
    return [
        f"{case}: one row of each purchase, which says nothing of the noise of training: give more `judge_seeds`, at "
        "least twice as many as an ensemble has members"
        for case in sorted(studied, key=lambda case: case.order)
        if case.pipeline not in repeated.get(case.budget, {})
    ]


def _gap(rows: Sequence[Scored], budget: Budget, pipeline: str) -> float | None:
    case = Case(*budget, pipeline=pipeline)
    judged = [one for one in rows if is_plain(one.row) and (one.row.study, one.row.pipeline) == (case.study, pipeline)]
    everything = {row.seed: score for row, score in judged if row.arm == ALL}
    chance = {row.seed: score for row, score in judged if row.arm == RANDOM and case_of(row) == case}
    shared = sorted(set(everything) & set(chance))
    return float(np.mean([everything[seed] - chance[seed] for seed in shared])) if shared else None


def _compared(budget: Budget, one: _Trainings, base: _Trainings, problems: list[str]) -> list[Remedy]:
    matched = {
        purchase: sorted(set(judged) & set(base.of.get(purchase, {}))) for purchase, judged in sorted(one.of.items())
    }
    matched = {purchase: judges for purchase, judges in matched.items() if len(judges) > 1}
    degrees = sum(len(judges) - 1 for judges in matched.values())
    where = f"{_at(budget)}, {one.pipeline} ({one.metric}) against {base.pipeline} ({base.metric})"
    if degrees < 3:
        problems.append(
            f"{where}: {degrees} degrees of freedom in common, 3 are needed: train both on the same purchases with the "
            "same judge seeds"
        )
        return []
    first, second = _residuals(one, matched), _residuals(base, matched)
    variance, base_variance = float(first @ first / degrees), float(second @ second / degrees)
    if base_variance == 0 or variance == 0:
        still = one.pipeline if variance == 0 else base.pipeline
        problems.append(f"{where}: every training of {still} on a purchase gives the same score, no ratio is defined")
        return []
    low, high = _ratio_interval(first, second, degrees)
    seconds, base_seconds = _mean_seconds(one, matched), _mean_seconds(base, matched)
    if base_seconds <= 0:
        problems.append(f"{where}: evaluate_seconds of the base are {base_seconds:g}, no cost is known")
        return []
    pace = seconds / base_seconds
    ratio = variance / base_variance
    return [
        Remedy(
            *budget,
            pipeline=one.pipeline,
            metric=one.metric,
            base_pipeline=base.pipeline,
            base_metric=base.metric,
            purchases=len(matched),
            degrees=degrees,
            sd=float(np.sqrt(variance)),
            base_sd=float(np.sqrt(base_variance)),
            ratio=ratio,
            low=low,
            high=high,
            evaluate_seconds=seconds,
            base_evaluate_seconds=base_seconds,
            seconds_to_a_point=variance / POINT**2 * seconds,
            base_seconds_to_a_point=base_variance / POINT**2 * base_seconds,
            cost=ratio * pace,
            cost_low=low * pace,
            cost_high=high * pace,
            gap=one.gap,
        )
    ]


def _residuals(trainings: _Trainings, matched: Mapping[tuple[str, int, int], Sequence[int]]) -> Doubles:
    """Scores minus the mean of their purchase, `(trainings,)` float64."""
    parts = []
    for purchase, judges in matched.items():
        scores = np.array([trainings.of[purchase][judge][0] for judge in judges])
        parts.append(scores - scores.mean() if np.ptp(scores) > 0 else np.zeros(len(scores)))
    return np.concatenate(parts)


def _mean_seconds(trainings: _Trainings, matched: Mapping[tuple[str, int, int], Sequence[int]]) -> float:
    return float(
        np.mean([trainings.of[purchase][judge][1] for purchase, judges in matched.items() for judge in judges])
    )


def _ratio_interval(first: Doubles, second: Doubles, degrees: int) -> tuple[float, float]:
    """Interval of the ratio of two variances that may be correlated (Morgan 1939, Pitman 1939), 95 %.

    Source:
        Snedecor, Cochran, Statistical Methods: comparing variances in paired samples.
    """
    ratio = float((first @ first) / (second @ second))
    correlation = float((first @ second) / np.sqrt((first @ first) * (second @ second)))
    quantile = float(stats.t.ppf(0.975, degrees - 1))
    spread = 1 + 2 * max(0.0, 1 - correlation**2) * quantile**2 / (degrees - 1)
    root = float(np.sqrt(spread**2 - 1))
    return ratio * (spread - root), ratio * (spread + root)


def _at(budget: Budget) -> str:
    study, labels, seconds = budget
    return f"{study}, {labels} labels" + ("" if seconds is None else f", {seconds:g} s")
