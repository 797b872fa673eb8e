"""The gap closed: Fieller's interval is the inversion of scipy's paired t test, and holds the truth."""

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.gap_closed import gap_closed

RNG = np.random.default_rng(3)
SHARED = 0.04 * RNG.standard_normal(10)
RANDOM, ARM, EVERY = (
    {seed: float(mean + SHARED[seed] + 0.018 * RNG.standard_normal()) for seed in range(10)}
    for mean in (0.5, 0.56, 0.7)
)


def test_at_both_ends_the_paired_t_test_stands_at_five_percent() -> None:
    found = gap_closed(ARM, RANDOM, EVERY)
    assert found is not None
    arm, random, every = (np.array([*scores.values()]) for scores in (ARM, RANDOM, EVERY))
    assert found.share == pytest.approx((arm - random).mean() / (every - random).mean())
    assert found.gap == pytest.approx((every - random).mean())
    for end in (found.interval.low, found.interval.high):
        assert stats.ttest_1samp((arm - random) - end * (every - random), 0).pvalue == pytest.approx(0.05)
    assert found.share in found.interval


def test_random_closes_nothing_and_all_closes_everything() -> None:
    none, whole = gap_closed(RANDOM, RANDOM, EVERY), gap_closed(EVERY, RANDOM, EVERY)
    assert none is not None
    assert whole is not None
    assert (none.share, none.interval.low, none.interval.high) == pytest.approx((0, 0, 0))
    assert (whole.share, whole.interval.low, whole.interval.high) == pytest.approx((1, 1, 1))


def test_without_a_gap_that_is_shown_there_is_no_share() -> None:
    near = {seed: score + 0.001 * (-1) ** seed for seed, score in RANDOM.items()}
    assert gap_closed(ARM, RANDOM, near) is None
    assert gap_closed(RANDOM, EVERY, RANDOM) is None  # all labels worse than random: shown, but no gap to close


def test_what_cannot_be_paired_is_refused() -> None:
    with pytest.raises(EvaluationError, match="lacks seeds"):
        gap_closed(ARM, RANDOM, {seed: EVERY[seed] for seed in range(9)})
    with pytest.raises(EvaluationError, match="at least two seeds"):
        gap_closed({1: 0.5}, {1: 0.4}, {1: 0.8})
    with pytest.raises(EvaluationError, match="NaN"):
        gap_closed(ARM | {3: float("nan")}, RANDOM, EVERY)
