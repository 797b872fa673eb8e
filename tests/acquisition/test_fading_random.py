"""The random share."""

from dataclasses import replace

import numpy as np
import pytest

from dpc_lightning.acquisition import FadingRandom, HardClass
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool


@pytest.mark.parametrize(
    ("score", "share"), [(float("nan"), 1.0), (0.1, 1.0), (0.25, 1.0), (0.325, 0.5), (0.4, 0.0), (0.9, 0.0)]
)
def test_fades_from_guessing_to_trust(score: float, share: float) -> None:
    labels = np.array([[1], [0], [0], [0]], dtype=np.uint8)  # guessing gives .25, trust ends at .25 + .2 * .75
    pool = replace(
        pool_of(np.zeros((5, 1), np.float32), np.zeros((5, 1), np.float32), labels=labels), validation_map=score
    )
    assert FadingRandom(HardClass()).random_share(pool) == pytest.approx(share, abs=1e-6)


def test_all_positive_labels_tell_nothing() -> None:
    labels = np.ones((4, 1), dtype=np.uint8)
    pool = pool_of(np.zeros((5, 1), np.float32), np.zeros((5, 1), np.float32), labels=labels)
    assert FadingRandom(HardClass()).random_share(pool) == 1


def test_without_a_label_all_is_random() -> None:
    """The prevalence is 0 then, and an mAP of .6 would look like knowledge."""
    assert FadingRandom(HardClass()).random_share(random_pool(30, labelled=0)) == 1


def test_half_of_the_round_is_random_at_half_the_trust() -> None:
    pool = random_pool(400, seed=2)
    rule = FadingRandom(HardClass(), trust=1.0)
    share = rule.random_share(pool)
    assert 0.2 < share < 0.8
    picked = rule.select(pool, 100, np.random.default_rng(0))
    assert np.isnan(picked.scores).sum() == round(100 * share)
    best = HardClass().select(pool, 100 - round(100 * share), np.random.default_rng(0)).indices
    assert picked.indices[: len(best)].tolist() == best.tolist()


@pytest.mark.parametrize("trust", [0, -1, 1.5, float("nan")])
def test_a_wrong_trust_is_refused(trust: float) -> None:
    with pytest.raises(ConfigError, match="init_args.trust"):
        FadingRandom(HardClass(), trust)
