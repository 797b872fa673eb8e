"""Mean entropy against SciPy."""

import numpy as np
from scipy.special import entr, expit

from dpc_lightning.acquisition import MeanEntropy
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
