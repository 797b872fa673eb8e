"""Candidates of one rule, picks of another."""

import numpy as np
import pytest

from dpc_lightning.acquisition import Acquisition, Cascade, HardClass, MeanEntropy, Subsample
from dpc_lightning.errors import AcquisitionError, ConfigError
from tests.acquisition.pools import random_pool


def test_peer_defect_1_picks_among_the_candidates_are_images_of_the_pool() -> None:
    """Places within the candidates are no places within the pool."""
    pool, rng = random_pool(80, seed=3), np.random.default_rng(0)
    picked = Cascade(MeanEntropy(), HardClass(), candidates=20).select(pool, 5, rng)
    kept = set(MeanEntropy().select(pool, 20, rng).indices.tolist())
    best = [index for index in HardClass().select(pool, 80, rng).indices.tolist() if index in kept]
    assert picked.indices.tolist() == best[:5]
    scores = HardClass().scores(pool)
    np.testing.assert_allclose(picked.scores, scores[np.searchsorted(pool.indices, picked.indices)], rtol=1e-6)


def test_a_factor_follows_the_number_asked_for() -> None:
    pool, rng = random_pool(80), np.random.default_rng(0)
    by_factor = Cascade(MeanEntropy(), HardClass(), factor=2.5).select(pool, 7, rng).indices
    assert (
        by_factor.tolist() == Cascade(MeanEntropy(), HardClass(), candidates=18).select(pool, 7, rng).indices.tolist()
    )


def test_more_are_kept_where_more_are_asked_for() -> None:
    pool, rng = random_pool(80), np.random.default_rng(0)
    picked = Cascade(MeanEntropy(), HardClass(), candidates=3).select(pool, 10, rng).indices
    assert set(picked.tolist()) == set(MeanEntropy().select(pool, 10, rng).indices.tolist())


class Small(HardClass):
    largest_pool = 50


def test_each_stage_is_asked_whether_its_pool_is_too_large() -> None:
    Cascade(MeanEntropy(), Small(), candidates=50).check_pool(1_000)
    with pytest.raises(AcquisitionError, match=r"`then`: Small .* at most 50 images, but got 51"):
        Cascade(MeanEntropy(), Small(), candidates=51).check_pool(1_000)
    with pytest.raises(AcquisitionError, match="`first`: Small"):
        Cascade(Small(), MeanEntropy(), candidates=50).check_pool(1_000)
    Cascade(MeanEntropy(), Small(), factor=5).check_pool(1_000, 10)
    with pytest.raises(AcquisitionError, match="`then`: Small"):
        Cascade(MeanEntropy(), Small(), factor=5).check_pool(1_000, 11)
    with pytest.raises(AcquisitionError, match=r"class_path: Cascade, init_args: \{first: MeanEntropy, candidates: 50"):
        Small().check_pool(51)


def test_the_first_stage_says_what_is_to_be_scored() -> None:
    rule = Cascade(Subsample(MeanEntropy(), 30), HardClass(), candidates=10)
    rows = rule.rows_to_score(100, 5, np.random.default_rng(0))
    assert rows is not None
    assert len(rows) == 30
    assert Cascade(MeanEntropy(), HardClass(), candidates=10).rows_to_score(100, 5, np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({}, "candidates"),
        ({"candidates": 3, "factor": 2.0}, "factor"),
        ({"candidates": 0}, "candidates"),
        ({"factor": 0.5}, "factor"),
        ({"factor": float("nan")}, "factor"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], key: str) -> None:
    then: Acquisition = HardClass()
    with pytest.raises(ConfigError, match=f"init_args.{key}"):
        Cascade(MeanEntropy(), then, **settings)  # type: ignore[arg-type]
