"""BADGE against gradients taken by autograd and outer products written out."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dpc_lightning.acquisition import Badge, PoolView
from dpc_lightning.acquisition.badge import residuals
from tests.acquisition.pools import random_pool


def gradients(pool: PoolView) -> NDArray[np.float64]:
    """Outer products, written out."""
    p = 1 / (1 + np.exp(-pool.logits.astype(np.float64)))
    outer: NDArray[np.float64] = np.einsum("nc,nd->ncd", p - (p >= 0.5), pool.embeddings.astype(np.float64))
    return outer.reshape(len(pool), -1)


def test_residuals_times_features_are_the_gradient_of_the_last_layer() -> None:
    pool = random_pool(5)
    expected = []
    for features, logits in zip(pool.embeddings, pool.logits, strict=True):
        h, z = torch.tensor(features).double(), torch.tensor(logits).double()
        weight = torch.zeros(len(z), len(h), dtype=torch.float64, requires_grad=True)
        hypothetical = (z >= 0).double()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(weight @ h + z, hypothetical, reduction="sum")
        loss.backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        expected.append(weight.grad.numpy().ravel())
    np.testing.assert_allclose(gradients(pool), expected, atol=1e-12)
    outer = np.einsum("nc,nd->ncd", residuals(pool.logits), pool.embeddings.astype(np.float64))
    np.testing.assert_allclose(outer.reshape(5, -1), expected, atol=1e-12)


def test_the_hypothetical_label_gives_the_smallest_gradient_of_all_labels() -> None:
    pool = random_pool(50, classes=3)
    p = 1 / (1 + np.exp(-pool.logits.astype(np.float64)))
    ours = np.linalg.norm(residuals(pool.logits), axis=1)
    for label in range(8):
        bits = np.array([(label >> k) & 1 for k in range(3)])
        assert (ours <= np.linalg.norm(p - bits, axis=1) + 1e-12).all()


def test_scores_are_squared_distances_to_the_nearest_earlier_pick() -> None:
    pool = random_pool(400, labelled=0)
    g = gradients(pool)
    selection = Badge().select(pool, 300, np.random.default_rng(0))
    rows = np.searchsorted(pool.indices, selection.indices)
    assert selection.scores[0] == pytest.approx(np.square(g[rows[0]]).sum(), rel=1e-5)
    for position in range(1, 300):
        nearest = np.square(g[rows[:position]] - g[rows[position]]).sum(axis=1).min()
        assert selection.scores[position] == pytest.approx(nearest, rel=1e-4, abs=1e-9)
