"""Mean entropy against SciPy."""

import numpy as np
import pytest
from scipy.special import entr, expit

from dpc_lightning.acquisition import MeanEntropy, mean_entropy
from dpc_lightning.acquisition.base import FloatArray, IntArray
from dpc_lightning.acquisition.probability import binary_entropy
from tests.acquisition.pools import pool_of, random_pool


def test_takes_what_the_formula_says() -> None:
    pool = random_pool(40_000)  # more than a block
    p = expit(pool.logits.astype(np.float64))
    mean = (entr(p) + entr(1 - p)).mean(axis=1)
    selection = MeanEntropy().select(pool, 50, np.random.default_rng(0))
    assert selection.indices.tolist() == pool.indices[np.argsort(-mean, kind="stable")[:50]].tolist()
    np.testing.assert_allclose(selection.scores, np.sort(mean)[::-1][:50], rtol=1e-6)


def test_an_image_the_model_is_certain_of_scores_zero_and_not_nan() -> None:
    pool = pool_of(np.array([[1e4], [-1e4], [0.0]], dtype=np.float32), np.zeros((3, 0), dtype=np.float32))
    selection = MeanEntropy().select(pool, 3, np.random.default_rng(0))
    assert selection.indices.tolist() == [2, 0, 1]
    assert selection.scores[1:].tolist() == [0, 0]


def test_the_bound_holds() -> None:
    """`H(z) <= ln 2 / (1 + z² / (8 ln 2))`, the sum of which decides which images are looked at."""
    z = np.linspace(0, 60, 600_001)
    assert (binary_entropy(z) <= np.log(2) / (1 + z**2 / (8 * np.log(2))) + 1e-15).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_leaves_the_picks_as_they_are(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Ties too: logits in tenths, some images a hundred times; and logits so large that their square would overflow."""
    rng = np.random.default_rng(seed)
    logits = (rng.integers(-60, 60, (3_000, 3)) / np.float32(10)).astype(np.float32)
    logits = logits[np.sort(rng.integers(0, 3_000, 6_000))] * np.float32(1 + 2 * (seed == 1))
    logits[::50] = 1e4
    logits[3::50] = np.float32(-3e38)
    pool = pool_of(logits, np.zeros((6_000, 1), np.float32))
    plain = MeanEntropy().select(pool, 50, rng)
    monkeypatch.setattr(mean_entropy, "LARGE", 100)
    monkeypatch.setattr(mean_entropy, "STRIDE", 5)
    looked: list[int] = []
    rows_above = mean_entropy._rows_above

    def counted(logits: FloatArray, level: float) -> IntArray:
        rows = rows_above(logits, level)
        looked.append(len(rows))
        return rows

    monkeypatch.setattr(mean_entropy, "_rows_above", counted)
    quick = MeanEntropy().select(pool, 50, rng)
    assert quick.indices.tolist() == plain.indices.tolist()
    assert quick.scores.tolist() == plain.scores.tolist()
    assert looked[0] < 2_000


def test_a_sample_unlike_the_pool_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = np.linspace(3, 9, 5_000, dtype=np.float32)[:, None].copy()
    logits[::5] = 0.0  # all that the sample sees
    pool = pool_of(logits, np.zeros((5_000, 1), np.float32))
    plain = MeanEntropy().select(pool, 1_005, np.random.default_rng(0))
    monkeypatch.setattr(mean_entropy, "LARGE", 100)
    monkeypatch.setattr(mean_entropy, "STRIDE", 5)
    monkeypatch.setattr(mean_entropy, "_level_of_sample", lambda logits, count: float(np.log(2)))
    assert MeanEntropy().select(pool, 1_005, np.random.default_rng(0)).indices.tolist() == plain.indices.tolist()
