"""k-means++ with the owned images as first centres, against the probabilities that it has."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from dpc_lightning.acquisition import KMeansPlusPlus, PoolView
from dpc_lightning.acquisition.base import FloatArray
from dpc_lightning.errors import AcquisitionError
from tests.acquisition.pools import pool_of, random_pool


def pool_at(embeddings: FloatArray, owned: FloatArray | None = None) -> PoolView:
    owned = np.zeros((0, embeddings.shape[1]), dtype=np.float32) if owned is None else owned
    labels = np.zeros((len(owned), 1), dtype=np.uint8)
    return pool_of(np.zeros((len(embeddings), 1), dtype=np.float32), embeddings, labels=labels, owned=owned)


def gaussian(rows: int, seed: int, width: int = 3) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((rows, width)).astype(np.float32)


def squares(rows: FloatArray, others: FloatArray) -> NDArray[np.float64]:
    gaps = rows.astype(np.float64)[:, None] - others.astype(np.float64)
    return np.asarray(np.square(gaps).sum(axis=2), dtype=np.float64)


def surprise(seen: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Chance of a χ² as large, over cells of at least 5 expected draws; the others make one cell."""
    wanted = expected * seen.sum()
    assert (seen[expected == 0] == 0).all()
    common = wanted >= 5
    observed, hoped = np.append(seen[common], seen[~common].sum()), np.append(wanted[common], wanted[~common].sum())
    observed, hoped = observed[hoped > 0], hoped[hoped > 0]
    return float(chi2.sf((np.square(observed - hoped) / hoped).sum(), len(hoped) - 1))


@pytest.mark.parametrize("owned", [1, 2, 7])
def test_ordered_pairs_have_the_probabilities_of_k_means_plus_plus(owned: int) -> None:
    """Seven owned images are two pivots: the bounds are out of date from the start."""
    rows, centres = gaussian(6, 1), gaussian(owned, 2)
    pool = pool_at(rows, centres)
    nearest, mutual = squares(rows, centres).min(axis=1), squares(rows, rows)
    expected = np.zeros((6, 6))
    for i in range(6):
        after = np.minimum(nearest, mutual[i])
        expected[i] = nearest[i] / nearest.sum() * after / after.sum()
    seen, rng = np.zeros((6, 6)), np.random.default_rng(owned)
    for _ in range(2_500):
        seen[tuple(KMeansPlusPlus().select(pool, 2, rng).indices)] += 1
    assert surprise(seen, expected) > 1e-3
    assert surprise(seen, np.where(expected > 0, 1 / 30, 0)) < 1e-3, "uniform draws would pass"


def test_the_first_is_uniform_where_nothing_is_owned() -> None:
    rows = gaussian(6, 1)
    pool, mutual = pool_at(rows), squares(rows, rows)
    seen, rng = np.zeros((6, 6)), np.random.default_rng(0)
    for _ in range(2_500):
        seen[tuple(KMeansPlusPlus().select(pool, 2, rng).indices)] += 1
    assert surprise(seen, mutual / mutual.sum(axis=1, keepdims=True) / 6) > 1e-3


@pytest.mark.parametrize("owned", [0, 1, 40])
def test_scores_are_squared_distances_to_the_nearest_centre_or_earlier_pick(owned: int) -> None:
    rows, centres = gaussian(600, 3, width=5), gaussian(owned, 4, width=5)
    selection = KMeansPlusPlus().select(pool_at(rows, centres), 300, np.random.default_rng(0))
    picked = rows[selection.indices]
    start = 0
    if not owned:
        assert np.isnan(selection.scores[0])
        start = 1
    for position in range(start, 300):
        nearest = squares(picked[position : position + 1], np.concatenate([centres, picked[:position]])).min()
        assert selection.scores[position] == pytest.approx(nearest, rel=1e-4)


def test_clusters_that_are_owned_are_left_and_the_others_hit_once() -> None:
    rng = np.random.default_rng(0)
    places = 100 * rng.standard_normal((20, 8))
    rows = (np.repeat(places, 100, axis=0) + 1e-3 * rng.standard_normal((2_000, 8))).astype(np.float32)
    pool = pool_at(rows, places[:12].astype(np.float32))
    picks = KMeansPlusPlus().select(pool, 8, np.random.default_rng(0)).indices
    assert sorted((picks // 100).tolist()) == list(range(12, 20))


def test_what_was_chosen_in_this_round_is_a_centre() -> None:
    rows = np.array([[0, 0], [5, 0], [0, 5], [5, 5]], dtype=np.float32)
    pool = pool_at(np.repeat(rows, 3, axis=0), rows[:1]).with_chosen(np.array([3, 6]))
    for seed in range(20):
        assert KMeansPlusPlus().select(pool, 1, np.random.default_rng(seed)).indices[0] // 3 == 3


def test_half_precision_in_a_memory_map(tmp_path: object) -> None:
    pool = random_pool(5_000, width=16, labelled=30)
    path = f"{tmp_path}/rows.npy"
    np.save(path, pool.embeddings.astype(np.float16))
    half = np.load(path, mmap_mode="r")
    owned = pool.labelled_embeddings.copy()
    picks = [
        KMeansPlusPlus().select(pool_at(rows, owned), 60, np.random.default_rng(0)).indices.tolist()
        for rows in (half, np.array(half).astype(np.float32))
    ]
    assert picks[0] == picks[1]


def test_embeddings_of_another_model_are_refused() -> None:
    with pytest.raises(AcquisitionError, match="of 3 columns, but got 2"):
        KMeansPlusPlus().select(pool_at(gaussian(4, 0), gaussian(2, 0, width=2)), 1, np.random.default_rng(0))


@pytest.mark.parametrize("owned", [0, 1, 5])
def test_peer_defect_6_zero_distances_do_not_crash(owned: int) -> None:
    """All images are one image, and that is owned: then draws are uniform."""
    rows = np.full((5, 3), 0.1, dtype=np.float32)
    counts = np.zeros(5)
    for seed in range(400):
        selection = KMeansPlusPlus().select(pool_at(rows, rows[:owned]), 3, np.random.default_rng(seed))
        assert len(set(selection.indices.tolist())) == 3
        assert not selection.scores[1:].any()
        counts[selection.indices] += 1
    assert abs(counts / 400 - 0.6).max() < 0.1


@pytest.mark.parametrize("owned", [0, 3])
def test_peer_defect_3_duplicates_are_picked_once(owned: int) -> None:
    """Forty images, ten kinds: all four copies of a kind are at distance 0 once it is drawn."""
    rows = np.tile(gaussian(10, 0), (4, 1))
    for seed in range(20):
        selection = KMeansPlusPlus().select(pool_at(rows, gaussian(owned, 1)), 25, np.random.default_rng(seed))
        assert len(set(selection.indices.tolist())) == 25
        assert len(set((selection.indices[:10] % 10).tolist())) == 10
        assert (selection.scores[10:] == 0).all()


@pytest.mark.parametrize("count", [1, 19, 20, 300])
def test_peer_defect_7_batches_have_the_size_asked_for(count: int) -> None:
    selection = KMeansPlusPlus().select(pool_at(gaussian(20, 0), gaussian(4, 1)), count, np.random.default_rng(0))
    assert len(set(selection.indices.tolist())) == min(count, 20)
