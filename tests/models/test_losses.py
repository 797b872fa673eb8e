import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch.nn import functional as nnf

from dpc_lightning.errors import ConfigError, DpcError
from dpc_lightning.models.losses import AsymmetricLoss, BinaryCrossEntropy, FocalLoss, MultiLabelLoss

Floats = NDArray[np.floating[Any]]

LOGITS = hnp.arrays(np.float64, (4, 3), elements=st.floats(-15, 15, width=32))
LABELS = hnp.arrays(np.int64, (4, 3), elements=st.integers(0, 1))


def _smooth(labels: NDArray[np.int64], smoothing: float) -> Floats:
    return labels * (1 - smoothing) + smoothing / 2


def _naive(weight_positive: Floats, weight_negative: Floats, negative_p: Floats, p: Floats, targets: Floats) -> float:
    positive = -weight_positive * np.log(p)
    negative = -weight_negative * np.log(1 - negative_p)
    return float(np.mean(targets * positive + (1 - targets) * negative))


def _loss(loss: MultiLabelLoss, logits: Floats, labels: NDArray[np.int64]) -> float:
    return float(loss(torch.tensor(logits, dtype=torch.float32), torch.tensor(labels)))


@given(LOGITS, LABELS, st.floats(0, 0.5))
@settings(max_examples=40, deadline=None)
def test_cross_entropy_is_that_of_torch_in_float64(logits: Floats, labels: NDArray[np.int64], smoothing: float) -> None:
    weights = [0.5, 1.0, 7.0]
    loss = BinaryCrossEntropy(weights, label_smoothing=smoothing)
    expected = nnf.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(_smooth(labels, smoothing)), pos_weight=torch.tensor(weights).double()
    )
    assert _loss(loss, logits, labels) == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)


@given(LOGITS, LABELS, st.floats(0, 4), st.one_of(st.none(), st.floats(0.1, 0.9)), st.floats(0, 0.5))
@settings(max_examples=40, deadline=None)
def test_focal_loss_is_its_formula(
    logits: Floats, labels: NDArray[np.int64], gamma: float, alpha: float | None, smoothing: float
) -> None:
    p = 1 / (1 + np.exp(-logits))
    share = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    expected = _naive(share[0] * (1 - p) ** gamma, share[1] * p**gamma, p, p, _smooth(labels, smoothing))
    assert _loss(FocalLoss(gamma, alpha, smoothing), logits, labels) == pytest.approx(expected, rel=1e-3, abs=1e-6)


@given(LOGITS, LABELS, st.sampled_from([0.0, 0.05, 0.3]), st.floats(0, 0.5))
@settings(max_examples=40, deadline=None)
def test_asymmetric_loss_is_its_formula(
    logits: Floats, labels: NDArray[np.int64], clip: float, smoothing: float
) -> None:
    p = 1 / (1 + np.exp(-logits))
    shifted = np.maximum(p - clip, 0)
    expected = _naive((1 - p) ** 1.0, shifted**4.0, shifted, p, _smooth(labels, smoothing))
    assert _loss(AsymmetricLoss(4.0, 1.0, clip, smoothing), logits, labels) == pytest.approx(
        expected, rel=1e-3, abs=1e-6
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("loss", [BinaryCrossEntropy(), FocalLoss(), FocalLoss(alpha=0.25), AsymmetricLoss(clip=0.0)])
def test_extreme_logits_give_finite_losses_and_gradients(loss: MultiLabelLoss, dtype: torch.dtype) -> None:
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], dtype=dtype, requires_grad=True)
    value = loss(logits, torch.tensor([[1, 0], [1, 0]]))
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(5e3 * (0.5 if getattr(loss, "alpha", None) else 1), rel=0.01)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_asymmetric_loss_with_a_clip_stays_finite() -> None:
    logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
    AsymmetricLoss()(logits, torch.tensor([[0, 1]])).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_gamma_zero_is_cross_entropy() -> None:
    logits, labels = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.ones(8, 3)
    plain = BinaryCrossEntropy()(logits, labels)
    torch.testing.assert_close(FocalLoss(gamma=0)(logits, labels), plain)
    torch.testing.assert_close(AsymmetricLoss(0, 0, clip=0)(logits, labels), plain)


def test_balanced_weights_are_negatives_over_positives_and_safe_at_the_ends() -> None:
    loss = BinaryCrossEntropy("balanced")
    labels = torch.tensor([[1, 0, 1], [0, 0, 1], [0, 0, 1], [0, 0, 1]])
    loss.prepare(labels)
    assert loss.weights is not None
    assert loss.weights.tolist() == [3.0, 1.0, 1.0]
    loss.prepare(1 - labels)  # a later phase has other labels
    assert loss.weights.tolist() == pytest.approx([1 / 3, 1.0, 1.0])


def test_balanced_weights_that_have_seen_no_labels_are_refused() -> None:
    loss = BinaryCrossEntropy("balanced")
    assert not loss.ready
    with pytest.raises(DpcError, match="prepare"):
        loss(torch.zeros(1, 2), torch.zeros(1, 2))


def test_preparing_a_copy_leaves_the_original_alone() -> None:
    loss = BinaryCrossEntropy("balanced")
    copy.deepcopy(loss).prepare(torch.ones(2, 2))
    assert not loss.ready


def test_weights_are_no_part_of_a_checkpoint() -> None:
    assert not BinaryCrossEntropy([1.0, 2.0]).state_dict()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BinaryCrossEntropy([1.0, 0.0]), "pos_weight"),
        (lambda: BinaryCrossEntropy([float("nan")]), "pos_weight"),
        (lambda: BinaryCrossEntropy(label_smoothing=1.0), "label_smoothing"),
        (lambda: FocalLoss(gamma=-1), "gamma"),
        (lambda: FocalLoss(alpha=1.0), "alpha"),
        (lambda: AsymmetricLoss(gamma_neg=float("nan")), "gamma_neg"),
        (lambda: AsymmetricLoss(clip=1.0), "clip"),
        (lambda: BinaryCrossEntropy([1.0]).prepare(torch.zeros(3, 2)), "one a class"),
    ],
)
def test_wrong_settings_are_named(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=message):
        make()


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(DpcError, match=r"\(4, 3\)"):
        BinaryCrossEntropy()(torch.zeros(4, 3), torch.zeros(4, 1))


@pytest.mark.parametrize("loss", [FocalLoss(0.5), AsymmetricLoss(0.5, 0.5), AsymmetricLoss(0.5, 0.5, clip=0.0)])
def test_a_fading_slower_than_linear_has_finite_gradients(loss: MultiLabelLoss) -> None:
    logits = torch.tensor([[-1e4, -100.0, 0.0, 100.0, 1e4]], requires_grad=True)
    labels = torch.tensor([[0.0, 0.0, 1.0, 1.0, 1.0]])
    loss.prepare(labels)
    loss(logits, labels).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
