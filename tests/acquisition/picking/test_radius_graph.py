"""The radius graph against all pairs, exactly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition.picking import radius_graph
from dpc_lightning.acquisition.picking.radius_graph import RadiusGraph
from dpc_lightning.acquisition.picking.unit_rows import UnitRows


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
        patch.setattr(radius_graph, "PIVOTS", block)
        graph = RadiusGraph.of(unit, radius)
    near = [np.flatnonzero(distances[row] <= radius).tolist() for row in range(rows)]
    for row in range(rows):
        found = graph.neighbours[graph.starts[row] : graph.starts[row + 1]].tolist()
        assert found[0] == row
        assert sorted(found) == near[row]
    some = rng.integers(0, rows, 5)
    assert sorted(graph.of_rows(some)) == sorted(other for row in some for other in near[row])
    assert graph.of_rows(some[:0]).tolist() == []


@pytest.mark.parametrize("degree", [5, 60])
def test_rows_that_are_left_out_are_out_of_reach(degree: int) -> None:
    """Clusters in many directions, so that sketches rule out most rows at the small radius and few at the large one."""
    rng = np.random.default_rng(degree)
    centres = rng.standard_normal((40, 80))
    embeddings = (centres[rng.integers(0, 40, 900)] + 0.3 * rng.standard_normal((900, 80))).astype(np.float32)
    unit = UnitRows(embeddings, embeddings[:0]).read(np.arange(900))
    distances = 1 - unit @ unit.T
    np.fill_diagonal(distances, 0)
    radius = float(np.median(np.sort(distances, axis=1)[:, degree]))
    graph = RadiusGraph.of(unit, radius)
    first, second = np.nonzero(distances <= radius)
    rows = np.repeat(np.arange(900), np.diff(graph.starts))
    found = sorted(zip(rows.tolist(), graph.neighbours.tolist(), strict=True))
    assert found == list(zip(first.tolist(), second.tolist(), strict=True))
