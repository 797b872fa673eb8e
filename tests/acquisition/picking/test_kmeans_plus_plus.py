"""D² sampling by rejection against the probabilities that k-means++ has."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2

from dpc_lightning.acquisition.picking import kmeans_plus_plus
from dpc_lightning.acquisition.picking.kmeans_plus_plus import OuterProducts, Stacked, d2_sample


def points_of(rows: int, seed: int) -> tuple[OuterProducts, NDArray[np.float64]]:
    rng = np.random.default_rng(seed)
    left = rng.uniform(-0.5, 0.5, (rows, 2))
    right = rng.standard_normal((rows, 3)).astype(np.float32)
    outer = np.einsum("nc,nd->ncd", left, right.astype(np.float64)).reshape(rows, -1)
    return OuterProducts(left, right), outer


def test_distances_are_those_of_outer_products() -> None:
    points, outer = points_of(40, 1)
    some, others = np.array([3, 9, 9]), np.array([9, 0])
    expected = np.square(outer[some][:, None] - outer[others]).sum(axis=2)
    np.testing.assert_allclose(points.distances(some, others), expected, atol=1e-13)
    assert points.distances(some, others)[1, 0] == 0
    np.testing.assert_allclose(points.norms, np.square(outer).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize(("seed", "batch"), [(0, 256), (1, 256), (2, 1), (3, 2)])
def test_ordered_triples_have_the_probabilities_of_k_means_plus_plus(
    seed: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third draw follows proposals made before the second was accepted, or, in small batches, passes over all."""
    monkeypatch.setattr(kmeans_plus_plus, "BATCH", batch)
    if batch < 16:
        monkeypatch.setattr(kmeans_plus_plus, "FEWEST", 1)
        monkeypatch.setattr(kmeans_plus_plus, "SUM", 1e6)
    points, outer = points_of(6, seed)
    square = np.square(outer[:, None] - outer).sum(axis=2)
    first = np.square(outer).sum(axis=1)
    expected = np.zeros((6, 6, 6))
    for i in range(6):
        for j in range(6):
            nearest = np.minimum(square[i], square[j])
            if i != j:
                expected[i, j] = first[i] / first.sum() * square[i, j] / square[i].sum() * nearest / nearest.sum()
    draws, rng = 8_000, np.random.default_rng(seed)
    seen = np.zeros((6, 6, 6))
    for _ in range(draws):
        seen[tuple(d2_sample(points, 3, rng)[0])] += 1
    assert (seen[expected == 0] == 0).all()
    common = expected * draws >= 5
    observed, wanted = seen[common], expected[common] * draws
    rare = expected[~common].sum() * draws
    if rare:
        observed, wanted = np.append(observed, seen[~common].sum()), np.append(wanted, rare)
    statistic = (np.square(observed - wanted) / wanted).sum()
    assert chi2.sf(statistic, len(wanted) - 1) > 1e-3


def test_a_wrong_distribution_would_be_found() -> None:
    """The test above can fail: uniform draws do not pass it."""
    _, outer = points_of(6, 0)
    first = np.square(outer).sum(axis=1)
    wanted = 8_000 * first / first.sum()
    seen = np.full(6, 8_000 / 6)
    assert chi2.sf((np.square(seen - wanted) / wanted).sum(), 5) < 1e-3


