"""The datasets that an entry is given: images as its transform wants them, labels where they are owned.

Own choices, as the competition's kit is not documented: an image is a PIL image unless the host says `array`; a label
is a `(C,)` uint8 array of 0 and 1; indices are those of the pool, from 0, as `idx` says.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dpc_lightning.starter_kit.shop import Shop, whole_number

__all__ = ["EntryDataset", "LabelledDataset", "UnlabelledDataset"]

Transform = Callable[[Any], Any]


class EntryDataset:
    """Images of a split; `torch.utils.data.DataLoader` takes it as it is.

    Args:
        pixels: `(N, H, W, 3)` uint8, RGB, read-only, may be memory-mapped.
        images: whether an item's image is a PIL image or an array `(H, W, 3)` uint8.

    Attributes:
        transform: called on each image, or None.
    """

    def __init__(self, pixels: NDArray[np.uint8], images: Literal["pil", "array"] = "pil") -> None:
        self._pixels = pixels
        self._as_pil = images == "pil"
        self.transform: Transform | None = None

    def __len__(self) -> int:
        return len(self._pixels)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for index in range(len(self)):
            yield self[index]

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give an image.

        Returns:
            `idx`, `image`, and `label` where it is owned.

        Raises:
            IndexError: if there is no such image.
        """
        if not 0 <= index < len(self._pixels):
            msg = f"Expected an index from 0 to {len(self._pixels) - 1}, but got {index}."
            raise IndexError(msg)
        pixels = self._pixels[index]
        image: Any = Image.fromarray(pixels) if self._as_pil else pixels
        if self.transform is not None:
            image = self.transform(image)
        item = {"idx": int(index), "image": image}
        label = self._label(index)
        return item if label is None else item | {"label": label}

    def set_transform(self, transform: Transform | None) -> None:
        """Set what is done to every image from now on."""
        self.transform = transform

    def _label(self, index: int) -> NDArray[np.uint8] | None:  # noqa: ARG002  for those that have labels
        return None


class LabelledDataset(EntryDataset):
    """The labelled training images.

    Args:
        pixels: as of `EntryDataset`.
        labels: `(N, C)` uint8.
        images: as of `EntryDataset`.

    Attributes:
        labels: `(N, C)` uint8.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], labels: NDArray[np.uint8], images: Literal["pil", "array"] = "pil"
    ) -> None:
        super().__init__(pixels, images)
        self.labels = labels

    def _label(self, index: int) -> NDArray[np.uint8]:
        label: NDArray[np.uint8] = self.labels[index]
        return label


class UnlabelledDataset(EntryDataset):
    """The pool, of which labels can be bought.

    Args:
        pixels: as of `EntryDataset`.
        shop: sells the labels.
        images: as of `EntryDataset`.
    """

    def __init__(self, pixels: NDArray[np.uint8], shop: Shop, images: Literal["pil", "array"] = "pil") -> None:
        super().__init__(pixels, images)
        self._shop = shop
        self._bought: dict[int, NDArray[np.uint8]] = {}

    def purchase_label(self, index: object) -> NDArray[np.uint8]:
        """Buy the label of an image.

        Returns:
            `(C,)` uint8.

        Raises:
            OutOfBudgetException: if no label is left.
            IndexError: if there is no such image.
            TypeError: if `index` is no whole number.
            OutOfTimeException: if the compute budget is used up.
        """
        label: NDArray[np.uint8] = self.purchase_labels([index])[0]
        return label

    def purchase_labels(self, indices: Iterable[object]) -> NDArray[np.uint8]:
        """Buy many labels at once, much faster (an own choice: the competition had the single call only).

        Returns:
            `(n, C)` uint8.

        Raises:
            Exception: as `purchase_label`.
        """
        wanted = [whole_number(index) for index in indices]
        labels = self._shop.buy(wanted)
        self._bought.update(zip(wanted, labels, strict=True))
        return labels

    def _label(self, index: int) -> NDArray[np.uint8] | None:
        return self._bought.get(int(index))
