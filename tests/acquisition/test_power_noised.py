"""The chances of noised picks."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chi2

from dpc_lightning.acquisition import Badge, ClassStratified, HardClass, MeanEntropy, PowerNoised
from dpc_lightning.acquisition.power_noised import Noise, noised
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool

SCORES = np.array([0.1, 0.5, 0.9, 0.2, 0.0])


@pytest.mark.parametrize(
    ("noise", "weights"),
    [
        ("power", SCORES**2),
        ("softmax", np.exp(2 * SCORES)),
        ("rank", np.array([4, 2, 1, 3, 5.0]) ** -2),
    ],
)
def test_the_first_pick_has_its_probability(noise: Noise, weights: np.ndarray) -> None:
    rng, draws = np.random.default_rng(0), 20_000
    seen = np.bincount([int(np.argmax(noised(SCORES, noise, 2.0, rng))) for _ in range(draws)], minlength=5)
    expected = draws * weights / weights.sum()
    assert (seen[expected == 0] == 0).all()
    some = expected > 0
    statistic = (np.square(seen[some] - expected[some]) / expected[some]).sum()
    assert chi2.sf(statistic, some.sum() - 1) > 1e-3


def test_without_beta_it_is_chance_and_with_a_large_one_the_plain_rule() -> None:
    rng = np.random.default_rng(0)
    seen = np.bincount([int(np.argmax(noised(SCORES, "power", 0.0, rng))) for _ in range(5_000)], minlength=5)
    assert abs(seen / 5_000 - 0.2).max() < 0.03
    pool = random_pool(60)
    plain = MeanEntropy().select(pool, 9, rng).indices.tolist()
    assert PowerNoised(MeanEntropy(), beta=1e7).select(pool, 9, rng).indices.tolist() == plain


def test_negative_scores_count_from_the_smallest() -> None:
    rng = np.random.default_rng(0)
    rows = [int(np.argmax(noised(np.array([-3.0, -2.0, -3.0]), "power", 1.0, rng))) for _ in range(50)]
    assert set(rows) == {1}


def test_peer_defect_8_two_rules_of_one_generator_draw_differently() -> None:
    pool, rng = random_pool(200), np.random.default_rng(0)
    one, two = (PowerNoised().select(pool, 20, rng).indices.tolist() for _ in range(2))
    assert one != two


def test_a_rule_that_picks_a_batch_as_a_whole_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"init_args.rule.* Badge picks a batch as a whole"):
        PowerNoised(Badge())  # type: ignore[arg-type]
    for wrong in ({"noise": "white"}, {"beta": -1.0}, {"beta": float("nan")}):
        with pytest.raises(ConfigError, match=f"init_args.{next(iter(wrong))}"):
            PowerNoised(MeanEntropy(), **wrong)


def test_a_rare_class_gets_its_part_of_the_batch() -> None:
    """Ten of a thousand images show the second class: an eighth of the batch would be one by chance."""
    rng = np.random.default_rng(0)
    logits = np.stack([rng.standard_normal(1_000), np.full(1_000, -6.0)], axis=1).astype(np.float32)
    logits[::100, 1] = 1.0
    pool = pool_of(logits, np.zeros((1_000, 1), np.float32))
    picked = ClassStratified(share=0.66).select(pool, 30, rng).indices
    assert (picked % 100 == 0).sum() == 10
    assert len(ClassStratified(share=0.0).select(pool, 30, rng).indices) == 30


def test_where_a_class_is_seen_too_rarely_its_most_probable_images_are_taken() -> None:
    logits = np.array([[-5.0], [-1.0], [-3.0], [-2.0]], dtype=np.float32)
    pool = pool_of(logits, np.zeros((4, 1), np.float32))
    picked = ClassStratified(share=1.0).select(pool, 2, np.random.default_rng(0)).indices
    assert picked.tolist() == [1, 3]


def test_noise_fades_from_round_to_round() -> None:
    pool = random_pool(300, seed=5)
    plain = set(HardClass().select(pool, 30, np.random.default_rng(0)).indices.tolist())

    def shared(number: int) -> float:
        rule = ClassStratified(HardClass(), share=0.0)
        later = replace(pool, round=number)
        found = [rule.select(later, 30, np.random.default_rng(seed)).indices.tolist() for seed in range(20)]
        return float(np.mean([len(plain & set(picked)) for picked in found]))

    assert shared(1) < shared(3) < shared(9)
    assert shared(30) == 30


@pytest.mark.parametrize("wrong", [{"share": 1.5}, {"growth": 0.5}, {"beta": -1.0}, {"share": float("nan")}])
def test_wrong_settings_of_strata_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"init_args.{next(iter(wrong))}"):
        ClassStratified(**wrong)  # type: ignore[arg-type]
