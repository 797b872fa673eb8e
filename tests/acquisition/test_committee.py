"""The committee: what it calls disagreement, against the definition in exact arithmetic."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from dpc_lightning.acquisition import Badge, Cascade, Committee, MeanEntropy, Mix, PoolView, PowerNoised
from dpc_lightning.errors import AcquisitionError, ConfigError
from tests.acquisition.pools import random_pool


def entropy(p: float) -> float:
    return -sum(q * math.log(q) for q in (p, 1 - p) if q > 0)


def with_members(pool: PoolView, members: int, seed: int = 0) -> PoolView:
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0, 2, (len(pool), members, pool.num_classes)).astype(np.float32)
    return replace(pool, committee_logits=drawn)


def test_the_score_is_the_mean_divergence() -> None:
    pool = with_members(random_pool(40), 4)
    assert pool.committee_logits is not None
    expected = []
    for image in pool.committee_logits.astype(float):
        p = 1 / (1 + np.exp(-image))
        classes = [entropy(float(each.mean())) - np.mean([entropy(float(q)) for q in each]) for each in p.T]
        expected.append(np.mean(classes))
    np.testing.assert_allclose(Committee(4).scores(pool), expected, atol=1e-12)
    first_two = Committee(2).scores(pool)
    np.testing.assert_array_equal(
        first_two, Committee(2).scores(replace(pool, committee_logits=pool.committee_logits[:, :2]))
    )
    assert not np.allclose(first_two, expected)


def test_two_that_contradict_each_other_are_log_2_apart_and_two_that_doubt_alike_are_not() -> None:
    pool = random_pool(3, classes=2)
    logits = np.array([[[1e4, -1e4], [-1e4, 1e4]], [[0, 0], [0, 0]], [[1e4, -1e4], [-1e4, -1e4]]], np.float32)
    scores = Committee().scores(replace(pool, committee_logits=logits))
    np.testing.assert_allclose(scores, [math.log(2), 0, math.log(2) * float(Fraction(1, 2))])


def test_one_member_picks_as_mean_entropy() -> None:
    pool = random_pool(60)
    pool = replace(pool, committee_logits=pool.logits[:, None])
    one, other = (rule.select(pool, 12, np.random.default_rng(0)) for rule in (Committee(), MeanEntropy()))
    np.testing.assert_array_equal(one.indices, other.indices)


def test_parts_of_a_pool_keep_their_members() -> None:
    pool = with_members(random_pool(60), 3)
    rows = np.array([4, 40, 7])
    np.testing.assert_array_equal(Committee().scores(pool.subset(rows)), Committee().scores(pool)[rows])
    cascade = Cascade(MeanEntropy(), Committee(), candidates=20).select(pool, 5, np.random.default_rng(0))
    kept = MeanEntropy().select(pool, 20, np.random.default_rng(0)).indices
    assert set(cascade.indices) <= set(kept)


def test_a_composition_asks_for_the_largest_committee() -> None:
    assert Badge().members == MeanEntropy().members == 1
    assert Mix([Committee(2), PowerNoised(Committee(5)), Badge()]).members == 5


@pytest.mark.parametrize("members", [1, 0, -3])
def test_one_is_no_committee(members: int) -> None:
    with pytest.raises(ConfigError, match=f"init_args.members` of at least 2 models, but got {members}"):
        Committee(members)


def test_a_pool_without_members_or_with_nan_is_refused() -> None:
    pool = random_pool(10)
    with pytest.raises(AcquisitionError, match="Committee needs the pool's `committee_logits`"):
        Committee().select(replace(pool, committee_logits=None), 2, np.random.default_rng(0))
    logits = np.zeros((10, 2, pool.num_classes), np.float32)
    logits[7, 1, 0] = np.nan
    with pytest.raises(AcquisitionError, match=f"finite pool `committee_logits`.*index {pool.indices[7]}"):
        replace(pool, committee_logits=logits)
    with pytest.raises(AcquisitionError, match=r"`committee_logits` of shape \(10, models, 4\)"):
        replace(pool, committee_logits=logits[:9])
