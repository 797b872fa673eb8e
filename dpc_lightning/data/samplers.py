"""Which images make which batch, on which rank: pure functions of numbers, so that nothing has to be saved."""

from collections.abc import Iterator
from typing import Self

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler

from dpc_lightning.errors import ConfigError

__all__ = ["EpochBatches", "ShardBatches"]


class EpochBatches(Sampler[list[tuple[int, int]]]):
    """Shuffled training batches of one phase; each key is `(epoch, position)`.

    The order is a pure function of (seed, phase, epoch). Ranks share one order: `world_size` ranks with batches of
    `batch_size` take together what one rank with batches of `world_size * batch_size` takes. All ranks have the same
    number of batches; each image comes at most once an epoch, apart from those repeated to make the ranks even. A last
    batch of one image is merged into the one before, because BatchNorm cannot learn from one image.

    Args:
        count: number of images, 0 or more.
        batch_size: images of a batch on each rank.
        seed: of the run, 0 or more.
        phase: position of the phase in the run.
        rank: this process, from 0.
        world_size: number of processes.
        drop_last: leave out a last batch that is not full, unless it is the only one.

    Raises:
        ConfigError: if a number is out of its range.

    Example:
        >>> batches = EpochBatches(5, 2, seed=0, phase=0)
        >>> [len(batch) for batch in batches], sorted(position for batch in batches for _, position in batch)
        ([2, 3], [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int,
        phase: int,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
    ) -> None:
        _check(count, batch_size, rank, world_size)
        if seed < 0 or phase < 0:
            msg = f"Expected seed and phase of at least 0, but got {seed} and {phase}."
            raise ConfigError(msg)
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.phase = phase
        self.rank = rank
        self.world_size = world_size
        self.drop_last = drop_last
        self.epoch = 0
        self._first = 0

    @property
    def sampler(self) -> Self:
        """This object: Lightning calls `set_epoch` on `batch_sampler.sampler`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch of the phase the next pass is.

        Args:
            epoch: from 0.
        """
        self.epoch = epoch

    @property
    def step_images(self) -> int:
        """Images that all ranks together take in one step: the first steps take the first images of the order."""
        return self.batch_size * self.world_size

    def start_at(self, batch: int) -> None:
        """Let the next pass, and only that one, begin at a later batch.

        Args:
            batch: number of the batch, from 0.
        """
        self._first = batch

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Give the order of all positions in an epoch, before ranks share it.

        Args:
            epoch: from 0.

        Returns:
            `(count,)` int64, each position once.
        """
        words = np.random.SeedSequence([self.seed, self.phase, epoch])
        return np.random.Generator(np.random.Philox(words)).permutation(self.count)

    def __len__(self) -> int:
        return len(self._sizes())

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first, self._first = self._first, 0
        epoch, sizes = self.epoch, self._sizes()
        mine = self._share(self.order(epoch)).tolist()
        begin = sum(sizes[:first])
        for size in sizes[first:]:
            yield [(epoch, position) for position in mine[begin : begin + size]]
            begin += size

    def _share(self, order: NDArray[np.int64]) -> NDArray[np.int64]:
        padded = np.resize(order, self._each() * self.world_size)  # repeats from the start of the order
        return padded[self.rank :: self.world_size]

    def _each(self) -> int:
        return -(-self.count // self.world_size)

    def _sizes(self) -> list[int]:
        full, rest = divmod(self._each(), self.batch_size)
        sizes = [self.batch_size] * full
        if rest and not (self.drop_last and full):
            sizes.append(rest)
        if len(sizes) > 1 and sizes[-1] == 1 < self.batch_size:
            sizes[-2:] = [sizes[-2] + 1]
        return sizes


class ShardBatches(Sampler[list[int]]):
    """Batches in order, without shuffling, for evaluation and scoring; whole batches are dealt out to the ranks.

    The batches are cut from the whole list, and batch b goes to rank `b % world_size`. So an image is in the same batch
    whatever the number of ranks, and its logits, whose last digits depend on the batch, are the same bit for bit. The
    batch is the unit of sharing: a set of few batches leaves ranks without work.

    Args:
        count: number of images, 0 or more.
        batch_size: images of a batch.
        rank: this process, from 0.
        world_size: number of processes.
        pad: give a rank that has one batch less a last one of the first image alone, so that all ranks have the same
            number of batches. Needed where each batch goes through a wrapper that makes the ranks wait for each other.
            Rank 0 never gets one, and always has the batch that the image belongs to.
        skip: batches of this rank, from its first on, that are left out.

    Raises:
        ConfigError: if a number is out of its range.

    Example:
        >>> [list(ShardBatches(5, 2, rank=rank, world_size=2)) for rank in range(2)]
        [[[0, 1], [4]], [[2, 3]]]
        >>> list(ShardBatches(5, 2, rank=1, world_size=2, pad=True))
        [[2, 3], [0]]
        >>> list(ShardBatches(5, 2, skip=2))
        [[4]]
    """

    def __init__(
        self, count: int, batch_size: int, rank: int = 0, world_size: int = 1, *, pad: bool = False, skip: int = 0
    ) -> None:
        _check(count, batch_size, rank, world_size)
        self.count = count
        self.batch_size = batch_size
        starts = range(rank * batch_size, count, world_size * batch_size)
        self._starts = starts[skip:]
        self._pad = pad and len(starts) < len(range(0, count, world_size * batch_size))

    def __len__(self) -> int:
        return len(self._starts) + self._pad

    def __iter__(self) -> Iterator[list[int]]:
        for start in self._starts:
            yield list(range(start, min(start + self.batch_size, self.count)))
        if self._pad:
            yield [0]


def _check(count: int, batch_size: int, rank: int, world_size: int) -> None:
    if count < 0 or batch_size < 1 or not 0 <= rank < world_size:
        msg = (
            "Expected at least 0 images, batches of at least 1 and a rank below the world size, but got "
            f"{count} images, batches of {batch_size}, rank {rank} of {world_size}."
        )
        raise ConfigError(msg)
