"""Tau against scipy, and what noise leaves of it."""

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.evaluation.tau import JudgedPair, draw_taus, summed_up

ARMS = ("a", "b", "c", "d", "e")


def judged(
    rng: np.random.Generator, first: list[float], second: list[float], noise: float, seeds: int = 12
) -> JudgedPair:
    scores = [np.array(worth) + rng.normal(0, noise, (seeds, len(worth))) for worth in (first, second)]
    return JudgedPair(("default", 100, None), ARMS[: len(first)], tuple(range(seeds)), *scores)


def test_tau_is_scipys_also_with_ties() -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        first, second = rng.integers(0, 4, (2, 1, 5)).astype(float)
        pair = JudgedPair(("default", 100, None), ARMS, (0, 1), np.tile(first, (2, 1)), np.tile(second, (2, 1)))
        found = draw_taus(pair, 3)
        expected = stats.kendalltau(first[0], second[0]).statistic
        assert found.tau == pytest.approx(expected, nan_ok=True)
        assert found.resampled == pytest.approx([expected] * 3, nan_ok=True)


def test_judges_that_agree_but_for_noise_reach_their_ceiling() -> None:
    rng = np.random.default_rng(1)
    worth = [0.0, 0.01, 0.02, 0.03, 0.04]
    drawn = [draw_taus(judged(rng, worth, worth, 0.05), 10) for _ in range(60)]
    halves, ceiling = np.mean([one.halves for one in drawn]), np.mean([one.ceiling for one in drawn])
    assert ceiling < 0.6
    assert halves == pytest.approx(ceiling, abs=0.05)


def test_halves_share_no_seed() -> None:
    pair = judged(np.random.default_rng(1), [0.0, 0.01, 0.02, 0.03, 0.04], [0.0] * 5, 0.05)
    found = draw_taus(JudgedPair(pair.budget, pair.arms, pair.seeds, pair.first, pair.first), 10)
    assert found.tau == 1
    assert found.halves == pytest.approx(found.ceiling)
    assert found.ceiling < 0.9


def test_resamples_draw_the_seeds_with_replacement() -> None:
    first = np.array([[0.3, 0.0], [-0.1, 0.0], [-0.1, 0.0]])
    second = np.tile([1.0, 0.0], (3, 1))
    found = draw_taus(JudgedPair(("default", 100, None), ("a", "b"), (1, 2, 3), first, second), 20000)
    # the first judge puts a first unless the first seed is drawn not once
    assert np.mean(found.resampled == 1) == pytest.approx(1 - (2 / 3) ** 3, abs=0.01)


def test_judges_that_disagree_stay_below_their_ceiling() -> None:
    rng = np.random.default_rng(1)
    found = draw_taus(judged(rng, [0, 0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1, 0.0], 0.01), 10)
    assert (found.tau, found.halves, found.ceiling) == pytest.approx((-1, -1, 1))


def test_the_interval_is_of_the_resamples_and_means_are_over_budgets() -> None:
    rng = np.random.default_rng(2)
    pairs = [judged(rng, [0.0, 0.02, 0.03, 0.05, 0.06], [0.0, 0.03, 0.02, 0.05, 0.06], 0.05) for _ in range(2)]
    drawn = [(pair, draw_taus(pair, 400)) for pair in pairs]
    one = summed_up("b0", "b4", drawn[:1], ("default", 100, None))
    assert (one.low, one.high) == pytest.approx(tuple(np.quantile(drawn[0][1].resampled, [0.025, 0.975])))
    assert (one.study, one.labels, one.arms, one.seeds) == ("default", 100, 5, 12)
    both = summed_up("b0", "b4", drawn, (None, None, None))
    assert both.tau == pytest.approx(np.mean([draws.tau for _, draws in drawn]))
    means = np.mean([draws.resampled for _, draws in drawn], axis=0)
    assert (both.low, both.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])))


def test_three_seeds_have_no_halves() -> None:
    pair = judged(np.random.default_rng(0), [0.0, 0.1, 0.2], [0.0, 0.1, 0.2], 0.001, seeds=3)
    told = summed_up("b0", "b4", [(pair, draw_taus(pair, 5))], (None, None, None))
    assert (told.tau, told.halves, told.ceiling) == (1.0, None, None)
