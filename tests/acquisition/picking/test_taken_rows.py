"""The largest cosine to a growing set: exact, whatever the directions of the sketches."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpc_lightning.acquisition.picking.taken_rows import TakenRows
from dpc_lightning.acquisition.picking.unit_rows import UnitRows

Doubles = NDArray[np.float64]


def unit_rows(rng: np.random.Generator, count: int, width: int, spots: int) -> tuple[UnitRows, Doubles]:
    """Rows around a few spots, some equal, the first without a direction."""
    rows = rng.standard_normal((spots, width))[rng.integers(0, spots, count)]
    rows += 0.05 * rng.integers(0, 3, count)[:, None] * rng.standard_normal((count, width))
    rows[0] = 0
    unit = UnitRows(rows.astype(np.float32), np.zeros((0, width), np.float32))
    return unit, unit.read(np.arange(count))


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(1, 40),
    spots=st.integers(1, 12),
    count=st.integers(1, 12),
    many=st.integers(1, 150),
    owned=st.integers(0, 80),
)
def test_largest_cosines_are_those_of_all_products(
    *, seed: int, width: int, spots: int, count: int, many: int, owned: int
) -> None:
    rng = np.random.default_rng(seed)
    unit, rows = unit_rows(rng, many + owned + 10, width, spots)
    taken = TakenRows(rows[:owned], unit.directions(count))
    since = int(rng.integers(0, owned + many))
    for number, row in enumerate(rows[owned : owned + many], owned + 1):
        taken.add(row)
        if number > since and rng.random() < 0.1:
            taken.look(rows[-3:], since)  # sketches are brought up to date in pieces
    assert len(taken) == owned + many
    asked = rows[-10:]
    right = (asked @ rows[since : owned + many].T).max(axis=1)
    assert (taken.largest_cosines(asked, since) == right).all()
    look = taken.look(asked, since)
    near = look.near_cosines()
    assert (near <= right).all()
    some = np.flatnonzero(rng.random(10) < 0.6)
    assert (np.maximum(near[some], look.largest_cosines(some, near[some])) == right[some]).all()


def test_sketches_find_the_nearest_of_clustered_rows_at_once() -> None:
    """Without this the search would be right but slow."""
    rng = np.random.default_rng(0)
    unit, rows = unit_rows(rng, 2_000, 128, 20)
    taken = TakenRows(rows[:1_500], unit.directions(24))
    near = taken.look(rows[1_500:], 0).near_cosines()
    assert np.mean(near >= taken.largest_cosines(rows[1_500:], 0) - 0.01) > 0.9


@pytest.mark.parametrize(("count", "width"), [(300, 8), (5, 40), (1, 3)])
def test_directions_are_orthonormal(count: int, width: int) -> None:
    unit, _ = unit_rows(np.random.default_rng(0), count, width, 3)
    directions = unit.directions(32)
    np.testing.assert_allclose(directions.T @ directions, np.eye(directions.shape[1]), atol=1e-12)
    assert len(directions) == width
