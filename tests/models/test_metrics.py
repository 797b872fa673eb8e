import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, average_precision_score, f1_score

from dpc_lightning.errors import DpcError
from dpc_lightning.models.metrics import Scores, evaluate_predictions


@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_agrees_with_sklearn(count: int, num_classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((count, num_classes)).astype(np.float32)
    labels = rng.integers(0, 2, (count, num_classes)).astype(np.uint8)
    labels[0] = 1
    thresholds = rng.random(num_classes).astype(np.float32)
    names = [f"class_{k}" for k in range(num_classes)]
    scores = evaluate_predictions(probabilities, labels, thresholds, names)
    tuned, half = probabilities >= thresholds, probabilities >= 0.5
    columns = range(num_classes)
    f1 = [f1_score(labels[:, k], tuned[:, k], zero_division=0) for k in columns]
    at_half = [f1_score(labels[:, k], half[:, k], zero_division=0) for k in columns]
    precision = [average_precision_score(labels[:, k], probabilities[:, k]) for k in columns]
    assert list(scores.f1_per_class.values()) == pytest.approx(f1, abs=1e-6)
    assert list(scores.f1_per_class_at_half.values()) == pytest.approx(at_half, abs=1e-6)
    assert list(scores.ap_per_class.values()) == pytest.approx(precision, abs=1e-5)
    assert scores.f1_macro == pytest.approx(np.mean(f1), abs=1e-6)
    assert scores.f1_macro_at_half == pytest.approx(np.mean(at_half), abs=1e-6)
    assert scores.map == pytest.approx(np.mean(precision), abs=1e-5)
    assert scores.exact_match == pytest.approx(accuracy_score(labels, tuned.astype(np.uint8)), abs=1e-6)
    assert scores.classes_without_positives == ()


def test_macro_f1_is_the_mean_of_f1_and_not_the_f1_of_means() -> None:
    probabilities = np.array([[1, 1], [1, 0], [1, 0], [1, 0]], dtype=np.float32)
    labels = np.array([[1, 1], [0, 1], [0, 1], [0, 1]], dtype=np.uint8)
    scores = evaluate_predictions(probabilities, labels, np.full(2, 0.5, np.float32), ["a", "b"])
    assert scores.f1_per_class == pytest.approx({"a": 0.4, "b": 0.4})
    assert scores.f1_macro == pytest.approx(0.4)  # mean precision and mean recall are both 0.625


def test_a_class_without_positives_is_named_and_left_out_of_the_means() -> None:
    probabilities = np.array([[0.9, 0.9], [0.1, 0.9]], dtype=np.float32)
    labels = np.array([[1, 0], [0, 0]], dtype=np.uint8)
    scores = evaluate_predictions(probabilities, labels, np.full(2, 0.5, np.float32), ["seen", "unseen"])
    assert scores.classes_without_positives == ("unseen",)
    assert math.isnan(scores.f1_per_class["unseen"])
    assert math.isnan(scores.ap_per_class["unseen"])
    assert (scores.f1_macro, scores.map, scores.exact_match) == (1.0, 1.0, 0.0)
    assert "val/f1/seen" in scores.as_log("val/")
    assert not [name for name, value in scores.as_log("val/").items() if "unseen" in name or math.isnan(value)]


def test_nothing_to_score_gives_nan() -> None:
    zeros = np.zeros((2, 1))
    scores = evaluate_predictions(
        zeros.astype(np.float32), zeros.astype(np.uint8), np.full(1, 0.5, np.float32), ["only"]
    )
    assert math.isnan(scores.f1_macro)
    assert math.isnan(scores.map)
    assert scores.exact_match == 1.0


@pytest.mark.parametrize("value", [np.nan, -0.1, 1.1])
def test_what_is_no_probability_is_refused(value: float) -> None:
    table = np.full((2, 1), value, dtype=np.float32)
    with pytest.raises(DpcError, match=r"\[0, 1\]"):
        evaluate_predictions(table, np.ones((2, 1), np.uint8), np.full(1, 0.5, np.float32), ["a"])


@pytest.mark.parametrize("shape", [(0, 2), (3, 1), (3, 3)])
def test_wrong_shapes_are_refused(shape: tuple[int, int]) -> None:
    table = np.zeros(shape, dtype=np.float32)
    with pytest.raises(DpcError, match="Expected probabilities"):
        evaluate_predictions(table, table.astype(np.uint8), np.full(2, 0.5, np.float32), ["a", "b"])


def test_log_names_are_those_of_the_summary() -> None:
    scores = evaluate_predictions(
        np.ones((1, 1), np.float32), np.ones((1, 1), np.uint8), np.full(1, 0.5, np.float32), ["dent"]
    )
    assert set(scores.as_log("test/")) == {
        "test/f1_macro",
        "test/f1_macro_at_half",
        "test/map",
        "test/exact_match",
        "test/f1/dent",
        "test/f1_at_half/dent",
        "test/ap/dent",
    }


def test_average_precision_tells_confident_logits_apart() -> None:
    """In float32 the sigmoid of every logit above 17 is 1: a perfect order would count as a tie."""
    logits = np.array([[30.0], [25.0], [20.0], [18.0]])
    labels = np.array([[1], [1], [0], [0]], dtype=np.uint8)
    scores = evaluate_predictions(1 / (1 + np.exp(-logits)), labels, np.array([0.5], dtype=np.float32), ["scratch"])
    assert scores.map == 1.0


def test_what_cannot_be_scored_is_null() -> None:
    scores = Scores(0.5, float("nan"), float("nan"), 0.25, {"dent": 0.5, "hole": float("nan")}, {}, {}, ("hole",))
    assert scores.as_numbers() == {
        "f1_macro": 0.5,
        "f1_macro_at_half": None,
        "map": None,
        "exact_match": 0.25,
        "f1_per_class": {"dent": 0.5, "hole": None},
        "classes_without_positives": ["hole"],
    }
