"""What a remedy buys: variances within purchases, an interval that covers, and seconds."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation import remedies as remedies_module
from dpc_lightning.evaluation.cases import Scored, scored_rows
from dpc_lightning.evaluation.remedies import remedies, thresholds
from dpc_lightning.evaluation.result import Result
from tests.evaluation.simulated_rows import crossed, row


def judged(
    pipeline: str, sd: float, *, draw: int, seconds: float = 10.0, shape: tuple[int, int, int] = (4, 3, 3)
) -> list[Result]:
    level = np.random.default_rng(99).normal(0.5, 0.1, (*shape[:2], 1))
    scores = level + np.random.default_rng(draw).normal(0, sd, shape)
    return [replace(r, evaluate_seconds=seconds) for r in crossed(scores, pipeline=pipeline)]


def scored(rows: list[Result]) -> tuple[Scored, ...]:
    return scored_rows(rows, "f1_macro").rows


def within(rows: list[Result]) -> float:
    """Pooled variance between trainings of one purchase."""
    groups: dict[tuple[int, int], list[float]] = {}
    for r in rows:
        groups.setdefault((r.seed, r.purchase_seed), []).append(r.scores["f1_macro"] or 0)
    return float(np.mean([np.var(group, ddof=1) for group in groups.values()]))


def test_a_remedy_is_measured_within_purchases() -> None:
    base, calm = judged("base", 0.02, draw=1), judged("calm", 0.01, draw=2, seconds=25.0)
    problems: list[str] = []
    (found,) = remedies(scored([*base, *calm]), "f1_macro", "base", problems)
    assert (found.pipeline, found.base_pipeline, found.purchases, found.degrees) == ("calm", "base", 12, 24)
    assert (found.sd, found.base_sd) == pytest.approx((within(calm) ** 0.5, within(base) ** 0.5))
    assert found.ratio == pytest.approx(within(calm) / within(base))
    assert found.low < found.ratio < found.high < 1
    assert found.seconds_to_a_point == pytest.approx(within(calm) / 0.01**2 * 25)
    assert found.base_seconds_to_a_point == pytest.approx(within(base) / 0.01**2 * 10)
    assert found.cost == pytest.approx(found.seconds_to_a_point / found.base_seconds_to_a_point)
    assert (found.cost_low, found.cost_high) == pytest.approx((found.low * 2.5, found.high * 2.5))
    assert found.gap is None
    assert not problems


def test_the_interval_of_the_ratio_covers_also_when_scores_go_together() -> None:
    rng = np.random.default_rng(0)
    for correlation in (0.0, 0.8):
        hits = 0
        for _ in range(400):
            pair = rng.multivariate_normal([0, 0], [[1, correlation / 2], [correlation / 2, 0.25]], size=(12, 3))
            pair -= pair.mean(axis=1, keepdims=True)
            low, high = remedies_module._ratio_interval(pair[..., 1].ravel(), pair[..., 0].ravel(), 24)
            hits += low <= 0.25 <= high
        assert 0.92 <= hits / 400 <= 0.98


def test_the_interval_agrees_with_the_test_of_pitman_and_morgan() -> None:
    rng = np.random.default_rng(4)
    first, second = rng.normal(0, 1, 30), rng.normal(0, 1.3, 30)
    first, second = first - first.mean(), second - second.mean()
    # variances are equal exactly if sum and difference are uncorrelated; scale one until the test is at 5 %
    _, high = remedies_module._ratio_interval(first, second, 29)
    scaled = second * np.sqrt(high)
    assert stats.pearsonr(first + scaled, first - scaled).pvalue == pytest.approx(0.05)


def test_the_base_is_the_pipeline_with_most_rows() -> None:
    rows = [*judged("zero", 0.02, draw=1), *judged("calm", 0.01, draw=2), row("badge", 1, 0.5, pipeline="zero")]
    assert [(r.pipeline, r.base_pipeline) for r in remedies(scored(rows), "f1_macro", None, [])] == [("calm", "zero")]
    with pytest.raises(EvaluationError, match="no results of pipeline 'b7': expected one of calm, zero"):
        remedies(scored(rows), "f1_macro", "b7", [])


def test_what_all_labels_gain_over_random_is_shown_beside_the_noise() -> None:
    rows = [*judged("base", 0.02, draw=1), *judged("flat", 0.001, draw=2)]
    rows = [r for r in rows if not r.seed == r.purchase_seed == r.judge_seed]
    for seed in (0, 1):
        for pipeline, gap in (("base", 0.1), ("flat", 0.01)):
            rows.append(row("random", seed, 0.5, pipeline=pipeline))
            rows.append(row("all", seed, 0.5 + gap, pipeline=pipeline, labels=900))
    (found,) = remedies(scored(rows), "f1_macro", "base", [])
    assert found.gap == pytest.approx(0.01)


def test_only_trainings_that_both_have_count() -> None:
    calm = [r for r in judged("calm", 0.01, draw=2) if r.seed < 2 and r.judge_seed < 2]
    rows = [*judged("base", 0.02, draw=1), *calm]
    (found,) = remedies(scored(rows), "f1_macro", "base", [])
    assert (found.purchases, found.degrees) == (6, 6)


def test_what_cannot_be_compared_is_said() -> None:
    base = judged("base", 0.02, draw=1)
    problems: list[str] = []
    assert not remedies(scored([*base, *judged("calm", 0.01, draw=2, shape=(1, 2, 2))]), "f1_macro", "base", problems)
    assert "calm (f1_macro) against base (f1_macro): 2 degrees of freedom in common, 3 are needed" in problems[-1]
    assert not remedies(scored([*base, *judged("calm", 0.0, draw=2)]), "f1_macro", "base", problems)
    assert "every training of calm on a purchase gives the same score" in problems[-1]
    free = [replace(r, evaluate_seconds=0.0) for r in base]
    assert not remedies(scored([*free, *judged("calm", 0.01, draw=2)]), "f1_macro", "base", problems)
    assert "evaluate_seconds of the base are 0" in problems[-1]
    elsewhere = [replace(r, labels=50) for r in judged("calm", 0.01, draw=2)]
    assert not remedies(scored([*base, *elsewhere]), "f1_macro", "base", problems)
    assert problems[-1] == "default, 50 labels: no repeated trainings under base, the base of calm"


def test_a_single_ensemble_of_each_purchase_is_said_to_show_nothing() -> None:
    base = judged("base", 0.02, draw=1)
    few = judged("base x3", 0.01, draw=2, shape=(4, 3, 1))
    problems: list[str] = []
    assert not remedies(scored([*base, *few, row("badge", 1, 0.5, pipeline="plain")]), "f1_macro", "base", problems)
    (said,) = problems
    assert said.startswith("default, 100 labels, judged by base x3: one row of each purchase")


def test_thresholds_are_compared_on_the_same_trainings() -> None:
    rows = [
        replace(r, scores={"f1_macro": r.scores["f1_macro"], "f1_macro_at_half": 0.3 + 2 * (r.scores["f1_macro"] or 0)})
        for r in judged("base", 0.02, draw=1)
    ]
    (found,) = thresholds(scored(rows), scored_rows(rows, "f1_macro_at_half").rows, [])
    assert (found.pipeline, found.metric) == ("base", "f1_macro")
    assert (found.base_pipeline, found.base_metric) == ("base", "f1_macro_at_half")
    # twice the same score: a quarter of the variance, known without any doubt
    assert (found.ratio, found.low, found.high, found.cost) == pytest.approx((0.25, 0.25, 0.25, 0.25))
