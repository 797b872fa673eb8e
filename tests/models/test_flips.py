from typing import get_args

import pytest
import torch
from torch import Tensor

from dpc_lightning.models.flips import average_views, views
from dpc_lightning.models.recipe import TestFlips


@pytest.mark.parametrize("count", get_args(TestFlips))
def test_views_are_distinct_symmetries_of_the_square(count: TestFlips) -> None:
    image = torch.arange(27.0).view(1, 3, 3, 3)
    seen = {tuple(view.flatten().tolist()) for view in views(image, count)}
    assert len(seen) == count
    assert torch.equal(views(image, count)[0], image)


def test_eight_views_make_any_model_blind_to_orientation() -> None:
    weights = torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(0))

    def model(images: Tensor) -> Tensor:
        return (images * weights).sum((2, 3))

    image = torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    plain = average_views(model, image, 8)
    for view in views(image, 8):
        torch.testing.assert_close(average_views(model, view, 8), plain)
    assert not torch.allclose(average_views(model, image, 1), average_views(model, image.flip(3), 1))


def test_probabilities_are_averaged_and_not_logits() -> None:
    logits = iter([torch.tensor([[0.0]]), torch.tensor([[4.0]])])
    averaged = average_views(lambda _: next(logits), torch.zeros(1, 3, 2, 2), 2)
    expected = (torch.sigmoid(torch.tensor(0.0)) + torch.sigmoid(torch.tensor(4.0))) / 2
    assert averaged.sigmoid().item() == pytest.approx(expected.item())


@pytest.mark.parametrize("value", [1e4, -1e4, 200.0, -200.0])
def test_saturated_logits_survive(value: float) -> None:
    averaged = average_views(lambda images: torch.full((len(images), 2), value), torch.zeros(1, 3, 2, 2), 8)
    torch.testing.assert_close(averaged, torch.full((1, 2), value))


def test_half_precision_becomes_float32() -> None:
    averaged = average_views(lambda images: images.mean((2, 3)), torch.zeros(1, 3, 2, 2, dtype=torch.bfloat16), 4)
    assert averaged.dtype == torch.float32
