"""Random picks are uniform."""

import numpy as np
from scipy.stats import chisquare

from dpc_lightning.acquisition import Random
from tests.acquisition.pools import random_pool


def test_ordered_pairs_are_uniform() -> None:
    pool, rng = random_pool(6), np.random.default_rng(0)
    place = {index: row for row, index in enumerate(pool.indices.tolist())}
    seen = np.zeros((6, 6))
    for _ in range(6_000):
        first, second = (place[index] for index in Random().select(pool, 2, rng).indices.tolist())
        seen[first, second] += 1
    assert (np.diag(seen) == 0).all()
    assert chisquare(seen[~np.eye(6, dtype=bool)]).pvalue > 1e-4


def test_has_no_score() -> None:
    assert np.isnan(Random().select(random_pool(9), 4, np.random.default_rng(0)).scores).all()
