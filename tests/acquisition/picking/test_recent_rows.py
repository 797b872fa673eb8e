"""Rows that are kept are the rows themselves, also when the ring is full."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition.picking.recent_rows import RecentRows
from dpc_lightning.acquisition.picking.unit_rows import UnitRows


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 30), at_once=st.integers(1, 6), memory=st.integers(0, 400))
def test_reads_what_the_pool_has(seed: int, rows: int, at_once: int, memory: int) -> None:
    rng = np.random.default_rng(seed)
    unit = UnitRows(rng.standard_normal((rows, 3)).astype(np.float32), np.zeros((0, 3), np.float32))
    recent = RecentRows(unit, memory, at_once)
    for _ in range(40):
        asked = rng.permutation(rows)[: rng.integers(0, at_once + 1)]
        assert (recent.read(asked) == unit.read(asked)).all()


def test_kept_rows_are_not_read_again() -> None:
    embeddings = np.eye(4, dtype=np.float32)
    recent = RecentRows(UnitRows(embeddings, embeddings[:0]), memory=10_000, at_once=2)
    before = recent.read(np.array([1, 2]))
    embeddings[:] = 9  # whoever reads the pool again sees this
    assert (recent.read(np.array([2, 1])) == before[::-1]).all()


def test_what_is_given_is_a_copy() -> None:
    embeddings = np.eye(3, dtype=np.float32)
    recent = RecentRows(UnitRows(embeddings, embeddings[:0]), memory=10_000, at_once=3)
    recent.read(np.arange(3))[:] = 7
    assert recent.read(np.arange(3)).max() < 1
