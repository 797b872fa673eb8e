"""What part of the pool a rule sees."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition import Acquisition, MeanEntropy, PoolView, Subsample
from dpc_lightning.acquisition.base import FloatArray, IntArray
from dpc_lightning.acquisition.picking.neighbours import nearest_rows
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.errors import AcquisitionError, ConfigError
from tests.acquisition.pools import pool_of, random_pool


class Sees(Acquisition):
    """Remembers what it was shown."""

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        self.shown = pool.indices
        return np.arange(count), np.zeros(count, np.float32)


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 300),
    anchors=st.integers(1, 5),
    count=st.integers(1, 300),
    kinds=st.integers(1, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_nearest_rows_are_those_of_a_full_sort(rows: int, anchors: int, count: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((40, 3)).astype(np.float32)[rng.integers(0, kinds, rows)]
    unit = UnitRows(embeddings, rng.standard_normal((anchors, 3)).astype(np.float32))
    count = min(count, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dpc_lightning.acquisition.picking.neighbours.ROWS", 64)  # several blocks, the last one shorter
        found = nearest_rows(unit, unit.owned, count)
    cosines = unit.owned @ unit.read(np.arange(rows)).T
    assert found.tolist() == np.argsort(-cosines, axis=1, kind="stable")[:, :count].tolist()


def test_neighbours_of_the_labelled_come_first() -> None:
    """Labelled images point along the first axis, and so do five of the pool: each labelled one asks for two."""
    rng = np.random.default_rng(0)
    embeddings = np.concatenate([[[5, 0.1 * i] for i in range(5)], rng.standard_normal((60, 2)) - [9, 0]])
    owned = np.array([[6, 0.0], [6, 0.3]], dtype=np.float32)
    pool = pool_of(
        np.zeros((65, 1), np.float32), embeddings.astype(np.float32), labels=np.ones((2, 1), np.uint8), owned=owned
    )
    rule = Sees()
    Subsample(rule, 4, by="neighbours").select(pool, 2, rng)
    assert len(rule.shown) == 4
    assert (rule.shown < 5).sum() >= 3


def test_each_class_has_anchors() -> None:
    """Of 1,000 labelled images one shows the rare class: its neighbours are kept beside those of the other."""
    rng = np.random.default_rng(0)
    often = rng.standard_normal((500, 2)) + np.array([20, 0])
    rare = rng.standard_normal((20, 2)) + np.array([0, 20])
    labels = np.zeros((1_000, 2), np.uint8)
    labels[:, 0] = 1
    labels[-1] = [0, 1]
    owned = np.concatenate([rng.standard_normal((999, 2)) + np.array([20, 0]), [[0, 20]]]).astype(np.float32)
    embeddings = np.concatenate([often, rare]).astype(np.float32)
    pool = pool_of(np.zeros((520, 2), np.float32), embeddings, labels=labels, owned=owned)
    rule = Sees()
    Subsample(rule, 20, by="anchors", anchors=1).select(pool, 2, rng)
    assert (rule.shown >= 500).sum() >= 8
    Subsample(rule, 20, by="neighbours").select(pool, 2, rng)
    assert (rule.shown >= 500).sum() <= 2


def test_what_is_to_be_scored_is_what_is_seen() -> None:
    rule = Sees()
    sub = Subsample(rule, 30)
    pool = random_pool(100)
    rows = sub.rows_to_score(100, 10, np.random.default_rng(4))
    assert rows is not None
    assert (np.diff(rows) > 0).all()
    sub.select(pool.subset(rows), 10, np.random.default_rng(5))
    assert rule.shown.tolist() == pool.indices[rows].tolist()
    assert sub.rows_to_score(30, 10, np.random.default_rng(4)) is None
    assert Subsample(rule, 30, by="neighbours").rows_to_score(100, 10, np.random.default_rng(4)) is None


def test_rows_are_drawn_uniformly() -> None:
    counts = np.zeros(20)
    for seed in range(2_000):
        rows = Subsample(Sees(), 5).rows_to_score(20, 1, np.random.default_rng(seed))
        assert rows is not None
        counts[rows] += 1
    assert abs(counts / 2_000 - 0.25).max() < 0.04


class Small(MeanEntropy):
    largest_pool = 50


def test_the_rule_is_asked_about_what_it_will_see() -> None:
    Subsample(Small(), 50).check_pool(10_000)
    with pytest.raises(AcquisitionError, match="`rule`: Small"):
        Subsample(Small(), 10).check_pool(10_000, 51)
    with pytest.raises(AcquisitionError, match="`rule`: Small"):
        Subsample(Small(), 51).check_pool(10_000)


@pytest.mark.parametrize(("name", "value"), [("size", 0), ("anchors", 0), ("by", "chance")])
def test_wrong_settings_are_refused(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"init_args.{name}"):
        Subsample(MeanEntropy(), **{"size": 5, name: value})  # type: ignore[arg-type]
