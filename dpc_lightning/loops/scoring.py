"""Scoring images with the current model, on one rank or many, without a gather, padding or a sampler of Lightning's."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch.strategies import Strategy
from numpy.typing import NDArray
from torch import Tensor

from dpc_lightning.models.classifier import MultiLabelClassifier

__all__ = ["ImageScores", "score_images"]


@dataclass(frozen=True)
class ImageScores:
    """What the model says about a set of images, in the order of the set.

    Attributes:
        logits: `(N, C)` float32, before the sigmoid.
        embeddings: `(N, D)` float32, penultimate features; `(N, 0)` if they were not asked for.
    """

    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]


def score_images(
    module: MultiLabelClassifier,
    strategy: Strategy,
    batches: Iterable[tuple[Tensor, Tensor]],
    count: int,
    *,
    embeddings: bool,
    on_batch: Callable[[int], None] | None = None,
) -> ImageScores:
    """Score every image of a set exactly once over all ranks.

    The bare module is used, never a DDP wrapper, whose first forward would wait for ranks that have no image. BatchNorm
    statistics are local to a rank, so they are made equal to those of rank 0 before.

    Args:
        module: the classifier; its mode is restored afterwards.
        strategy: the strategy of the run, which reduces over ranks.
        batches: this rank's share: positions `(B,)` int64 in the set and images `(B, 3, H, W)` uint8.
        count: N, images of the whole set.
        embeddings: whether to keep the features too.
        on_batch: called with the number of images after each batch.

    Returns:
        Scores of all N images, equal on all ranks.

    Raises:
        RuntimeError: if an image was scored never or twice, which is a defect of the loader.
    """
    for buffer in module.buffers():
        buffer.copy_(strategy.broadcast(buffer))
    device = strategy.root_device
    seen = torch.zeros(count, device=device)
    logits = torch.zeros(count, module.num_classes, device=device)
    features = torch.zeros(count, module.embedding_dim if embeddings else 0, device=device)
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), strategy.precision_plugin.forward_context():
            for positions, images in batches:
                rows = positions.to(device)
                batch_logits, batch_features = module.score_batch(
                    strategy.batch_to_device(images), embeddings=embeddings
                )
                logits[rows] = batch_logits.float()
                if batch_features is not None:
                    features[rows] = batch_features.float()
                seen[rows] += 1
                if on_batch is not None:
                    on_batch(len(rows))
    finally:
        module.train(was_training)
    tables = [strategy.reduce(table, reduce_op="sum") for table in (seen, logits, features)]
    if not bool((tables[0] == 1).all()):
        msg = f"Expected each of {count} images to be scored once over all ranks; the shares of the loader are wrong."
        raise RuntimeError(msg)
    return ImageScores(tables[1].cpu().numpy(), tables[2].cpu().numpy())
