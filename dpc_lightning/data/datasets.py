"""The datasets of a run: labelled, unlabelled, and aggregated (labelled + bought). All read from image stores.

A position is a place in one dataset; an index is a row of a split's manifest and names an image for ever.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from dpc_lightning.data.decoding import Pixels, fit_square, read_image
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.transforms import Augmentation
from dpc_lightning.errors import DataError

__all__ = [
    "AggregatedDataset",
    "AugmentedDataset",
    "EvalDataset",
    "EvalItem",
    "FolderDataset",
    "FolderItem",
    "Item",
    "LabelledDataset",
    "OwnedDataset",
    "PoolItem",
    "Source",
    "UnlabelledDataset",
]

Source = Literal["training", "unlabelled", "validation", "test"]
"""The split whose manifest an index belongs to."""


class Item(TypedDict):
    """An image with its label."""

    index: int
    image: Tensor
    label: Tensor


class EvalItem(TypedDict):
    """An image with its label and its row in the table that metrics are computed from."""

    index: int
    row: int
    image: Tensor
    label: Tensor


class PoolItem(TypedDict):
    """An image without a label."""

    index: int
    image: Tensor


class FolderItem(TypedDict):
    """An image of a plain folder, by its file name."""

    name: str
    image: Tensor


class OwnedDataset(Dataset[Item], ABC):
    """Images whose labels are owned.

    Attributes:
        labels: `(N, C)` uint8, by position.
    """

    labels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def index(self, position: int) -> int:
        """Give the manifest index of a position within its own split."""

    @abstractmethod
    def source(self, position: int) -> Source:
        """Name the split that the image at a position comes from."""

    @abstractmethod
    def pixels(self, position: int) -> Pixels:
        """Give the stored image at a position: `(H, W, 3)` uint8, read-only."""

    def item(self, position: int, pixels: Pixels) -> Item:
        """Make the item of a position from its, perhaps changed, pixels.

        Args:
            position: place in this dataset, from 0.
            pixels: `(H, W, 3)` uint8.

        Returns:
            `index`, `image` `(3, H, W)` uint8 and `label` `(C,)` float32.
        """
        label = torch.from_numpy(self.labels[position].astype(np.float32))
        return Item(index=self.index(position), image=_tensor(pixels), label=label)

    def __getitem__(self, position: int) -> Item:
        position = _checked(position, len(self))
        return self.item(position, self.pixels(position))


class LabelledDataset(OwnedDataset):
    """Images of a labelled split, or some rows of it.

    Args:
        store: the decoded split.
        labels: `(N, C)` uint8 of the whole split, in the order of the store.
        classes: the C class names.
        rows: indices that belong to this dataset, in its order; all if None.
        source: name of the split.

    Attributes:
        classes: the C class names.
        rows: `(n,)` int64, manifest index of each position.
        labels: `(n, C)` uint8, by position.

    Raises:
        DataError: if the shapes do not fit together, or a row is unknown or repeated.
    """

    def __init__(
        self,
        store: ImageStore,
        labels: ArrayLike,
        classes: Sequence[str],
        rows: ArrayLike | None = None,
        source: Source = "training",
    ) -> None:
        table = _label_table(labels, len(store), len(classes))
        self.classes = tuple(classes)
        self.rows = np.arange(len(store)) if rows is None else _indices(rows, len(store), f"{source} rows")
        self.labels = table[self.rows]
        self._store = store
        self._source: Source = source

    def index(self, position: int) -> int:
        """Give the manifest index of a position."""
        return int(self.rows[position])

    def source(self, position: int) -> Source:  # noqa: ARG002  part of the contract of OwnedDataset
        """Name the split: the same for each position."""
        return self._source

    def pixels(self, position: int) -> Pixels:
        """Give the stored image at a position: `(H, W, 3)` uint8, read-only."""
        pixels: Pixels = self._store.array[int(self.rows[position])]
        return pixels


class UnlabelledDataset(Dataset[PoolItem]):
    """The images of the pool that have not been bought. It holds no labels.

    Args:
        store: the decoded pool.
        exclude: indices that are bought.
        transform: what is done to each image, for example a blur; nothing if None.

    Attributes:
        indices: `(N,)` int64, manifest index of each position, increasing.

    Raises:
        DataError: if an excluded index is unknown or repeated.
    """

    def __init__(
        self, store: ImageStore, exclude: ArrayLike = (), transform: Callable[[Pixels], Pixels] | None = None
    ) -> None:
        left = np.ones(len(store), dtype=np.bool_)
        left[_indices(exclude, len(store), "bought indices")] = False
        self.indices: NDArray[np.int64] = np.arange(len(store))[left]
        self._store = store
        self._transform = transform

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> PoolItem:
        index = int(self.indices[_checked(position, len(self))])
        pixels = self._store.array[index]
        return PoolItem(index=index, image=_tensor(self._transform(pixels) if self._transform else pixels))


class AggregatedDataset(OwnedDataset):
    """Training images, then bought images in the order of purchase.

    Args:
        labelled: the training images.
        unlabelled_store: the decoded pool.
        indices: `(n,)` manifest indices in the pool, in the order of purchase.
        labels: `(n, C)` 0/1, what was bought.

    Attributes:
        labelled: the training images.
        bought: `(n,)` int64.
        labels: `(L + n, C)` uint8, by position.

    Raises:
        DataError: if the shapes do not fit together, or an index is unknown or repeated.
    """

    def __init__(
        self, labelled: LabelledDataset, unlabelled_store: ImageStore, indices: ArrayLike, labels: ArrayLike
    ) -> None:
        self.labelled = labelled
        self.bought = _indices(indices, len(unlabelled_store), "bought indices")
        columns = labelled.labels.shape[1]
        self.labels = np.concatenate([labelled.labels, _label_table(labels, len(self.bought), columns)])
        self._pool = unlabelled_store

    def index(self, position: int) -> int:
        """Give the manifest index of a position within its own split."""
        own = len(self.labelled)
        return self.labelled.index(position) if position < own else int(self.bought[position - own])

    def source(self, position: int) -> Source:
        """Say whether the image at a position is a training image or was bought (`unlabelled`)."""
        own = len(self.labelled)
        return self.labelled.source(position) if position < own else "unlabelled"

    def pixels(self, position: int) -> Pixels:
        """Give the stored image at a position: `(H, W, 3)` uint8, read-only."""
        own = len(self.labelled)
        return self.labelled.pixels(position) if position < own else self._pool.array[int(self.bought[position - own])]


class AugmentedDataset(Dataset[Item]):
    """Owned images as a training step sees them.

    Args:
        base: the images.
        transform: the augmentation; what it draws depends on (seed, epoch, source, index) alone.
    """

    def __init__(self, base: OwnedDataset, transform: Augmentation) -> None:
        self.base = base
        self.transform = transform

    @property
    def labels(self) -> NDArray[np.uint8]:
        """`(N, C)` uint8, by position."""
        return self.base.labels

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, key: tuple[int, int]) -> Item:
        """Give the image at `(epoch, position)`."""
        epoch, position = key
        position = _checked(position, len(self.base))
        source, index = self.base.source(position), self.base.index(position)
        pixels = self.transform(self.base.pixels(position), epoch=epoch, source=source, index=index)
        return self.base.item(position, pixels)


class EvalDataset(Dataset[EvalItem]):
    """Owned images as an evaluation sees them: not augmented, each with its row.

    Args:
        base: the images.
        transform: what is done to each image, for example a blur; nothing if None.
    """

    def __init__(self, base: OwnedDataset, transform: Callable[[Pixels], Pixels] | None = None) -> None:
        self.base = base
        self.transform = transform

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, position: int) -> EvalItem:
        """Give the image at a position; `row` is that position."""
        position = _checked(position, len(self.base))
        pixels = self.base.pixels(position)
        item = self.base.item(position, self.transform(pixels) if self.transform else pixels)
        return EvalItem(index=item["index"], row=position, image=item["image"], label=item["label"])


class FolderDataset(Dataset[FolderItem]):
    """All images of a plain folder, by name, decoded when they are asked for.

    Args:
        folder: where the images lie; other files, hidden files and folders in it are left out.
        size: side in pixels that each image is resized to.
        transform: what is done to each image, for example a blur; nothing if None.

    Attributes:
        names: file names in sorted order.

    Raises:
        DataError: if the folder is missing or holds no image.
    """

    def __init__(self, folder: Path, size: int, transform: Callable[[Pixels], Pixels] | None = None) -> None:
        if not folder.is_dir():
            msg = f"Expected a folder of images at {folder}, but it is not there."
            raise DataError(msg)
        kinds = Image.registered_extensions()
        files = (file for file in folder.iterdir() if file.is_file() and not file.name.startswith("."))
        self.names = tuple(sorted(file.name for file in files if file.suffix.lower() in kinds))
        if not self.names:
            msg = f"Expected images in {folder}, but no file there has the suffix of an image, such as .png or .jpg."
            raise DataError(msg)
        self.folder = folder
        self.size = size
        self._transform = transform

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, position: int) -> FolderItem:
        name = self.names[position]
        pixels = fit_square(read_image(self.folder / name, at_least=2 * self.size), self.size)
        return FolderItem(name=name, image=_tensor(self._transform(pixels) if self._transform else pixels))


def _tensor(pixels: Pixels) -> Tensor:
    """Copy `(H, W, 3)` to a tensor `(3, H, W)`; a copy, because the store is read-only."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).copy())


