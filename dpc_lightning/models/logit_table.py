"""Logits of a whole validation or test set, collected batch by batch on every rank."""

import numpy as np
import torch
from lightning.pytorch.strategies import ParallelStrategy, Strategy
from numpy.typing import NDArray
from torch import Tensor

from dpc_lightning.errors import DpcError

__all__ = ["LogitTable"]


class LogitTable:
    """Collects logits and labels by row of the set, so that an image that a sampler repeats counts once.

    Example:
        >>> from lightning.pytorch.strategies import SingleDeviceStrategy
        >>> table = LogitTable()
        >>> table.add(torch.tensor([1, 0]), torch.tensor([[5.0], [-5.0]]), torch.tensor([[1], [0]]))
        >>> table.add(torch.tensor([1]), torch.tensor([[5.0]]), torch.tensor([[1]]))
        >>> logits, labels = table.gather(SingleDeviceStrategy(torch.device("cpu")), 1)
        >>> logits.tolist(), labels.tolist()
        ([[-5.0], [5.0]], [[0], [1]])
    """

    def __init__(self) -> None:
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, rows: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Keep a batch.

        Args:
            rows: `(B,)` int64, positions in the set.
            logits: `(B, C)` float.
            labels: `(B, C)`, 0/1.
        """
        self._batches.append((rows, logits.float(), labels.float()))

    def clear(self) -> None:
        """Forget everything."""
        self._batches = []

    def gather(self, strategy: Strategy, num_classes: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Put together what all ranks have seen.

        All ranks must call this. Each fills its own rows of a table of zeros, and the tables are added. Of a row that
        several ranks have seen, because a short rank repeats one, only what the first of them says counts, so that
        nothing depends on the number of ranks.

        Args:
            strategy: of the running trainer.
            num_classes: C.

        Returns:
            Logits `(N, C)` float32 and labels `(N, C)` uint8 of all rows that any rank has seen, in the order of the
            rows, equal on all ranks.

        Raises:
            DpcError: if no rank has seen any image.
        """
        device = strategy.root_device
        last = max((int(rows.max()) for rows, _, _ in self._batches if len(rows)), default=-1)
        size = int(_reduce(strategy, torch.tensor(last + 1, device=device), "max"))
        if size == 0:
            msg = "There was no image to score: is the validation or test set empty, or `trainer.limit_*_batches` 0?"
            raise DpcError(msg)
        table = torch.zeros(size, 2 * num_classes, dtype=torch.float32, device=device)
        nobody = torch.iinfo(torch.int32).max
        rank = strategy.global_rank if isinstance(strategy, ParallelStrategy) else 0
        seen_by = torch.full((size,), nobody, dtype=torch.int32, device=device)
        for rows, logits, labels in self._batches:
            table[rows.to(device)] = torch.cat([logits.to(device), labels.to(device)], dim=1)
            seen_by[rows.to(device)] = rank
        first = _reduce(strategy, seen_by.clone(), "min")
        table[first != rank] = 0
        found = _reduce(strategy, table, "sum")[first != nobody].cpu().numpy()
        return found[:, :num_classes].copy(), found[:, num_classes:].round().astype(np.uint8)


def _reduce(strategy: Strategy, tensor: Tensor, operation: str) -> Tensor:
    reduced = strategy.reduce(tensor, reduce_op=operation)
    assert isinstance(reduced, Tensor)
    return reduced
