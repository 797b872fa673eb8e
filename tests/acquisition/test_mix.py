"""Shares of a round."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.acquisition import ExpectedGain, HardClass, KCenter, MeanEntropy, Mix, Random
from dpc_lightning.acquisition.mix import shares_of
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool


@given(st.integers(0, 1_000), st.lists(st.floats(0, 1e300), min_size=1, max_size=6).filter(lambda s: max(s) > 0))
def test_shares_add_up_and_are_off_by_less_than_one(count: int, shares: list[float]) -> None:
    parts = shares_of(count, shares)
    assert sum(parts) == count
    scaled = [share / max(shares) for share in shares]
    for part, share in zip(parts, scaled, strict=True):
        assert abs(part - count * share / sum(scaled)) < 1 + 1e-9


def test_each_rule_buys_its_share_of_what_the_earlier_ones_have_left() -> None:
    pool, rng = random_pool(60), np.random.default_rng(0)
    picked = Mix([MeanEntropy(), HardClass()], [2, 1]).select(pool, 12, rng).indices.tolist()
    entropy = MeanEntropy().select(pool, 60, rng).indices.tolist()
    hard = [index for index in HardClass().select(pool, 60, rng).indices.tolist() if index not in entropy[:8]]
    assert picked == entropy[:8] + hard[:4]


def test_a_rule_of_variety_keeps_away_from_what_others_have_chosen() -> None:
    """Two groups far apart: entropy takes one of the first, so that k-center takes one of the second."""
    embeddings = np.array([[0, 0], [0, 0.1], [0, 0.2], [9, 9], [9, 9.1]], dtype=np.float32)
    logits = np.array([[0.0], [5], [5], [5], [5]], dtype=np.float32)
    picked = Mix([MeanEntropy(), KCenter()]).select(pool_of(logits, embeddings), 2, np.random.default_rng(0))
    assert picked.indices[0] == 0
    assert picked.indices[1] in {3, 4}


def test_the_scores_are_those_of_the_rule_that_picked() -> None:
    picked = Mix([MeanEntropy(), Random()]).select(random_pool(40), 10, np.random.default_rng(0))
    assert np.isfinite(picked.scores[:5]).all()
    assert np.isnan(picked.scores[5:]).all()


def test_needs_what_its_rules_need() -> None:
    assert Mix([MeanEntropy(), KCenter()]).needs == {"logits", "embeddings", "labelled_embeddings"}
    assert not Mix([MeanEntropy(), ExpectedGain()]).stochastic
    assert Mix([MeanEntropy(), Random()]).stochastic


@pytest.mark.parametrize("shares", [[1], [0, 0], [-1, 2], [float("nan"), 1], [float("inf"), 1]])
def test_wrong_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(ConfigError, match="init_args.shares"):
        Mix([MeanEntropy(), Random()], shares)


def test_no_rules_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 `init_args.rules`"):
        Mix([])
