"""Test-time flips: an image is judged in several views, and the probabilities are averaged."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as nnf

from dpc_lightning.models.recipe import TestFlips

__all__ = ["average_views", "views"]


def views(images: Tensor, count: TestFlips) -> list[Tensor]:
    """List the views of images.

    Args:
        images: `(B, 3, H, W)`.
        count: 1 the images themselves; 2 also mirrored; 4 both mirrors and the half turn; 8 these four and their
            quarter turns, which exchange height and width.

    Returns:
        `count` tensors, the images themselves first.

    Example:
        >>> [tuple(view.shape[2:]) for view in views(torch.zeros(1, 3, 2, 4), 8)]
        [(2, 4), (2, 4), (2, 4), (2, 4), (4, 2), (4, 2), (4, 2), (4, 2)]
    """
    kept = [images]
    if count >= 2:
        kept.append(images.flip(3))
    if count >= 4:
        kept += [view.flip(2) for view in kept]
    if count == 8:
        kept += [view.rot90(1, (2, 3)) for view in kept]
    return kept


def average_views(model: Callable[[Tensor], Tensor], images: Tensor, count: TestFlips) -> Tensor:
    """Average the probabilities of the views.

    The mean of the probabilities is given as a logit, `log(mean p) - log(mean (1 - p))`, so that it stays exact where
    p is 0 or 1 in float32.

    Args:
        model: maps images to logits `(B, C)`.
        images: `(B, 3, H, W)`.
        count: number of views.

    Returns:
        `(B, C)` float32 logits.

    Example:
        >>> model = lambda images: images.mean((2, 3)) * 300
        >>> average_views(model, torch.ones(1, 3, 4, 4), 8)
        tensor([[300., 300., 300.]])
    """
    if count == 1:
        return model(images).float()
    logits = torch.stack([model(view).float() for view in views(images, count)])
    present = nnf.logsigmoid(logits).logsumexp(0)
    absent = nnf.logsigmoid(-logits).logsumexp(0)
    return present - absent
