"""TypiClust on blobs, by its steps, and beside scikit-activeml."""

import numpy as np
import pytest
from numpy.typing import NDArray
from skactiveml.pool import TypiClust as TheirTypiClust
from skactiveml.utils import MISSING_LABEL
from sklearn.neighbors import NearestNeighbors

from dpc_lightning.acquisition import TypiClust
from dpc_lightning.acquisition.typi_clust import typicality
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of

BLOBS = 6


def blobs(each: int = 30, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    blob = np.repeat(np.arange(BLOBS), each)
    spread = rng.standard_normal((len(blob), BLOBS)) * rng.uniform(0.1, 0.6, (len(blob), 1))
    return (10 * np.eye(BLOBS)[blob] + spread).astype(np.float32), blob


def test_one_image_of_each_blob() -> None:
    rows, blob = blobs()
    picked = TypiClust().select(pool_of(np.zeros((len(rows), 1), np.float32), rows), BLOBS, np.random.default_rng(0))
    assert sorted(blob[picked.indices].tolist()) == list(range(BLOBS))


def test_blobs_that_are_owned_come_last() -> None:
    rows, blob = blobs()
    owned = rows[blob < 4][::30] + np.float32(0.05)
    labels = np.ones((4, 1), np.uint8)
    pool = pool_of(np.zeros((len(rows), 1), np.float32), rows, labels=labels, owned=owned)
    for seed in range(5):
        picked = TypiClust().select(pool, 2, np.random.default_rng(seed)).indices
        assert sorted(blob[picked].tolist()) == [4, 5]


def test_the_largest_blob_comes_first_and_small_ones_last() -> None:
    rows, blob = blobs()
    kept = np.concatenate([np.flatnonzero(blob == 0)[:4], np.flatnonzero(blob == 1)[:12], np.flatnonzero(blob == 2)])
    pool = pool_of(np.zeros((len(kept), 1), np.float32), rows[kept])
    picked = TypiClust().select(pool, 3, np.random.default_rng(1)).indices
    assert blob[kept][picked].tolist() == [2, 1, 2]


@pytest.mark.parametrize("neighbours", [1, 5, 20, 400])
def test_typicality_is_that_of_the_nearest_others(neighbours: int) -> None:
    rows = np.random.default_rng(0).standard_normal((60, 4))
    rows[10] = rows[50]  # a duplicate is a neighbour, the image itself is none
    kept = min(neighbours, 59)
    distances, _ = NearestNeighbors(n_neighbors=kept + 1, algorithm="brute").fit(rows).kneighbors(rows)
    expected = 1 / np.maximum(distances[:, 1:].mean(axis=1), 1e-12)
    if neighbours == 1:
        expected[[10, 50]] = 1e12
    np.testing.assert_allclose(np.minimum(typicality(rows, neighbours), 1e7), np.minimum(expected, 1e7), rtol=1e-6)


def test_peer_defect_3_empty_clusters_of_duplicates_give_no_image_twice() -> None:
    rows = np.repeat(blobs(each=1)[0], 20, axis=0)  # six points, 120 images, 30 clusters asked for
    pool = pool_of(np.zeros((120, 1), np.float32), rows)
    for seed in range(5):
        picked = TypiClust().select(pool, 30, np.random.default_rng(seed)).indices
        assert len(set(picked.tolist())) == 30
        assert len({int(index) // 20 for index in picked[:6]}) == 6


def test_scikit_activeml_hits_the_same_blobs() -> None:
    rows, blob = blobs(seed=3)
    theirs = TheirTypiClust(random_state=0).query(rows, np.full(len(rows), MISSING_LABEL), batch_size=BLOBS)
    ours = TypiClust().select(pool_of(np.zeros((len(rows), 1), np.float32), rows), BLOBS, np.random.default_rng(0))
    assert set(blob[theirs].tolist()) == set(blob[ours.indices].tolist()) == set(range(BLOBS))


@pytest.mark.parametrize("name", ["clusters", "neighbours"])
def test_wrong_settings_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"init_args.{name}"):
        TypiClust(**{name: 0})


def test_the_most_typical_of_each_cluster_comes_first_and_equal_clusters_in_the_order_of_their_images() -> None:
    """Two fans of seven directions, as wide; the middle of a fan is nearest to the others of it."""
    degrees = np.radians([180, 0, 176, -4, 184, 4, 171, -9, 189, 9, 165, -15, 195, 15])
    rows = np.column_stack([np.cos(degrees), np.sin(degrees)]).astype(np.float32)
    pool = pool_of(np.zeros((14, 1), np.float32), np.roll(rows, 4, axis=0))
    picked = TypiClust(clusters=2).select(pool, 14, np.random.default_rng(0)).indices
    assert picked[:2].tolist() == [4, 5]
    assert (picked % 2).tolist() == 7 * [0, 1]  # image 0 is in the fan of the even ones
    assert set(picked[-4:].tolist()) == {0, 1, 2, 3}  # the outermost directions of both
