"""k-means: its means are means, its rows are in the nearest cluster, and scikit-learn does hardly better."""

import numpy as np
from sklearn.cluster import KMeans

from dpc_lightning.acquisition.picking.k_means import k_means


def test_ends_where_nothing_changes() -> None:
    rows = np.random.default_rng(0).standard_normal((400, 3))
    member, means = k_means(rows, 7, np.random.default_rng(1), steps=200)
    distances = np.square(rows[:, None] - means).sum(axis=2)
    assert (distances.argmin(axis=1) == member).all()
    for cluster in range(7):
        np.testing.assert_allclose(means[cluster], rows[member == cluster].mean(axis=0))


def test_is_a_function_of_its_generator() -> None:
    rows = np.random.default_rng(0).standard_normal((200, 3))
    one, two, other = (k_means(rows, 9, np.random.default_rng(seed))[0].tolist() for seed in (1, 1, 2))
    assert one == two != other


def test_more_clusters_than_points() -> None:
    rows = np.repeat(np.eye(3), 5, axis=0)
    member, means = k_means(rows, 10, np.random.default_rng(0))
    assert len(np.unique(member)) == 3
    assert np.isfinite(means).all()


def test_inertia_is_near_that_of_scikit_learn() -> None:
    """One seeding of each; ours draws plain k-means++, theirs the greedy kind and up to 300 steps."""
    rng = np.random.default_rng(0)
    rows = 3 * rng.standard_normal((40, 8))[rng.integers(0, 40, 2_000)] + rng.standard_normal((2_000, 8))
    member, means = k_means(rows, 40, np.random.default_rng(0))
    ours = np.square(rows - means[member]).sum()
    theirs = KMeans(40, n_init=1, random_state=0).fit(rows).inertia_
    assert ours <= 1.15 * theirs
