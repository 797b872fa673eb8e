"""From stored bytes to what a network takes."""

import torch
from torch import Tensor

from dpc_lightning.errors import DpcError
from dpc_lightning.models.recipe import Normalization

__all__ = ["normalize"]

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)
_CONTRAST = 4.0


def normalize(images: Tensor, how: Normalization, dtype: torch.dtype, *, channels_last: bool) -> Tensor:
    """Normalise images.

    `image` subtracts from x in [0, 1] its mean over each image and channel, and multiplies by 4: the paint's colour
    goes, damages stay. `imagenet` subtracts ImageNet's mean and divides by its deviation, as pre-trained weights want.

    Args:
        images: `(B, 3, H, W)` uint8, on any device.
        how: which of the two.
        dtype: floating type of the result; the computation is in float32.
        channels_last: memory format of the result.

    Returns:
        `(B, 3, H, W)` of `dtype`.

    Raises:
        DpcError: if the images are not `(B, 3, H, W)` uint8.

    Example:
        >>> images = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
        >>> images[..., 0] = 255
        >>> normalize(images, "image", torch.float32, channels_last=False)[0, 0].tolist()
        [[2.0, -2.0], [2.0, -2.0]]
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        msg = f"Expected images (B, 3, H, W) of uint8, but got {tuple(images.shape)} of {images.dtype}."
        raise DpcError(msg)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    values = images.to(torch.float32, memory_format=layout)
    if how == "image":
        values = (values - values.mean((2, 3), keepdim=True)) * (_CONTRAST / 255)
    else:
        mean, deviation = (
            torch.tensor(row, device=images.device).view(1, 3, 1, 1) for row in (_IMAGENET_MEAN, _IMAGENET_STD)
        )
        values = (values / 255 - mean) / deviation
    return values.to(dtype)