def test_clusters_are_each_drawn_once() -> None:
    """Twenty tight clusters far apart, 300 points each: twenty draws hit twenty clusters."""
    rng = np.random.default_rng(0)
    centres = 100 * rng.standard_normal((20, 8))
    right = (np.repeat(centres, 300, axis=0) + 1e-3 * rng.standard_normal((6_000, 8))).astype(np.float32)
    rows, _ = d2_sample(OuterProducts(np.ones((6_000, 1)), right), 20, rng)
    assert sorted(rows // 300) == list(range(20))


def test_duplicates_fall_back_to_uniform_without_repeats() -> None:
    counts = np.zeros(5)
    points = OuterProducts(np.full((5, 2), 0.3), np.full((5, 3), 0.1, dtype=np.float32))
    for seed in range(2_000):
        rows, squares = d2_sample(points, 3, np.random.default_rng(seed))
        assert len(set(rows.tolist())) == 3
        assert squares[0] > 0
        assert squares[1:].tolist() == [0, 0]
        counts[rows] += 1
    assert abs(counts / 2_000 - 0.6).max() < 0.05


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """With how many points each pass over all rows compares them."""
    seen: list[int] = []
    refresh = kmeans_plus_plus._Sampler._refresh

    def counted(sampler: kmeans_plus_plus._Sampler, more: int) -> None:
        seen.append(min(more, len(sampler.behind)))
        refresh(sampler, more)

    monkeypatch.setattr(kmeans_plus_plus._Sampler, "_refresh", counted)
    return seen


def test_reads_few_passes(passes: list[int]) -> None:
    rng = np.random.default_rng(0)
    points = OuterProducts(rng.uniform(-0.5, 0.5, (5_000, 6)), rng.standard_normal((5_000, 16)).astype(np.float32))
    d2_sample(points, 500, rng)
    assert len(passes) <= 3
    assert sum(passes) <= 50


def test_many_draws_are_not_many_comparisons(passes: list[int]) -> None:
    """Proposals are refused more and more; passes that take all draws in would cost 20,000 times 3,000 comparisons."""
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((400, 8))
    rows = (centres[rng.integers(0, 400, 20_000)] + 0.1 * rng.standard_normal((20_000, 8))).astype(np.float32)
    picks, _ = d2_sample(OuterProducts(np.ones((20_000, 1)), rows), 3_000, rng, np.arange(10))
    assert len(set(picks.tolist()) | set(range(10))) == 3_010
    assert 4 <= len(passes) <= 9
    assert sum(passes) <= 1_000


def test_the_last_draws_cost_no_pass(passes: list[int]) -> None:
    """The last proposals are few: that some of them are refused says little, and a pass would come too late."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((12, 4))
    rows = (centres[rng.integers(0, 12, 30_000)] + 0.3 * rng.standard_normal((30_000, 4))).astype(np.float32)
    points = OuterProducts(np.ones((30_000, 1)), rows)
    for seed in range(10):
        d2_sample(points, 100, np.random.default_rng(seed), np.arange(10))
    assert passes == [3] * 10


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_the_unit_of_the_features_does_not_matter(scale: float) -> None:
    points, _ = points_of(50, 3)
    scaled = OuterProducts(points.left, (np.asarray(points.right) * np.float32(scale)).astype(np.float32))
    rows, _ = d2_sample(points, 20, np.random.default_rng(1))
    assert d2_sample(scaled, 20, np.random.default_rng(1))[0].tolist() == rows.tolist()


def test_stacked_rows_are_those_of_both_arrays() -> None:
    rng = np.random.default_rng(0)
    both = rng.standard_normal((700, 4)).astype(np.float32)
    stacked = Stacked(both[:600], both[600:])
    assert len(stacked) == 700
    rows = rng.integers(0, 700, 50)
    for wanted in (slice(0, 20), slice(590, 610), slice(650, 900), slice(599, 600), rows):
        assert (stacked[wanted] == both[wanted]).all()


@pytest.mark.parametrize(("centres", "worth"), [(1, 0.1), (3, 0.1), (50, 0.1), (50, 1e6)])
def test_centres_give_the_same_chances_whatever_their_pivots(
    centres: int, worth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scores are exact distances although most centres are first met when a proposal is looked at, or in a pass."""
    monkeypatch.setattr(kmeans_plus_plus, "SUM", worth)
    rng = np.random.default_rng(centres)
    rows = rng.standard_normal((400, 6)).astype(np.float32)
    given = rng.permutation(400)[:centres]
    picks, squares = d2_sample(OuterProducts(np.ones((400, 1)), rows), 100, rng, given)
    assert len(set(picks.tolist()) | set(given.tolist())) == 100 + centres
    for position in range(100):
        earlier = rows[np.concatenate([given, picks[:position]])].astype(np.float64)
        expected = np.square(earlier - rows[picks[position]]).sum(axis=1).min()
        assert squares[position] == pytest.approx(expected, rel=1e-9)


def test_many_drawn_points_are_compared_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    points = OuterProducts(rng.uniform(-0.5, 0.5, (900, 2)), rng.standard_normal((900, 5)).astype(np.float32))
    expected = d2_sample(points, 400, np.random.default_rng(1))[0].tolist()
    monkeypatch.setattr(kmeans_plus_plus, "COLUMNS", 7)
    assert d2_sample(points, 400, np.random.default_rng(1))[0].tolist() == expected
