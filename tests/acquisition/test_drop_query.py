"""DropQuery: who is a candidate, one a cluster, and what happens if there are too few or too many."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from dpc_lightning.acquisition import DropQuery, Head, PoolView
from dpc_lightning.acquisition.drop_query import cluster
from dpc_lightning.acquisition.head_dropout import HeadDropout
from tests.acquisition.pools import pool_of, random_pool


def shares(pool: PoolView, samples: int, rate: float, seed: int) -> tuple[list[float], list[int]]:
    """Share of draws that turn the set of labels over, and labels turned over, image by image."""
    assert pool.head is not None
    draws = HeadDropout.draw(pool.head, samples, rate, np.random.default_rng(seed)).logits(pool.embeddings)
    plain = pool.embeddings.astype(np.float64) @ pool.head.weight.T.astype(np.float64) + pool.head.bias
    cuts = np.log(pool.thresholds / (1 - pool.thresholds))
    turned, labels = [], []
    for image in range(len(pool)):
        answer = set(np.flatnonzero(plain[image] >= cuts).tolist())
        others = [set(np.flatnonzero(draws[:, t, image] >= cuts).tolist()) for t in range(samples)]
        turned.append(sum(other != answer for other in others) / samples)
        labels.append(sum(len(other ^ answer) for other in others))
    return turned, labels


@pytest.mark.parametrize("seed", range(3))
def test_picks_are_turned_over_in_more_than_half_of_the_draws(seed: int) -> None:
    pool = random_pool(200, seed=seed)
    pool.thresholds[:] = [0.2, 0.4, 0.5, 0.7]
    turned, _ = shares(pool, 5, 0.5, seed)
    selection = DropQuery(samples=5, rate=0.5).select(pool, 15, np.random.default_rng(seed))
    rows = np.searchsorted(pool.indices, selection.indices)
    assert sum(share > 0.5 for share in turned) > 15
    np.testing.assert_allclose(selection.scores, np.array(turned)[rows], atol=1e-7)
    assert (selection.scores > 0.5).all()


def test_half_of_the_draws_are_not_enough() -> None:
    pool = random_pool(300)
    turned, _ = shares(pool, 2, 0.3, 0)
    assert 0.5 in turned
    both = sum(share == 1 for share in turned)
    selection = DropQuery(samples=2, rate=0.3).select(pool, both, np.random.default_rng(0))
    assert (selection.scores == 1).all()


def test_too_few_candidates_are_filled_up_in_order_of_the_share_turned_over() -> None:
    pool = random_pool(150, seed=4)
    turned, labels = shares(pool, 9, 0.1, 0)
    assert 0 < sum(share > 0.5 for share in turned) < 60
    selection = DropQuery(samples=9, rate=0.1).select(pool, 120, np.random.default_rng(0))
    order = np.lexsort((-np.array(labels), -np.array(turned)))
    assert np.searchsorted(pool.indices, selection.indices).tolist() == order[:120].tolist()


def clustered(kinds: int, each: int, seed: int) -> PoolView:
    """Tight clusters; the last layer looks at one column of ones and turns over with every mask that leaves it out."""
    rng = np.random.default_rng(seed)
    places = np.repeat(30 * rng.standard_normal((kinds, 6)), each, axis=0)
    embeddings = np.ones((kinds * each, 7))
    embeddings[:, 1:] = places + 0.01 * rng.standard_normal(places.shape)
    weight = np.zeros((1, 7), dtype=np.float32)
    weight[0, 0] = 5
    head = Head(weight, np.full(1, -1, dtype=np.float32))
    logits = np.full((kinds * each, 1), 4, dtype=np.float32)
    return pool_of(logits, embeddings.astype(np.float32), head=head)


def test_one_image_of_each_cluster_is_taken_the_one_next_to_its_mean() -> None:
    pool = clustered(12, 40, seed=0)
    selection = DropQuery(samples=9, rate=0.9).select(pool, 12, np.random.default_rng(1))
    assert (selection.scores > 0.5).all()
    assert sorted((selection.indices // 40).tolist()) == list(range(12))
    groups = pool.embeddings.astype(np.float64).reshape(12, 40, 7)
    gaps = np.square(groups - groups.mean(axis=1, keepdims=True)).sum(axis=2)
    assert sorted((selection.indices % 40).tolist()) == sorted(gaps.argmin(axis=1).tolist())


def test_of_too_many_candidates_a_random_part_is_clustered() -> None:
    """With four candidates a pick at most, another generator clusters other ones; picks stay one a cluster."""
    pool = clustered(3, 400, seed=0)
    rule = DropQuery(samples=9, rate=0.9, candidates=100)
    picks = [rule.select(pool, 3, np.random.default_rng(seed)).indices for seed in range(5)]
    assert all(sorted((pick // 400).tolist()) == [0, 1, 2] for pick in picks)
    assert len({tuple(sorted(pick.tolist())) for pick in picks}) > 1


def test_clusters_are_as_tight_as_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    rows = np.maximum(rng.standard_normal((800, 10)) + 2 * rng.standard_normal((40, 10))[np.arange(800) % 40], 0)

    def inertia(picks: np.ndarray) -> float:
        return float(np.square(rows[:, None] - rows[picks]).sum(axis=2).min(axis=1).sum())

    ours, theirs = [], []
    for seed in range(5):
        ours.append(inertia(cluster(rows, 40, np.random.default_rng(seed))))
        fitted = KMeans(40, init="k-means++", n_init=1, random_state=seed).fit(rows)
        nearest = np.square(rows[:, None] - fitted.cluster_centers_).sum(axis=2).argmin(axis=0)
        theirs.append(inertia(nearest))
    assert np.mean(ours) <= 1.08 * np.mean(theirs)


def test_peer_defect_3_empty_clusters_among_duplicates_are_made_up_for() -> None:
    """scikit-activeml #451 and #586: five kinds of images and twenty clusters give twenty distinct picks."""
    few = clustered(5, 1, seed=0)
    pool = pool_of(np.tile(few.logits, (20, 1)), np.tile(few.embeddings, (20, 1)), head=few.head)
    for seed in range(20):
        selection = DropQuery(samples=9, rate=0.9).select(pool, 20, np.random.default_rng(seed))
        assert len(set(selection.indices.tolist())) == 20
        assert len(set((selection.indices % 5).tolist())) == 5


@pytest.mark.parametrize("count", [1, 2, 59, 60, 70])
def test_peer_defect_7_batches_have_the_size_asked_for(count: int) -> None:
    for rate in (0.01, 0.5, 0.99):
        selection = DropQuery(rate=rate).select(random_pool(60), count, np.random.default_rng(0))
        assert len(set(selection.indices.tolist())) == min(count, 60)
