"""Seeds against statsmodels, and by simulation."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from dpc_lightning.errors import EvaluationError
from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.power import seeds_needed, seeds_to_see

CASE = Case("default", 100, None, "b0")


@pytest.mark.parametrize("difference", [0.005, 0.01, 0.02])
def test_seeds_are_those_of_statsmodels(difference: float) -> None:
    for paired, test in ((True, TTestPower()), (False, TTestIndPower())):
        exact = test.solve_power(difference / 0.025, alpha=0.05, power=0.8)
        assert seeds_to_see(difference, 0.025, paired=paired) == int(np.ceil(exact))


def test_the_power_is_there_in_simulation() -> None:
    seeds = seeds_to_see(0.01, 0.015)
    rng = np.random.default_rng(0)
    shown: Any = stats.ttest_1samp(rng.normal(0.01, 0.015, (4000, seeds)), 0.0, axis=1)
    assert 0.78 < (shown.pvalue < 0.05).mean() < 0.84
    fewer: Any = stats.ttest_1samp(rng.normal(0.01, 0.015, (4000, seeds - 2)), 0.0, axis=1)
    assert (fewer.pvalue < 0.05).mean() < 0.79


@settings(max_examples=25, deadline=None)
@given(st.floats(1e-4, 1.0), st.floats(0.0, 1.0))
def test_seeds_are_the_smallest_number_that_suffices(difference: float, sd: float) -> None:
    found = seeds_to_see(difference, sd)
    assert 2 <= found <= 1_000_000
    assert seeds_to_see(difference * 2, sd) <= found
    if 5 < found < 1_000_000:  # with fewer, statsmodels gives NaN here and there
        effect = difference / sd
        enough, short = (TTestPower().power(effect, count, 0.05) for count in (found, found - 1))
        assert enough >= 0.8 > short


def test_a_difference_without_noise_needs_two_seeds_and_a_tiny_one_has_an_end() -> None:
    assert seeds_to_see(0.01, 0.0) == 2
    assert seeds_to_see(0.5, 1e-6) == 2
    assert seeds_to_see(1e-6, 1.0) == 1_000_000


@pytest.mark.parametrize(("effect", "seeds"), [(4.0, 3), (8.0, 3), (16.0, 2)])
def test_large_effects_are_right_where_statsmodels_gives_nan(effect: float, seeds: int) -> None:
    assert seeds_to_see(effect, 1.0) == seeds
    rng = np.random.default_rng(0)
    shown: Any = stats.ttest_1samp(rng.normal(effect, 1.0, (4000, seeds)), 0.0, axis=1)
    assert (shown.pvalue < 0.05).mean() > 0.8
    if seeds > 2:
        fewer: Any = stats.ttest_1samp(rng.normal(effect, 1.0, (4000, seeds - 1)), 0.0, axis=1)
        assert (fewer.pvalue < 0.05).mean() < 0.8


@pytest.mark.parametrize(
    ("difference", "sd", "power"), [(0.0, 0.1, 0.8), (0.01, float("nan"), 0.8), (0.01, -1.0, 0.8), (0.01, 0.1, 1.0)]
)
def test_what_makes_no_sense_is_an_error(difference: float, sd: float, power: float) -> None:
    with pytest.raises(EvaluationError, match="expected a difference above 0"):
        seeds_to_see(difference, sd, power=power)


def test_noise_is_of_the_paired_differences_and_known_no_better_than_it_is() -> None:
    rng = np.random.default_rng(0)
    level = rng.normal(0.5, 0.1, 10)
    scores = {arm: dict(enumerate((level + rng.normal(0, 0.01, 10)).tolist())) for arm in ("badge", "random")}
    problems: list[str] = []
    (found,) = seeds_needed({CASE: scores}, problems)
    own, other = (np.array(list(scores[arm].values())) for arm in ("badge", "random"))
    assert found.sd == pytest.approx(np.std(own - other, ddof=1))
    assert found.sd_low == pytest.approx(found.sd * np.sqrt(9 / stats.chi2.isf(0.025, 9)))
    assert found.sd_high == pytest.approx(found.sd * np.sqrt(9 / stats.chi2.isf(0.975, 9)))
    assert found.sd_unpaired > 4 * found.sd
    assert found.paired == {points: seeds_to_see(points / 100, found.sd) for points in (1.0, 2.0, 5.0)}
    assert found.unpaired[1.0] > 10 * found.paired[1.0]
    assert found.paired_at_worst[1.0] > found.paired[1.0]
    assert not problems


def test_arms_without_pairs_or_noise_are_said() -> None:
    problems: list[str] = []
    scores = {"badge": {1: 0.5}, "hard": {1: 0.5, 2: 0.6, 3: 0.7}, "random": {1: 0.4, 2: 0.5, 3: 0.6}}
    assert seeds_needed({CASE: scores}, problems) == []
    assert problems == [
        "default, 100 labels, judged by b0, arm badge: 1 seeds in common with random, 2 are needed to know the noise",
        "default, 100 labels, judged by b0, arm hard: differs from random by the same amount with every seed",
    ]
