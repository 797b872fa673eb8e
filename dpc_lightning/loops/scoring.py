"""Scoring images with the current model, on one rank or many, without padding or a sampler of Lightning's."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from lightning.pytorch.strategies import ParallelStrategy, Strategy
from numpy.typing import NDArray
from torch import Tensor

from dpc_lightning.models.backbone import Network
from dpc_lightning.models.classifier import MultiLabelClassifier

__all__ = ["ImageScores", "ScoredBatch", "equal_buffers", "score_batches", "score_images"]


@dataclass(frozen=True)
class ImageScores:
    """What the model says about a set of images, in the order of the set. Rank 0 holds it; the others hold no columns.

    Attributes:
        logits: `(N, C)` float32, before the sigmoid; those of more models beside them, `(N, K C)`; `(N, 0)` on other
            ranks than 0.
        embeddings: `(N, D)` float32, penultimate features; `(N, 0)` if they were not asked for, and on other ranks.
    """

    logits: NDArray[np.float32]
    embeddings: NDArray[np.float32]


ScoredBatch = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]
"""Positions `(B,)`, logits `(B, C)` and features `(B, D)` or `(B, 0)` of a batch."""


def score_images(
    module: MultiLabelClassifier,
    strategy: Strategy,
    batches: Iterable[tuple[Tensor, Tensor]],
    count: int,
    *,
    embeddings: bool,
    members: Sequence[Network] = (),
    on_batch: Callable[[int], None] | None = None,
) -> ImageScores:
    """Score every image of a set exactly once over all ranks, and put the scores together on rank 0.

    The bare module is used, never a DDP wrapper, whose first forward would wait for ranks that have no image. BatchNorm
    statistics are local to a rank, so they are made equal to those of rank 0 before. Scores leave the device batch by
    batch. Each rank holds those of its own share; rank 0 alone holds all, in the memory of the host.

    Args:
        module: the classifier; its mode is restored afterwards.
        strategy: the strategy of the run, which knows the ranks.
        batches: this rank's share: positions `(B,)` int64 in the set and images `(B, 3, H, W)` uint8.
        count: N, images of the whole set.
        embeddings: whether to keep the features too.
        members: more networks whose logits are wanted, after those of the classifier.
        on_batch: called with the number of images after each batch.

    Returns:
        Scores of all N images on rank 0.

    Raises:
        RuntimeError: on all ranks, if an image was scored never or twice, which is a defect of the loader.
    """
    equal_buffers(module, strategy)
    rank, world = _place(strategy)
    share = score_batches(module, strategy, batches, embeddings=embeddings, members=members, on_batch=on_batch)
    once = True
    columns = module.num_classes * (1 + len(members))
    table = _Table(count if rank == 0 else 0, columns, module.embedding_dim if embeddings else 0)
    if rank == 0:
        for scored in share:
            table.put(*scored)
        for other in range(1, world):
            for scored in _receive(other, table.widths, strategy.root_device):
                table.put(*scored)
        once = table.complete
    else:
        _send(list(share), strategy.root_device)
    if not strategy.broadcast(once):
        msg = f"Expected each of {count} images to be scored once over all ranks; the shares of the loader are wrong."
        raise RuntimeError(msg)
    if rank == 0:
        return ImageScores(table.logits, table.features)
    return ImageScores(np.zeros((count, 0), np.float32), np.zeros((count, 0), np.float32))


class _Table:
    """The scores of a whole set, filled batch by batch; it counts what comes."""

    def __init__(self, count: int, logits: int, features: int) -> None:
        self.widths = (logits, features)
        self.logits = np.empty((count, logits), np.float32)  # not written before, so not in memory before
        self.features = np.empty((count, features), np.float32)
        self._seen = np.zeros(count, np.bool_)
        self._rows = 0

    def put(self, positions: NDArray[np.int64], logits: NDArray[np.float32], features: NDArray[np.float32]) -> None:
        self.logits[positions] = logits
        self.features[positions] = features
        self._seen[positions] = True
        self._rows += len(positions)

    @property
    def complete(self) -> bool:
        """Whether each image has come once: as many as there are, and none is missing."""
        return self._rows == len(self._seen) and bool(self._seen.all())


def score_batches(
    module: MultiLabelClassifier,
    strategy: Strategy,
    batches: Iterable[tuple[Tensor, Tensor]],
    *,
    embeddings: bool,
    members: Sequence[Network] = (),
    on_batch: Callable[[int], None] | None,
) -> Iterator[ScoredBatch]:
    """Score a rank's batches one after the other.

    Args:
        module: the classifier; its mode is restored afterwards.
        strategy: moves batches to the device.
        batches: positions `(B,)` int64 in the set and images `(B, 3, H, W)` uint8.
        embeddings: whether to compute the features too.
        members: more networks, in evaluation, whose logits come after those of the classifier.
        on_batch: called with the number of images when the next batch is asked for.

    Yields:
        Each batch's scores, in the memory of the host.
    """
    was_training = module.training
    module.eval()
    try:
        with torch.no_grad(), strategy.precision_plugin.forward_context():
            for positions, images in batches:
                images = strategy.batch_to_device(images)  # noqa: PLW2901
                logits, features = module.score_batch(images, embeddings=embeddings)
                if members:
                    prepared = module.prepare(images)
                    logits = torch.cat([logits, *(member(prepared).float() for member in members)], dim=1)
                none = logits[:, :0] if features is None else features
                yield positions.numpy(), logits.float().cpu().numpy(), none.float().cpu().numpy()
                if on_batch is not None:
                    on_batch(len(positions))
    finally:
        module.train(was_training)


def equal_buffers(module: MultiLabelClassifier, strategy: Strategy) -> None:
    """Make the statistics of BatchNorm, which are local to a rank, equal to those of rank 0.

    Args:
        module: the classifier.
        strategy: knows the ranks.
    """
    for buffer in module.buffers():
        buffer.copy_(strategy.broadcast(buffer))


def _place(strategy: Strategy) -> tuple[int, int]:
    return (strategy.global_rank, strategy.world_size) if isinstance(strategy, ParallelStrategy) else (0, 1)


def _send(share: list[ScoredBatch], device: torch.device) -> None:
    """Send a share to rank 0: its number of batches, then for each batch its length and its three tables."""
    torch.distributed.send(torch.tensor([len(share)], device=device), 0)
    share.reverse()
    while share:  # what has been sent is let go
        positions, logits, features = share.pop()
        torch.distributed.send(torch.tensor([len(positions)], device=device), 0)
        torch.distributed.send(torch.from_numpy(positions).to(device), 0)
        for table in (logits, features):
            if table.size:
                torch.distributed.send(torch.from_numpy(table).to(device), 0)


def _receive(rank: int, widths: tuple[int, int], device: torch.device) -> Iterator[ScoredBatch]:
    """Receive on rank 0 what another rank sends by `_send`."""
    for _ in range(_number_from(rank, device)):
        rows = _number_from(rank, device)
        positions = torch.empty(rows, dtype=torch.int64, device=device)
        torch.distributed.recv(positions, rank)
        tables = [torch.empty(rows, width, dtype=torch.float32, device=device) for width in widths]
        for table in tables:
            if table.numel():
                torch.distributed.recv(table, rank)
        logits, features = (table.cpu().numpy() for table in tables)
        yield positions.cpu().numpy(), logits, features


def _number_from(rank: int, device: torch.device) -> int:
    number = torch.zeros(1, dtype=torch.int64, device=device)
    torch.distributed.recv(number, rank)
    return int(number)
