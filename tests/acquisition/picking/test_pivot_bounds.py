"""Bounds are distances to some centre: never below the nearest, and mostly close to it."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition.picking.pivot_bounds import PivotBounds


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 50), centres=st.integers(1, 40), size=st.integers(1, 60))
def test_bounds_are_distances_to_some_centre(seed: int, rows: int, centres: int, size: int) -> None:
    """Whole numbers: products in float32 are exact."""
    rng = np.random.default_rng(seed)
    points = rng.integers(-5, 6, (rows, 3)).astype(np.float32)
    owned = rng.integers(-5, 6, (centres, 3)).astype(np.float32)
    squares = np.square(points).sum(axis=1).astype(np.float64)
    pivots = PivotBounds(owned, np.square(owned).sum(axis=1) / 2)
    bounds = pivots.of(lambda block: points[block], squares, size)
    every = np.square(points[:, None] - owned).sum(axis=2)
    assert (bounds >= every.min(axis=1)).all()
    assert (bounds[:, None] == every).any(axis=1).all()


def test_the_far_half_is_bounded_by_the_members_of_a_pivot() -> None:
    """Twenty spots of twenty centres each, and rows on centres: near rows know a pivot, far ones their own centre."""
    rng = np.random.default_rng(0)
    spots = 100 * rng.standard_normal((20, 1, 8))
    owned = (spots + rng.standard_normal((20, 20, 8))).reshape(400, 8).astype(np.float32)
    squares = np.square(owned).sum(axis=1).astype(np.float64)
    bounds = PivotBounds(owned, (squares / 2).astype(np.float32)).of(lambda block: owned[block], squares, 400)
    pivots = owned[::20]
    to_pivot = np.square(owned[:, None] - pivots).sum(axis=2).min(axis=1)
    far = to_pivot >= np.median(to_pivot) + 0.1
    assert (np.abs(bounds[far]) < 1).all()
