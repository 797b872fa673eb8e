"""`ExpectedGain` against its formula, computed for every image and every pick."""

import numpy as np
import pytest
from scipy.special import expit

from dpc_lightning.acquisition import ExpectedGain, PoolView
from dpc_lightning.acquisition.picking import diverse_greedy
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool


def by_the_formula(pool: PoolView, count: int, scale: float, floor: float) -> tuple[list[int], list[float]]:
    p = expit(pool.logits.astype(np.float64))
    mean = pool.embeddings.astype(np.float64).mean(axis=0)
    rows, owned = pool.embeddings - mean, pool.bought_embeddings - mean
    rows, owned = (table / np.linalg.norm(table, axis=1, keepdims=True) for table in (rows, owned))
    positives = pool.labelled_labels.sum(axis=0).astype(np.float64)
    avoid = list(owned)
    taken: list[int] = []
    best: list[float] = []
    for _ in range(count):
        nearest = (rows @ np.array(avoid).T).max(axis=1) if avoid else np.full(len(rows), -1.0)
        scores = (p * (1 - np.nan_to_num(pool.f1)) / np.maximum(1, positives)).sum(axis=1) * np.clip(
            (1 - nearest) / scale, floor, 1
        )
        scores[taken] = -np.inf
        taken.append(int(np.argmax(scores)))
        best.append(scores[taken[-1]])
        avoid.append(rows[taken[-1]])
        positives += p[taken[-1]]
    return pool.indices[taken].tolist(), best


@pytest.mark.parametrize("active", [4, 2_048])
@pytest.mark.parametrize("bought", [0, 15])
def test_takes_what_the_formula_says(monkeypatch: pytest.MonkeyPatch, active: int, bought: int) -> None:
    monkeypatch.setattr(diverse_greedy, "ACTIVE", active)
    pool = random_pool(900, labelled=20, width=12, bought=bought)
    rows, scores = by_the_formula(pool, 150, 0.3, 0.02)
    selection = ExpectedGain().select(pool, 150, np.random.default_rng(0))
    assert selection.indices.tolist() == rows
    np.testing.assert_allclose(selection.scores, scores, rtol=1e-4)


def test_constants_are_settings() -> None:
    pool = random_pool(300, width=12)
    rows, _ = by_the_formula(pool, 50, 1.2, 0.5)
    assert ExpectedGain(scale=1.2, floor=0.5).select(pool, 50, np.random.default_rng(0)).indices.tolist() == rows
    with pytest.raises(ConfigError, match="scale"):
        ExpectedGain(scale=0)


def test_a_near_duplicate_of_a_bought_image_comes_last() -> None:
    embeddings = np.array([[1, 0], [0, 1], [-1, -1]], dtype=np.float32)
    labels = np.array([[1, 1]], dtype=np.uint8)
    pool = pool_of(np.full((3, 2), 2, np.float32), embeddings, labels=labels, owned=embeddings[:1].copy(), bought=1)
    assert ExpectedGain().select(pool, 3, np.random.default_rng(0)).indices.tolist() == [1, 2, 0]
