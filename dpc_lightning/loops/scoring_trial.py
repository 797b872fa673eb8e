"""How long scoring will take, found out on a few batches."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import torch
from lightning.pytorch.strategies import Strategy

from dpc_lightning.data.datasets import PoolItem
from dpc_lightning.models.classifier import MultiLabelClassifier

__all__ = ["ScoringTrial", "try_scoring"]

BATCHES = 4


@dataclass(frozen=True)
class ScoringTrial:
    """What scoring takes on one rank."""

    start_seconds: float
    """Beside the images: start of loaders, first use of the kernels."""
    image_seconds: float
    """Each image."""


def try_scoring(
    module: MultiLabelClassifier,
    strategy: Strategy,
    batches: Iterable[PoolItem],
    *,
    embeddings: bool,
    clock: Callable[[], float] = time.monotonic,
) -> ScoringTrial:
    """Score a few batches and throw the scores away; nothing of the model changes.

    Args:
        module: the classifier; its mode is restored afterwards.
        strategy: moves batches to the device.
        batches: this rank's share of the pool, `image` of `(B, 3, H, W)` uint8.
        embeddings: whether the features are wanted too.
        clock: where the time comes from, in seconds.

    Returns:
        What it takes; zeros on a rank that has no image.
    """
    marks, sizes = [clock()], []
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), strategy.precision_plugin.forward_context():
            for batch in islice(batches, BATCHES):
                logits, _ = module.score_batch(strategy.batch_to_device(batch["image"]), embeddings=embeddings)
                logits.cpu()  # waits for the device
                sizes.append(len(logits))
                marks.append(clock())
    finally:
        module.train(was_training)
    if not sizes:
        return ScoringTrial(0.0, 0.0)
    if len(sizes) == 1:
        return ScoringTrial(0.0, (marks[1] - marks[0]) / sizes[0])
    each = (marks[-1] - marks[1]) / sum(sizes[1:])
    return ScoringTrial(max(0.0, marks[1] - marks[0] - each * sizes[0]), each)
