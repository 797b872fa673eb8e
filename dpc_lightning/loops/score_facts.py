"""What scores in files are the scores of: they are of use to a later start only if it is the same."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from dpc_lightning.acquisition.base import IntArray

__all__ = ["DTYPE", "ScoreFacts", "pool_digest", "weights_digest"]

DTYPE = np.dtype(np.float32)
"""Of the scores, as in memory: both ways give the same picks."""


@dataclass(frozen=True)
class ScoreFacts:
    """What must be the same for scores that an earlier start has left to be of use."""

    round: int
    """The round, from 1."""
    columns: dict[str, int]
    """What is scored, `logits` and `embeddings`, and how many numbers an image has of it."""
    weights: str
    """Digest of the weights of all networks."""
    pool: str
    """Digest of the images' names and of which of them are scored."""
    images: int
    """Images that are scored."""
    batch: int
    """Images of a batch."""
    world: int
    """Number of ranks; batch b is scored by rank b % world."""
    device: str
    """Kind of the device: last digits depend on it."""

    @property
    def bytes(self) -> int:
        """Bytes of all tables."""
        return self.images * sum(self.columns.values()) * DTYPE.itemsize

    def share(self, rank: int) -> int:
        """Say how many batches a rank scores."""
        return len(range(rank, -(-self.images // self.batch), self.world))

    def rows(self, rank: int, number: int) -> tuple[int, int]:
        """Say which rows a batch of a rank has.

        Args:
            rank: the rank.
            number: of the batch among those of the rank, from 0.

        Returns:
            The first row, and the one after the last.

        Example:
            >>> facts = ScoreFacts(1, {"logits": 6}, "", "", images=50, batch=8, world=2, device="cpu")
            >>> facts.rows(0, 3), facts.rows(1, 0), facts.share(0), facts.share(1)
            ((48, 50), (8, 16), 4, 3)
        """
        start = min((number * self.world + rank) * self.batch, self.images)
        return start, min(start + self.batch, self.images)


def weights_digest(*networks: nn.Module) -> str:
    """Hash all parameters and buffers of networks, bit for bit.

    Args:
        *networks: one or more, on any device.

    Returns:
        sha256 as 64 hexadecimal digits.

    Example:
        >>> layer = nn.Linear(2, 1)
        >>> before = weights_digest(layer)
        >>> _ = nn.init.constant_(layer.bias, 9.0)
        >>> before == weights_digest(layer)
        False
    """
    digest = hashlib.sha256()
    for network in networks:
        for name, value in sorted(network.state_dict().items()):
            digest.update(name.encode() + b"\0")
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def pool_digest(fingerprint: str, indices: IntArray) -> str:
    """Hash which images of a pool are scored.

    Args:
        fingerprint: of the pool, see `Manifest.fingerprint`.
        indices: `(N,)` int64, indices of the images.

    Returns:
        sha256 as 64 hexadecimal digits.
    """
    return hashlib.sha256(fingerprint.encode() + indices.tobytes()).hexdigest()
