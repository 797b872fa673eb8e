"""What the classifier is given and what it gives back: types of batches, and the contract with the data."""

from collections.abc import Sequence
from typing import NotRequired, Protocol, TypedDict, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Batch", "HasClasses", "HasImageSize", "HasLabels", "Prediction"]


class Batch(TypedDict):
    """A batch from the data module.

    Keys:
        index: `(B,)` int64, manifest indices; absent for the images of a folder.
        name: B names of files; only for the images of a folder.
        image: `(B, 3, H, W)` uint8.
        label: `(B, C)` uint8, 0/1; absent in prediction.
        row: `(B,)` int64, positions in the validation or test set, by which repeated images are recognised.
    """

    index: NotRequired[Tensor]
    name: NotRequired[list[str]]
    image: Tensor
    label: NotRequired[Tensor]
    row: NotRequired[Tensor]


class Prediction(TypedDict):
    """What is predicted for a batch.

    Keys:
        index: `(B,)` int64, manifest indices, if the batch has them.
        name: B names of files, if the batch has them.
        probabilities: `(B, C)` float32, averaged over the recipe's flips.
        embeddings: `(B, D)` float32, penultimate features of the unflipped images.
    """

    index: NotRequired[Tensor]
    name: NotRequired[list[str]]
    probabilities: Tensor
    embeddings: NotRequired[Tensor]


@runtime_checkable
class HasImageSize(Protocol):
    """A data module that knows the side of its images."""

    image_size: int


@runtime_checkable
class HasClasses(Protocol):
    """A data module that knows its classes."""

    @property
    def classes(self) -> Sequence[str]:
        """Names of the classes, in the order of the label columns."""


@runtime_checkable
class HasLabels(Protocol):
    """A training set that can hand out all its labels at once."""

    @property
    def labels(self) -> NDArray[np.uint8]:
        """`(N, C)` uint8, 0/1."""
