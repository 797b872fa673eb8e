"""A tiny data module on random images, without files: what the models need of the real one, and no more."""

from collections.abc import Sequence

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from dpc_lightning.models.batches import Batch

__all__ = ["TinyData", "TinySet"]

CLASSES = ("scratch", "dent", "stain")


class TinySet(Dataset[Batch]):
    """Images with a bright square for each class, at a place of the class."""

    def __init__(self, count: int, seed: int, classes: Sequence[str], size: int = 32) -> None:
        rng = np.random.default_rng(seed)
        self.labels: NDArray[np.uint8] = rng.integers(0, 2, (count, len(classes))).astype(np.uint8)
        images = rng.integers(60, 90, (count, 3, size, size))
        for row, column in np.argwhere(self.labels):
            start = 2 + 8 * column
            images[row, :, start : start + 6, start : start + 6] += 150
        self.images = torch.from_numpy(images.astype(np.uint8))

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> Batch:
        return {
            "index": torch.tensor(row + 100),
            "row": torch.tensor(row),
            "image": self.images[row],
            "label": torch.from_numpy(self.labels[row]),
        }


class TinyData(pl.LightningDataModule):
    """Three small sets of `TinySet`."""

    def __init__(self, count: int = 16, classes: Sequence[str] = CLASSES, batch_size: int = 8) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.batch_size = batch_size
        self.sets = [TinySet(count, seed, classes) for seed in range(3)]

    def _loader(self, number: int, *, shuffle: bool = False) -> DataLoader[Batch]:
        generator = torch.Generator().manual_seed(0)
        return DataLoader(self.sets[number], batch_size=self.batch_size, shuffle=shuffle, generator=generator)

    def train_dataloader(self) -> DataLoader[Batch]:
        return self._loader(0, shuffle=True)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self._loader(1)

    def test_dataloader(self) -> DataLoader[Batch]:
        return self._loader(2)

    def predict_dataloader(self) -> DataLoader[Batch]:
        return self._loader(2)