def _checked(position: int, count: int) -> int:
    """Refuse what NumPy would silently take from the end; an IndexError also ends a `for` loop over a dataset."""
    if not 0 <= position < count:
        msg = f"Expected a position from 0 to {count - 1}, but got {position}."
        raise IndexError(msg)
    return int(position)


def _label_table(labels: ArrayLike, count: int, columns: int) -> NDArray[np.uint8]:
    table = np.asarray(labels)
    if table.size == 0 and count == 0:
        return np.zeros((0, columns), dtype=np.uint8)
    if table.shape != (count, columns) or not np.isin(table, (0, 1)).all():
        msg = f"Expected labels of shape ({count}, {columns}) with values 0 and 1, but got shape {table.shape}."
        raise DataError(msg)
    return table.astype(np.uint8)


def _indices(indices: ArrayLike, count: int, what: str) -> NDArray[np.int64]:
    given = np.asarray(indices)
    if given.size == 0:
        return np.zeros(0, dtype=np.int64)
    whole = given.ndim == 1 and np.issubdtype(given.dtype, np.integer)
    if not whole or given.min() < 0 or given.max() >= count or len(np.unique(given)) != len(given):
        msg = f"Expected {what} to be distinct whole numbers from 0 to {count - 1}, but got {given[:5].tolist()}…"
        raise DataError(msg)
    return given.astype(np.int64)
