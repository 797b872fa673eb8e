"""The labels that random would need: read off its curve, never beyond it."""

import math

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.labels_needed import labels_needed
from tests.evaluation.simulated import OWN_SD, SHARED_SD

WOBBLE = {seed: 0.01 * float(np.sin(7 * seed)) for seed in range(8)}


def scores(mean: float, phase: int = 0) -> dict[int, float]:
    """Eight seeds whose mean is exactly `mean`; another phase gives other noise."""
    noise = np.array([WOBBLE[(seed * (phase + 1)) % 8] for seed in range(8)])
    return dict(enumerate((mean + noise - noise.mean()).tolist()))


def test_between_budgets_labels_are_read_off_a_line_over_log_labels() -> None:
    random = {100: scores(0.5), 200: scores(0.6), 400: scores(0.7)}
    found = labels_needed(100, scores(0.65, phase=2), random)
    assert found.labels == pytest.approx(200 * math.sqrt(2))
    assert found.factor == pytest.approx(2 * math.sqrt(2))
    assert found.labels in found.interval
    assert (found.n, found.smallest, found.largest) == (8, 100, 400)
    assert found.text(found.labels) == "283"
    exact = labels_needed(100, scores(0.6), random)
    assert exact.labels == pytest.approx(200)


def test_at_the_ends_of_the_interval_the_paired_t_test_stands_at_five_percent() -> None:
    random = {100: scores(0.5, 1), 200: scores(0.6), 400: scores(0.7, 4)}
    arm = scores(0.65, phase=2)
    found = labels_needed(100, arm, random)
    for end, best in ((found.interval.low, 1), (found.interval.high, 1)):
        share = math.log2(end / 200)
        assert 0 < share < best
        along = [(1 - share) * random[200][seed] + share * random[400][seed] for seed in range(8)]
        assert stats.ttest_rel([*arm.values()], along).pvalue == pytest.approx(0.05, abs=0.01)


def test_beyond_randoms_budgets_nothing_is_read_off() -> None:
    random = {100: scores(0.5), 200: scores(0.6)}
    more = labels_needed(100, scores(0.9, phase=2), random)
    assert (more.labels, more.interval.low, more.interval.high) == (math.inf, math.inf, math.inf)
    assert (more.text(more.labels), more.factor_text(more.labels)) == (">200", ">2.0")
    less = labels_needed(100, scores(0.2, phase=2), random)
    assert (less.labels, less.interval.low, less.interval.high) == (0.0, 0.0, 0.0)
    assert (less.text(less.labels), less.factor_text(less.labels)) == ("<100", "<1.0")


def test_a_dip_of_random_is_smoothed_away() -> None:
    random = {100: scores(0.50), 200: scores(0.61, 2), 400: scores(0.59, 4), 800: scores(0.70)}
    found = labels_needed(100, scores(0.65, phase=1), random)
    assert found.labels == pytest.approx(400 * math.sqrt(2))  # 200 and 400 stand at .60 together
    assert labels_needed(100, scores(0.60), random).labels == pytest.approx(200)  # the first crossing counts


def test_an_arm_equal_to_random_needs_as_many_labels() -> None:
    random = {100: scores(0.5), 200: scores(0.6), 400: scores(0.7)}
    found = labels_needed(200, random[200], random)
    assert found.factor == pytest.approx(1)
    assert 200 in found.interval


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    means = np.array([0.50, 0.54, 0.58, 0.62, 0.54 + 0.04 * math.log2(300 / 200)])
    held = []
    for _ in range(600):
        drawn = means + SHARED_SD * rng.standard_normal((10, 1)) + OWN_SD * rng.standard_normal((10, 5))
        columns = [dict(enumerate(drawn[:, k].tolist())) for k in range(5)]
        found = labels_needed(200, columns[4], dict(zip((100, 200, 400, 800), columns[:4], strict=True)))
        held.append(300 in found.interval)
    assert 0.92 <= np.mean(held) <= 0.98


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(EvaluationError, match=r"8 seeds and budgets \[100\]"):
        labels_needed(100, scores(0.5), {100: scores(0.5)})
    with pytest.raises(EvaluationError, match="1 seeds"):
        labels_needed(100, {1: 0.5}, {100: {1: 0.5}, 200: {1: 0.6}})
    with pytest.raises(EvaluationError, match=r"random lacks seeds \[7\]"):
        labels_needed(100, scores(0.5), {100: scores(0.5), 200: {s: v for s, v in scores(0.6).items() if s < 7}})
