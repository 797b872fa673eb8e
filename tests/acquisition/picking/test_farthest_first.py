"""The lazy search takes what the full computation takes, to the last tie."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skactiveml.pool import CoreSet
from skactiveml.utils import MISSING_LABEL

from dpc_lightning.acquisition import KCenter
from dpc_lightning.acquisition.picking import farthest_first
from dpc_lightning.acquisition.picking.farthest_first import FarthestFirst
from tests.acquisition.pools import pool_of

Doubles = NDArray[np.float64]


@pytest.fixture
def rows_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows that are read one by one, beside the passes in blocks."""
    numbers: list[int] = []
    plain = FarthestFirst._read

    def counted(greedy: FarthestFirst, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        numbers.append(len(rows))
        return plain(greedy, rows)

    monkeypatch.setattr(FarthestFirst, "_read", counted)
    return numbers


def lazy(rows: NDArray[np.float32], owned: NDArray[np.float32], count: int) -> list[int]:
    greedy = FarthestFirst(rows, owned)
    taken = [greedy.take() for _ in range(count)]
    assert greedy.picks()[0].tolist() == taken
    return taken


def eager(rows: Doubles, owned: Doubles, count: int) -> list[int]:
    """Look at every row for every pick."""
    taken: list[int] = []
    if len(owned):
        nearest = np.square(rows[:, None] - owned).sum(axis=2).min(axis=1)
    else:
        taken.append(int(np.argmin(np.square(rows - rows.mean(axis=0)).sum(axis=1))))
        nearest = np.square(rows - rows[taken[0]]).sum(axis=1)
    while len(taken) < count:
        nearest[taken] = -1
        taken.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.square(rows - rows[taken[-1]]).sum(axis=1))
    return taken


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 60),
    owned=st.integers(0, 12),
    width=st.integers(1, 5),
    kinds=st.integers(1, 60),
    active=st.integers(1, 8),
    few=st.integers(1, 5),
    half=st.booleans(),
)
def test_lazy_is_eager(
    *, seed: int, rows: int, owned: int, width: int, kinds: int, active: int, few: int, half: bool
) -> None:
    """Whole numbers: distances are exact in both, and most are shared by many rows."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-4, 5, (60, width))[rng.integers(0, kinds, rows)].astype(np.float32)
    centres = rng.integers(-4, 5, (owned, width)).astype(np.float32)
    if not owned:
        points = np.concatenate([points, -points, np.zeros((1, width))]).astype(np.float32)  # the mean is a row
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farthest_first, "ACTIVE", active)
        patch.setattr(farthest_first, "FEW", few)
        count = int(rng.integers(1, len(points) + 1))
        taken = lazy(points.astype(np.float16) if half else points, centres, count)
    assert taken == eager(points.astype(np.float64), centres.astype(np.float64), count)


@pytest.mark.parametrize("labelled", [0, 40, 400])
def test_clusters_in_several_blocks(labelled: int) -> None:
    rng = np.random.default_rng(1)
    rows = 5 * rng.standard_normal((30, 24))[rng.integers(0, 30, 9_000)] + rng.standard_normal((9_000, 24))
    narrow = np.maximum(rows + 1, 0).astype(np.float32)
    owned = (narrow[:labelled] + 0.01).astype(np.float32)
    taken = lazy(narrow, owned, 120)
    assert taken == eager(narrow.astype(np.float64), owned.astype(np.float64), 120)


@pytest.mark.parametrize("seed", [12, 51])
def test_centres_that_differ_by_rounding_alone(seed: int) -> None:
    """Half of the centres and most rows are one image but for a hundred thousandth; one column tells as little."""
    rng = np.random.default_rng(seed)
    image = np.maximum(rng.standard_normal(512), 0)
    near = [image + 1e-5 * rng.standard_normal((count, 512)) for count in (8, 40)]
    far = [np.maximum(rng.standard_normal((count, 512)), 0) for count in (8, 10)]
    owned, rows = (np.concatenate(both).astype(np.float32) for both in zip(near, far, strict=True))
    assert sorted(lazy(rows, owned, 10)) == list(range(40, 50))
    column = (100 + 0.001 * rng.standard_normal((10, 1))).astype(np.float32)
    taken = lazy(column[4:], column[:4], 6)
    assert taken == eager(column[4:].astype(np.float64), column[:4].astype(np.float64), 6)


@pytest.mark.parametrize(("mean", "spread"), [(30.0, 0.1), (5.0, 0.0)])
def test_a_pool_of_which_rounding_leaves_all_rows_in_doubt_is_read_thrice(
    rows_read: list[int], mean: float, spread: float
) -> None:
    rng = np.random.default_rng(0)
    rows = (mean + spread * np.maximum(rng.standard_normal((2_500, 64)), 0)).astype(np.float32)
    lazy(rows[500:], rows[:500], 2)
    assert sum(rows_read) <= 3 * 2_000


def test_reads_few_rows(rows_read: list[int]) -> None:
    rows = np.random.default_rng(0).standard_normal((20_000, 32)).astype(np.float32)
    lazy(rows, rows[:0], 200)
    assert sum(rows_read) < 4 * len(
        rows
    )  # beside the three passes in blocks; the full computation reads 200 times as many


def test_peer_defect_5_the_first_centre_is_bought_and_the_labelled_set_counts() -> None:
    rows = np.array([[0, 0], [1, 0], [10, 0], [10, 1]], dtype=np.float32)
    nothing = np.zeros((4, 1), np.float32)
    cold = KCenter().select(pool_of(nothing, rows), 4, np.random.default_rng(0)).indices.tolist()
    assert sorted(cold) == [0, 1, 2, 3]
    labels, owned = np.ones((1, 1), np.uint8), np.array([[10, 0.5]], np.float32)
    warm = KCenter().select(pool_of(nothing, rows, labels=labels, owned=owned), 1, np.random.default_rng(0))
    assert warm.indices.tolist() == [0]
    assert warm.scores.tolist() == [100.25]


@pytest.mark.parametrize("seed", range(6))
def test_the_radius_is_at_most_twice_the_best(seed: int) -> None:
    """Gonzalez's bound, against all choices of three centres beside the owned one."""
    rng = np.random.default_rng(seed)
    rows, owned = rng.standard_normal((11, 2)), rng.standard_normal((1, 2))

    def radius(chosen: tuple[int, ...]) -> float:
        centres = np.concatenate([owned, rows[list(chosen)]])
        return float(np.sqrt(np.square(rows[:, None] - centres).sum(axis=2).min(axis=1).max()))

    best = min(radius(chosen) for chosen in itertools.combinations(range(11), 3))
    taken = lazy(rows.astype(np.float32), owned.astype(np.float32), 3)
    assert best - 1e-6 <= radius(tuple(taken)) <= 2 * best + 1e-6


def test_scikit_activeml_takes_the_same() -> None:
    rng = np.random.default_rng(0)
    rows, owned = rng.standard_normal((200, 6)).astype(np.float32), rng.standard_normal((9, 6)).astype(np.float32)
    labels = np.concatenate([np.zeros(9), np.full(200, MISSING_LABEL)])
    theirs = CoreSet(random_state=0).query(np.concatenate([owned, rows]), labels, batch_size=30)
    assert lazy(rows, owned, 30) == [int(place) - 9 for place in theirs]
