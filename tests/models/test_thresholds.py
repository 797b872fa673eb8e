import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpc_lightning.errors import DpcError
from dpc_lightning.models.thresholds import tune_thresholds


def _sample(count: int, seed: int, prevalence: float = 0.2) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    labels = (rng.random((count, 1)) < prevalence).astype(np.uint8)
    labels[:5] = 1
    logits = rng.normal(3.0 * labels - 3.0, 1.3).astype(np.float32)
    return logits, labels


def _f1(logits: NDArray[np.float32], labels: NDArray[np.uint8], threshold: float) -> float:
    decided, positive = 1 / (1 + np.exp(-logits[:, 0])) >= threshold, labels[:, 0] == 1
    return float(2 * (decided & positive).sum() / max(decided.sum() + positive.sum(), 1))


def test_with_many_images_it_is_near_the_best_by_brute_force() -> None:
    logits, labels = _sample(4000, 0)
    best = max(_f1(logits, labels, t) for t in np.linspace(0.005, 0.995, 199))
    assert _f1(logits, labels, tune_thresholds(logits, labels)[0]) >= best - 0.01
    assert best > _f1(logits, labels, 0.5) + 0.05  # tuning is worth something on this sample


def test_smoothing_makes_few_positives_steadier_than_the_highest_tooth() -> None:
    grid = np.linspace(0.005, 0.995, 199)
    smooth, teeth = [], []
    for seed in range(40):
        logits, labels = _sample(60, seed, prevalence=0.05)
        smooth.append(float(tune_thresholds(logits, labels)[0]))
        teeth.append(grid[np.argmax([_f1(logits, labels, t) for t in grid])])
    spread = [np.std(np.log(np.array(ts) / (1 - np.array(ts)))) for ts in (smooth, teeth)]
    assert spread[0] < 0.8 * spread[1]


@pytest.mark.parametrize(("low", "high", "least", "most"), [(-4, 2, -3, 1), (-7, -3, -6, -4), (1, 5, 2, 4)])
def test_a_perfect_separation_is_cut_well_inside_the_gap(low: float, high: float, least: float, most: float) -> None:
    logits = np.array([[low]] * 50 + [[high]] * 50, dtype=np.float32)
    labels = np.array([[0]] * 50 + [[1]] * 50, dtype=np.uint8)
    cut = tune_thresholds(logits, labels)[0]
    assert least <= np.log(cut / (1 - cut)) <= most


def test_a_class_without_positives_gets_a_half() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    labels = np.zeros((20, 2), dtype=np.uint8)
    labels[:, 1] = 1
    thresholds = tune_thresholds(logits, labels)
    assert thresholds[0] == 0.5
    assert thresholds[1] < 0.1  # all are positive: take all


@given(st.integers(1, 30), st.integers(0, 10_000), st.sampled_from([1.0, 1e4, 1e30]))
@settings(max_examples=60, deadline=None)
def test_thresholds_are_probabilities_and_do_not_depend_on_the_order(count: int, seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    logits = (rng.normal(size=(count, 3)) * scale).astype(np.float32)
    labels = rng.integers(0, 2, (count, 3)).astype(np.uint8)
    thresholds = tune_thresholds(logits, labels)
    assert thresholds.dtype == np.float32
    assert ((thresholds > 0) & (thresholds < 1)).all()
    order = rng.permutation(count)
    np.testing.assert_array_equal(thresholds, tune_thresholds(logits[order], labels[order]))


def test_no_images_give_halves() -> None:
    assert tune_thresholds(np.zeros((0, 2), np.float32), np.zeros((0, 2), np.uint8)).tolist() == [0.5, 0.5]


def test_nan_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(DpcError, match="NaN"):
        tune_thresholds(np.full((2, 1), np.nan, np.float32), np.ones((2, 1), np.uint8))
    with pytest.raises(DpcError, match="shape"):
        tune_thresholds(np.zeros((2, 1), np.float32), np.ones((2, 2), np.uint8))


def test_confident_logits_are_told_apart() -> None:
    logits = np.array([[-9.0], [-10.0], [-14.0], [-14.0]], dtype=np.float32)
    labels = np.array([[1], [1], [0], [0]], dtype=np.uint8)
    threshold = tune_thresholds(logits, labels)
    assert ((1 / (1 + np.exp(-logits.astype(np.float64)))) >= threshold).astype(int).tolist() == labels.tolist()
