"""A training loader that knows how many batches of its epoch are done, and can go on from there."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TypedDict, TypeVar

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from dpc_lightning.data.datasets import AugmentedDataset, Item
from dpc_lightning.data.samplers import EpochBatches, ShardBatches
from dpc_lightning.errors import DataError

__all__ = ["Batch", "ResumableLoader", "shard_loader", "worker_errors"]


ItemT = TypeVar("ItemT")


class Batch(TypedDict):
    """What a training loader yields: `index` `(B,)` int64, `image` `(B, 3, H, W)` uint8, `label` `(B, C)` float32."""

    index: torch.Tensor
    image: torch.Tensor
    label: torch.Tensor


class ResumableLoader(DataLoader[Item]):
    """Training batches of one phase; Lightning saves and restores its state by itself.

    `state_dict` is the number of batches of this epoch that have been handed out; it is 0 again after the last one. A
    restored loader begins its next epoch after these, without loading them. Where the number of ranks is another than
    that of the state, it begins with the step that holds the first image not yet trained on: the order of an epoch is
    one for all numbers of ranks. The epoch is read when the first batch is asked for and not before, because Lightning
    makes the iterator before it says which epoch it is (Lightning #21938).

    Args:
        dataset: the images of the phase.
        batches: their order.
        num_workers: processes that load; 0 loads in this one.
        pin_memory: whether to put batches into page-locked memory for a faster copy; without a GPU it is left out.
    """

    def __init__(
        self, dataset: AugmentedDataset, batches: EpochBatches, *, num_workers: int = 0, pin_memory: bool = False
    ) -> None:
        super().__init__(
            dataset,
            batch_sampler=batches,
            num_workers=num_workers,
            pin_memory=pin_memory and torch.cuda.is_available(),
            persistent_workers=num_workers > 0,
            worker_init_fn=_one_thread,
            generator=torch.Generator(),  # else each pass draws from the global generator, which is the training's
        )
        self._batches = batches
        self._done = 0
        self._resume_at = 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  # a generator: see the class
        first, self._resume_at = self._resume_at, 0
        self._batches.start_at(first)
        self._done = first
        for batch in super().__iter__():
            self._done += 1
            yield batch

    @property
    def done(self) -> int:
        """Batches of this epoch that have been handed out, here or before a restored state; 0 after the last one."""
        return self._done % max(len(self), 1)

    def state_dict(self) -> dict[str, int]:
        """Give how far this epoch is.

        Returns:
            `done`, batches of each rank, and `images`, those of all ranks together; 0 before the first batch and after
            the last.
        """
        return {"done": self.done, "images": self.done * self._batches.step_images}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next epoch begin after what is done.

        Args:
            state: what `state_dict` gave, on this number of ranks or on another.

        Raises:
            DataError: if this epoch has not that many batches, so that the state belongs to another phase.
        """
        done, step = state["done"], self._batches.step_images
        images = state.get("images", done * step)
        if images != done * step and 0 <= images < max(len(self.dataset), 1):  # type: ignore[arg-type]  # it is sized
            done = min(images // step, len(self) - 1)
        if not 0 <= done < max(len(self), 1):
            msg = f"Expected a loader state below {len(self)} batches, but got {done}: it belongs to another phase."
            raise DataError(msg)
        self._resume_at = self._done = done


def shard_loader(
    dataset: Dataset[ItemT], batches: ShardBatches, *, num_workers: int = 0, pin_memory: bool = False
) -> DataLoader[ItemT]:
    """Load a shard in order, for evaluation, scoring and prediction.

    Args:
        dataset: items by position.
        batches: which positions.
        num_workers: processes that load; 0 loads in this one.
        pin_memory: whether to put batches into page-locked memory; without a GPU it is left out.

    Returns:
        A loader whose batches hold the item's entries, stacked.
    """
    return DataLoader(
        dataset,
        batch_sampler=batches,
        num_workers=num_workers,
        pin_memory=pin_memory and torch.cuda.is_available(),
        persistent_workers=num_workers > 0,
        worker_init_fn=_one_thread,
        generator=torch.Generator(),
    )


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turn what torch says of a process that loads data into an error of ours.

    A worker that dies is noticed by a signal, so that torch may raise its error anywhere in the main process.

    Raises:
        DataError: if a worker was killed; or as raised in a worker, without the worker's traceback.

    Example:
        >>> with worker_errors():
        ...     raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        dpc_lightning.errors.DataError: A process that loads data died: DataLoader worker (pid 7) is killed by ...
    """
    try:
        yield
    except DataError as error:
        if "Original Traceback" not in str(error):
            raise
        raise DataError(str(error).rpartition(f"{DataError.__name__}: ")[2].strip()) from error
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):
            raise
        msg = (
            f"A process that loads data died: {str(error).strip().rstrip('.')}. Most often the memory was full. Start "
            "again with fewer processes, `--data.num_workers=0` for none: the run goes on from its last checkpoint to "
            "the same result."
        )
        raise DataError(msg) from error


def _one_thread(_worker: int) -> None:
    cv2.setNumThreads(0)
