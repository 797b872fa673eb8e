"""The data of an entry's host: a data root, opened without the machinery of training."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.data.data_root import DataRoot, open_root
from dpc_lightning.data.manifest import read_hidden_labels
from dpc_lightning.data.synthetic.settings import SheetSettings
from dpc_lightning.data.synthetic.writer import SETTINGS_FILE, write_sheets
from dpc_lightning.errors import EntryError

__all__ = ["HostedData", "open_data"]


@dataclass(frozen=True)
class HostedData:
    """A data root with all that its host knows.

    Attributes:
        root: folder of the data.
        cache_dir: folder of the decoded images.
        splits: the splits, opened.
    """

    root: Path
    cache_dir: Path
    splits: DataRoot

    def hidden_labels(self) -> NDArray[np.uint8]:
        """Read the labels of the pool; they are not kept here.

        Returns:
            `(N, C)` uint8 by index.

        Raises:
            EntryError: if the root has none.
            DataError: if the file is wrong.
        """
        found = read_hidden_labels(self.root / "unlabelled", self.splits.classes, self.splits.pool)
        if found is None:
            msg = (
                f"Expected the pool's labels in {self.root / 'unlabelled' / 'labels.csv'}: an entry is run where all "
                "labels are known to its host."
            )
            raise EntryError(msg)
        return found


def open_data(  # noqa: PLR0917  the command line gives all by name
    root: str,
    image_size: int = 64,
    validation_fraction: float = 0.1,
    cache_dir: str | None = None,
    seed: int = 0,
    generator: SheetSettings | None = None,
) -> HostedData:
    """Open a data root as `PurchaseDataModule` does: generate it if it is missing, decode what is not decoded.

    Args:
        root: folder of the data.
        image_size: side in pixels that all images are resized to.
        validation_fraction: share of the training images that is set aside for validation where the root has no
            `validation/`.
        cache_dir: folder of the decoded images; `.cache` inside the root if None.
        seed: of the validation split.
        generator: how to make generated sheets where the root is missing; None for data of your own.

    Raises:
        DataError: for anything that is wrong with the data; names file and row and the way out.
    """
    place = Path(root)
    if generator is not None and (not place.exists() or (place / SETTINGS_FILE).exists()):
        write_sheets(place, generator)
    cache = Path(cache_dir) if cache_dir is not None else place / ".cache"
    splits = open_root(place, image_size, cache, validation_fraction=validation_fraction, seed=seed)
    return HostedData(place, cache, splits)
