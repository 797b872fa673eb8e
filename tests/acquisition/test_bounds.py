"""Upper bounds of scores: they hold, and with them large pools are picked from as without."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from dpc_lightning.acquisition import HardClass, Margin, MaxEntropy, MeanEntropy, RareEntropy, Scored, scored
from dpc_lightning.acquisition.base import FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.margin import half_bound, nearness
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import binary_entropy, entropy_bound, likely_bound
from tests.acquisition.pools import pool_of

BOUNDED: tuple[Callable[[], Scored], ...] = (MeanEntropy, MaxEntropy, RareEntropy, HardClass, Margin)


def test_bounds_of_one_class_hold_everywhere() -> None:
    z = np.concatenate([np.linspace(-60, 60, 600_001), [-3e38, -1e4, 1e4, 3e38]]).astype(np.float32)
    assert (entropy_bound(z) >= binary_entropy(z)).all()
    assert (likely_bound(z) >= expit(z.astype(np.float64)) - 1e-34).all()
    assert (half_bound(z) >= nearness(z[:, None], np.full(1, 0.5, np.float32))[0]).all()


def test_bounds_are_near_where_it_counts() -> None:
    z = np.linspace(-1, 1, 1_001).astype(np.float32)
    assert (entropy_bound(z) <= 1.03 * binary_entropy(z)).all()
    assert (likely_bound(z) <= 1.001 * expit(z)).all()
    assert (half_bound(z) <= 1.01 * nearness(z[:, None], np.full(1, 0.5, np.float32))[0]).all()


def large_pool(seed: int) -> PoolView:
    """Ties: logits in tenths, some images many times; and logits whose square would overflow."""
    rng = np.random.default_rng(seed)
    logits = (rng.integers(-60, 60, (3_000, 3)) / np.float32(10)).astype(np.float32)
    logits = logits[np.sort(rng.integers(0, 3_000, 6_000))] * np.float32(1 + 2 * (seed == 1))
    logits[::50] = 1e4
    logits[3::50] = np.float32(-3e38)
    pool = pool_of(logits, np.zeros((6_000, 1), np.float32))
    return replace(pool, f1=np.array([0.2, np.nan, 0.9], dtype=np.float32))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rule", BOUNDED)
def test_the_bound_leaves_the_picks_as_they_are(
    rule: Callable[[], Scored], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = large_pool(seed)
    plain = rule().select(pool, 50, np.random.default_rng(0))
    monkeypatch.setattr(scored, "LARGE", 100)
    monkeypatch.setattr(scored, "STRIDE", 5)
    looked: list[int] = []
    rows_above = scored._rows_above

    def counted(logits: FloatArray, bound: scored.Bound, level: float) -> IntArray:
        rows = rows_above(logits, bound, level)
        looked.append(len(rows))
        return rows

    monkeypatch.setattr(scored, "_rows_above", counted)
    quick = rule().select(pool, 50, np.random.default_rng(0))
    assert quick.indices.tolist() == plain.indices.tolist()
    assert quick.scores.tolist() == plain.scores.tolist()
    assert looked[0] < 3_000


@pytest.mark.parametrize("rule", BOUNDED)
def test_a_sample_unlike_the_pool_costs_time_and_no_pick(
    rule: Callable[[], Scored], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = large_pool(0)
    plain = rule().select(pool, 1_005, np.random.default_rng(0))
    monkeypatch.setattr(scored, "LARGE", 100)
    monkeypatch.setattr(scored.Scored, "_level_of_sample", lambda self, pool, count: 1e9)
    assert rule().select(pool, 1_005, np.random.default_rng(0)).indices.tolist() == plain.indices.tolist()


def test_tuned_thresholds_have_no_bound() -> None:
    assert Margin("tuned").bound(large_pool(0)) is None


def test_embeddings_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """They may be a file of a gigabyte; within a composition the pool has them, and the rule does not want them."""
    monkeypatch.setattr(scored, "LARGE", 100)
    monkeypatch.setattr(scored, "STRIDE", 5)

    class Watched(MeanEntropy):
        def scores(self, pool: PoolView) -> Doubles:
            assert pool.embeddings.shape[1] == 0
            return super().scores(pool)

    assert len(Watched().select(large_pool(0), 20, np.random.default_rng(0)).indices) == 20
