"""Hard class against its formula."""

import numpy as np
from scipy.special import expit

from dpc_lightning.acquisition import HardClass
from tests.acquisition.pools import pool_of, random_pool


def test_takes_what_the_formula_says() -> None:
    pool = random_pool(40_000)
    expected = (expit(pool.logits.astype(np.float64)) * (1 - pool.f1.astype(np.float64))).sum(axis=1)
    selection = HardClass().select(pool, 50, np.random.default_rng(0))
    assert selection.indices.tolist() == pool.indices[np.argsort(-expected, kind="stable")[:50]].tolist()
    np.testing.assert_allclose(selection.scores, np.sort(expected)[::-1][:50], rtol=1e-6)


def test_a_class_of_unknown_f1_counts_as_the_hardest() -> None:
    logits = np.array([[5, -5], [-5, 5]], dtype=np.float32)
    pool = pool_of(logits, np.zeros((2, 0), np.float32), f1=np.array([0.5, np.nan], dtype=np.float32))
    assert HardClass().select(pool, 1, np.random.default_rng(0)).indices.tolist() == [1]
