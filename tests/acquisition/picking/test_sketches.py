"""Sketches bound inner products from above, whatever the directions, and sharply where rows lie in few directions."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition.picking.sketches import principal_directions, sketch


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 30), width=st.integers(1, 12), count=st.integers(1, 12))
def test_no_inner_product_exceeds_its_bound(seed: int, rows: int, width: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((rows, width))
    directions = principal_directions(vectors, count)
    assert directions.shape == (width, min(count, width, rows))
    np.testing.assert_allclose(directions.T @ directions, np.eye(directions.shape[1]), atol=1e-9)
    short, left_out = sketch(vectors, directions)
    assert (vectors @ vectors.T <= short @ short.T + np.outer(left_out, left_out) + 1e-4).all()


def test_nothing_is_left_out_of_rows_that_lie_in_the_directions() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((500, 3)) @ rng.standard_normal((3, 40))
    _, left_out = sketch(vectors, principal_directions(vectors, 3))
    assert left_out.max() < 1e-5
