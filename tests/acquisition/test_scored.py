"""Scores of single images against their formulas in plain loops, and what all of them have to keep."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import entropy

from dpc_lightning.acquisition import (
    CardinalityInconsistency,
    Cvirs,
    HardClass,
    Margin,
    MaxEntropy,
    MaximumLossReduction,
    MeanEntropy,
    PoolView,
    RareEntropy,
    Scored,
)
from dpc_lightning.acquisition.cvirs import label_distances
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool

POOL = random_pool(50, classes=5, labelled=12, seed=7)
P = 1 / (1 + np.exp(-POOL.logits.astype(np.float64)))
H = np.array([[entropy([p, 1 - p]) for p in row] for row in P])


def cardinality(pool: PoolView) -> list[float]:
    usual = pool.labelled_labels.sum() / len(pool.labelled_labels)
    found = []
    for row in pool.logits.tolist():
        positive, negative = [z for z in row if z > 0], [z for z in row if z <= 0]
        gap = (min(positive) if positive else 0) - (max(negative) if negative else 0)
        found.append((1 / max(gap, 1e-6)) ** 0.5 * abs(len(positive) - usual) ** 0.5)
    return found


def vectors_apart(one: list[int], two: list[int]) -> float:
    if all(a != b for a, b in zip(one, two, strict=True)):
        return 1.0
    if one == two:
        return 0.0
    pairs = list(zip(one, two, strict=True))
    joint = entropy([pairs.count((a, b)) for a in (0, 1) for b in (0, 1)])
    alone = sum(entropy([side.count(0), side.count(1)]) for side in (one, two))
    return float((2 * joint - alone) / joint)


def cvirs(pool: PoolView) -> list[float]:
    images, classes = pool.logits.shape
    predicted = (P >= 0.5).astype(int).tolist()
    known = pool.labelled_labels.astype(int).tolist()
    found = []
    for row in range(images):
        margins = np.abs(pool.logits)
        doubt = sum(int((margins[:, k] > margins[row, k]).sum()) for k in range(classes)) / (classes * (images - 1))
        found.append(doubt * float(np.mean([vectors_apart(predicted[row], other) for other in known])))
    return found


FORMULAS: list[tuple[Scored, object]] = [
    (MeanEntropy(), H.mean(axis=1)),
    (MaxEntropy(), H.max(axis=1)),
    (RareEntropy(), (H / np.sqrt(POOL.prevalence.astype(np.float64) + 0.01)).sum(axis=1)),
    (Margin(), (1 - np.abs(2 * P - 1)).mean(axis=1)),
    (HardClass(), (P * (1 - POOL.f1.astype(np.float64))).sum(axis=1)),
    (CardinalityInconsistency(), cardinality(POOL)),
    (Cvirs(), cvirs(POOL)),
]


@pytest.mark.parametrize(("rule", "expected"), FORMULAS, ids=[type(rule).__name__ for rule, _ in FORMULAS])
def test_scores_are_those_of_the_formula(rule: Scored, expected: object) -> None:
    np.testing.assert_allclose(rule.scores(POOL), np.asarray(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("labels", [((1, 0, 1, 0), (1, 1, 0, 0)), ((1, 1, 0), (1, 0, 0)), ((0, 0), (0, 0))])
def test_label_distances_are_those_of_the_formula(labels: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    one, two = labels
    found = label_distances(np.array(one, np.uint8), np.array([two], np.uint8))
    assert found.tolist() == pytest.approx([vectors_apart(list(one), list(two))])


def test_a_tuned_boundary_moves_the_doubt() -> None:
    logits = np.array([[0.0], [np.log(0.2 / 0.8)], [-9.0]], dtype=np.float32)
    pool = pool_of(logits, np.zeros((3, 1), np.float32))
    pool.thresholds.setflags(write=True)
    pool.thresholds[:] = 0.2
    assert Margin("half").select(pool, 1, np.random.default_rng(0)).indices.tolist() == [0]
    assert Margin("tuned").select(pool, 1, np.random.default_rng(0)).indices.tolist() == [1]
    assert Margin("tuned").scores(pool)[1] == pytest.approx(1, abs=1e-6)
    with pytest.raises(ConfigError, match="boundary"):
        Margin("best")  # type: ignore[arg-type]


def test_maximum_loss_reduction_learns_how_many_labels_images_have() -> None:
    """Labelled images have as many labels as logits of about 2 or more, whatever else; the model sees one too few."""
    rng = np.random.default_rng(0)
    number = rng.integers(1, 4, 300)
    owned = np.where(np.arange(5) < number[:, None], 2.0, -2.0).astype(np.float32)
    labels = (np.arange(5) < number[:, None] + 1).astype(np.uint8)
    logits = np.array([[2, 2, -1, -2, -2], [2, 2, -2, -2, -2.0]], dtype=np.float32)
    pool = pool_of(logits, np.zeros((2, 1), np.float32), labels=labels, labelled_logits=owned)
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = [(1 - row[:3]).sum() + row[3:].sum() for row in p]
    np.testing.assert_allclose(MaximumLossReduction().scores(pool), expected)


def test_maximum_loss_reduction_without_labels_is_the_least_confidence() -> None:
    pool = random_pool(30, labelled=0)
    p = 1 / (1 + np.exp(-pool.logits.astype(np.float64)))
    np.testing.assert_allclose(MaximumLossReduction().scores(pool), np.minimum(p, 1 - p).sum(axis=1))


@pytest.mark.parametrize("make", [MeanEntropy, MaxEntropy, Margin, RareEntropy, HardClass])
def test_peer_defect_2_classes_do_not_compete(make: Callable[[], Scored]) -> None:
    """A softmax over classes would let a certain class make the others certain too."""
    logits = np.array([[0.0, -9], [1.5, -9], [3.0, -9]], dtype=np.float32)
    sure = logits.copy()
    sure[:, 1] = 20
    blank = np.zeros((3, 1), np.float32)
    f1 = np.array([0.2, 1.0], np.float32)
    one, two = (np.argsort(-make().scores(pool_of(z, blank, f1=f1))).tolist() for z in (logits, sure))
    assert one == two


@pytest.mark.parametrize("beta", [-0.1, 1.1, float("nan")])
def test_a_wrong_beta_is_refused(beta: float) -> None:
    with pytest.raises(ConfigError, match="init_args.beta"):
        CardinalityInconsistency(beta)
