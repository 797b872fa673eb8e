import numpy as np
import pytest
import torch
from torch import Tensor

from dpc_lightning.errors import DpcError
from dpc_lightning.models.normalize import normalize


@pytest.fixture
def images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 5, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("channels_last", [False, True])
def test_image_subtracts_the_mean_of_each_image_and_channel_times_four(images: Tensor, *, channels_last: bool) -> None:
    values = images.numpy().astype(np.float64) / 255
    expected = (values - values.mean((2, 3), keepdims=True)) * 4
    result = normalize(images, "image", torch.float32, channels_last=channels_last)
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-5)
    assert result.is_contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def test_image_is_blind_to_the_colour_of_the_paint(images: Tensor) -> None:
    dark = images // 2
    shifted = dark + torch.tensor([10, 60, 100], dtype=torch.uint8).view(1, 3, 1, 1)
    one, two = (normalize(each, "image", torch.float32, channels_last=False) for each in (dark, shifted))
    torch.testing.assert_close(one, two, atol=1e-5, rtol=0)


def test_imagenet_uses_its_mean_and_deviation(images: Tensor) -> None:
    values = images.numpy().transpose(0, 2, 3, 1) / 255
    expected = (values - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    result = normalize(images, "imagenet", torch.float32, channels_last=False)
    np.testing.assert_allclose(result.numpy().transpose(0, 2, 3, 1), expected, atol=1e-5)


def test_the_type_is_that_of_the_network(images: Tensor) -> None:
    assert normalize(images, "image", torch.bfloat16, channels_last=True).dtype == torch.bfloat16


@pytest.mark.parametrize("wrong", [torch.zeros(1, 3, 2, 2), torch.zeros(3, 2, 2, dtype=torch.uint8)])
def test_other_images_are_refused(wrong: Tensor) -> None:
    with pytest.raises(DpcError, match="uint8"):
        normalize(wrong, "image", torch.float32, channels_last=False)
