"""The radius graph against all pairs, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition import radius_graph
from dpc_lightning.acquisition.radius_graph import RadiusGraph
from dpc_lightning.acquisition.unit_rows import UnitRows


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), kinds=st.integers(1, 40), block=st.integers(1, 17))
def test_neighbours_are_those_of_all_pairs(seed: int, rows: int, kinds: int, block: int) -> None:
    """Peer defect 4: the last block is shorter than the others, and an image is a neighbour of itself once.

    The radius is the distance of a pair: rounding must not move it.
    """
    rng = np.random.default_rng(seed)
    embeddings = rng.integers(-2, 3, (40, 3)).astype(np.float32)[rng.integers(0, kinds, rows)]
    unit = UnitRows(embeddings, embeddings[:0]).read(np.arange(rows))
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, 0)
    radius = max(0.0, float(rng.choice(distances.ravel())))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(radius_graph, "ROWS", block)
        graph = RadiusGraph.of(unit, radius)
    for row in range(rows):
        found = graph.neighbours[graph.starts[row] : graph.starts[row + 1]].tolist()
        assert found == np.flatnonzero(distances[row] <= radius).tolist()
    some = rng.integers(0, rows, 5)
    expected = [np.flatnonzero(distances[row] <= radius) for row in some]
    assert graph.of_rows(some).tolist() == np.concatenate(expected).tolist()
    assert graph.of_rows(some[:0]).tolist() == []
