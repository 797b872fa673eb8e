"""Pools of any size for the measurements of rules: clustered embeddings in a file, logits that belong to them."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition import Head, PoolView

__all__ = ["CLASSES", "WIDTH", "make_pool", "open_pool"]

CLASSES: Final = 6
WIDTH: Final = 512
LABELLED: Final = 1_000
ROWS: Final = 50_000
CLUSTERS: Final = 200
LATENT: Final = 20


def make_pool(folder: Path, images: int, seed: int = 0) -> None:
    """Write a pool where it is missing: `embeddings-N.npy` (float16) and `logits-N.npy` (float32).

    200 clusters of unequal size (Zipf), of latent dimension 20, through two layers with ReLU, and noise. A third of the
    images are copies of an earlier one with a little noise, as photographs of a moving sheet are.

    Args:
        folder: where the files go.
        images: N.
        seed: decides all.
    """
    done = folder / f"logits-{images}.npy"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    network = _Network(rng)
    embeddings = np.lib.format.open_memmap(
        folder / f"embeddings-{images}.npy", mode="w+", dtype=np.float16, shape=(images, WIDTH)
    )
    logits = np.empty((images, CLASSES), np.float32)
    for start in range(0, images, ROWS):
        block = slice(start, min(start + ROWS, images))
        rows = network.draw(block.stop - start, rng)
        twins = len(rows) // 3
        rows[-twins:] = rows[rng.integers(0, max(1, len(rows) - twins), twins)]
        rows += 0.02 * rng.standard_normal(rows.shape, dtype=np.float32)
        embeddings[block] = rows
        logits[block] = network.logits(rows)
    embeddings.flush()
    np.save(folder / "partial.npy", logits)
    (folder / "partial.npy").rename(done)


def open_pool(folder: Path, images: int, *, in_memory: bool = False) -> PoolView:
    """Open a pool that was made, with 1,000 labelled images of the same distribution.

    Args:
        folder: where the files are.
        images: N.
        in_memory: whether to read the embeddings as float32, in place of mapping the file.

    Returns:
        The pool.
    """
    embeddings: NDArray[np.float32] = np.load(folder / f"embeddings-{images}.npy", mmap_mode="r")
    if in_memory:
        embeddings = embeddings.astype(np.float32)
    rng = np.random.default_rng(0)
    network = _Network(rng)
    owned = network.draw(LABELLED, np.random.default_rng(1))
    owned_logits = network.logits(owned)
    labels = (owned_logits + 2 * np.random.default_rng(2).standard_normal(owned_logits.shape) > 0).astype(np.uint8)
    return PoolView(
        indices=np.arange(images),
        logits=np.load(folder / f"logits-{images}.npy"),
        embeddings=embeddings,
        labelled_labels=labels,
        labelled_embeddings=owned,
        f1=np.linspace(0.3, 0.8, CLASSES, dtype=np.float32),
        thresholds=np.full(CLASSES, 0.5, dtype=np.float32),
        budget_left=images,
        labelled_logits=owned_logits,
        head=network.head,
        validation_map=0.6,
    )


class _Network:
    """What stands for a trained network: it turns latent points into features, and these into logits."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._centres = 2 * rng.standard_normal((CLUSTERS, LATENT)).astype(np.float32)
        shares = 1 / np.arange(1, CLUSTERS + 1)
        self._shares = shares / shares.sum()
        self._first = (rng.standard_normal((LATENT, 128)) / np.sqrt(LATENT)).astype(np.float32)
        self._second = (rng.standard_normal((128, WIDTH)) / np.sqrt(128)).astype(np.float32)
        weight = (rng.standard_normal((CLASSES, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)
        self.head = Head(3 * weight, np.linspace(-3, -0.5, CLASSES, dtype=np.float32))

    def draw(self, rows: int, rng: np.random.Generator) -> NDArray[np.float32]:
        cluster = rng.choice(CLUSTERS, rows, p=self._shares)
        latent = self._centres[cluster] + rng.standard_normal((rows, LATENT), dtype=np.float32)
        features: NDArray[np.float32] = np.maximum(np.maximum(latent @ self._first, 0) @ self._second, 0)
        return features

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = features @ self.head.weight.T + self.head.bias
        return logits
