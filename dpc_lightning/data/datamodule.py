"""All data of a run behind one Lightning data module: what is trained on in each phase, and what is left to buy."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import lightning.pytorch as pl
import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import DataLoader, Dataset, Subset

from dpc_lightning.data.data_root import DataRoot, open_root
from dpc_lightning.data.datasets import (
    AggregatedDataset,
    AugmentedDataset,
    EvalDataset,
    EvalItem,
    FolderDataset,
    FolderItem,
    LabelledDataset,
    OwnedDataset,
    PoolItem,
    UnlabelledDataset,
)
from dpc_lightning.data.decoding import Pixels
from dpc_lightning.data.loaders import ResumableLoader, shard_loader
from dpc_lightning.data.manifest import Manifest, read_hidden_labels
from dpc_lightning.data.samplers import EpochBatches, ShardBatches
from dpc_lightning.data.synthetic import SheetSettings, write_sheets
from dpc_lightning.data.synthetic.writer import SETTINGS_FILE
from dpc_lightning.data.train_view import DataState, DataWarning, PseudoState, TrainView
from dpc_lightning.data.transforms import blur_at, build_augmentation, gaussian_blur
from dpc_lightning.errors import ConfigError, DataError

__all__ = ["DataWarning", "PurchaseDataModule", "TrainView"]

ItemT = TypeVar("ItemT")


class PurchaseDataModule(pl.LightningDataModule):
    """Labelled, unlabelled, aggregated, validation and test images of one data root.

    A root holds `training/`, `unlabelled/`, `test/` and optionally `validation/`, each with `images/` and `labels.csv`.

    Args:
        root: folder of the data.
        image_size: side in pixels that all images are resized to.
        validation_fraction: share of the training images that is set aside for validation where the root has no
            `validation/`; seeded, stratified by class, whole groups only.
        eval_batch_size: images of a batch in validation, test, scoring and prediction.
        num_workers: processes that load batches; 0 loads in the training process.
        pin_memory: whether batches are put into page-locked memory for a faster copy to a GPU; left out without one.
        cache_dir: folder of the decoded images; `.cache` inside the root if null.
        seed: of the validation split, batch order and augmentation.
        generator: how to make generated sheets where the root is missing; null for data of your own.

    Attributes:
        fetch_bought: gives what the ledger holds, `(indices, labels)` of its first n rows; the trainer attaches it, and
            a restored checkpoint is completed by it.

    Raises:
        ConfigError: if a number is out of its range.
    """

    def __init__(  # noqa: PLR0917  Lightning's way: a setting an argument
        self,
        root: str,
        image_size: int = 64,
        validation_fraction: float = 0.1,
        eval_batch_size: int = 256,
        num_workers: int = 0,
        pin_memory: bool = False,  # noqa: FBT001, FBT002  the command line gives all arguments by name
        cache_dir: str | None = None,
        seed: int = 0,
        generator: SheetSettings | None = None,
    ) -> None:
        super().__init__()
        _at_least("image_size", image_size, 1)
        _at_least("eval_batch_size", eval_batch_size, 1)
        _at_least("num_workers", num_workers, 0)
        _at_least("seed", seed, 0)
        if not 0 < validation_fraction < 1:
            msg = f"Expected `data.validation_fraction` to be above 0 and below 1, but got {validation_fraction}."
            raise ConfigError(msg)
        self.root = Path(root)
        self.image_size = image_size
        self.validation_fraction = validation_fraction
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.cache_dir = Path(cache_dir) if cache_dir is not None else self.root / ".cache"
        self.seed = seed
        self.generator = generator
        self.fetch_bought: Callable[[int], tuple[Sequence[int], ArrayLike]] | None = None
        self._view = TrainView()
        self._data: DataRoot | None = None
        self._bought: tuple[NDArray[np.int64], NDArray[np.uint8]] = (np.zeros(0, np.int64), np.zeros((0, 0), np.uint8))
        self._pseudo = self._bought

    def prepare_data(self) -> None:
        """Generate the sheets if the root is missing, read everything once, and decode all images.

        Lightning calls this on one process only, before the fit and again before the test. Nothing is kept but files.
        Data that is open is not looked at again: an image that has disappeared since does not end the run.

        Raises:
            DataError: for anything that is wrong with the data; names file and row and the way out.
        """
        if self._data is not None:
            return
        if self.generator is not None and (not self.root.exists() or (self.root / SETTINGS_FILE).exists()):
            write_sheets(self.root, self.generator)
        self._open()

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002  all stages need the same
        """Open the data; a second call does nothing.

        Args:
            stage: not used.

        Raises:
            DataError: as `prepare_data`.

        Warns:
            DataWarning: if a class has no positive among the training images.
        """
        if self._data is not None:
            return
        self._data = self._open()
        found = self.labelled.labels.sum(axis=0).tolist()
        absent = [name for name, count in zip(self.classes, found, strict=True) if not count]
        if absent and self._place()[0] == 0:
            msg = (
                f"No training image in {self.root / 'training'} has {absent}: the start model cannot learn it, and its "
                "F1 is 0 until such images are bought. Add labelled images of it."
            )
            warnings.warn(msg, DataWarning, stacklevel=2)

    @property
    def classes(self) -> tuple[str, ...]:
        """The C class names, in the order of the training file."""
        return self._opened().classes

    @property
    def labelled(self) -> LabelledDataset:
        """The training images, without those set aside for validation."""
        return self._opened().labelled

    @property
    def unlabelled(self) -> UnlabelledDataset:
        """The images of the pool that are not bought."""
        return UnlabelledDataset(self._opened().pool_store, self._bought[0], self._test_transform())

    @property
    def aggregated(self) -> AggregatedDataset:
        """The training images and the bought ones, in the order of purchase."""
        return AggregatedDataset(self.labelled, self._opened().pool_store, *self._bought)

    @property
    def bought(self) -> NDArray[np.int64]:
        """Indices of the bought images, `(n,)`, in the order of purchase."""
        return self._bought[0]

    def pool_image(self, index: int) -> Pixels:
        """Give an image of the pool as it is stored.

        Args:
            index: row of the pool's manifest.

        Returns:
            `(image_size, image_size, 3)` uint8, read-only.
        """
        pixels: Pixels = self._opened().pool_store.array[index]
        return pixels

    @property
    def validation(self) -> LabelledDataset:
        """The images of `validation/`, or those set aside from training."""
        return self._opened().validation

    @property
    def test_set(self) -> LabelledDataset:
        """The test images."""
        return self._opened().test

    @property
    def pool(self) -> Manifest:
        """The names of all unlabelled images, bought or not; a row is an index."""
        return self._opened().pool

    @property
    def cursor(self) -> int:
        """Position in the run of the phase that the data stands on."""
        return self._view.cursor

    def hidden_labels(self) -> NDArray[np.uint8] | None:
        """Read the labels of the pool for the simulated oracle; they are not kept here.

        Returns:
            `(N, C)` uint8 by index, or None where the root has none.

        Raises:
            DataError: if the file is wrong.
        """
        return read_hidden_labels(self.root / "unlabelled", self.classes, self.pool)

    def set_bought(self, indices: ArrayLike, labels: ArrayLike) -> None:
        """Replace what counts as bought by the rows of the ledger.

        Args:
            indices: `(n,)` indices of the pool, in the order of purchase.
            labels: `(n, C)` 0/1.

        Raises:
            DataError: if the shapes do not fit together, or an index is unknown or repeated; nothing changes then.
        """
        self._bought = self._checked_rows(indices, labels)

    def set_pseudo_labels(self, indices: ArrayLike, labels: ArrayLike) -> None:
        """Replace the images that are trained on with labels that the model gave itself.

        They are served only in a phase whose `TrainView.pseudo` is set; a bought label goes before a pseudo-label.

        Args:
            indices: `(n,)` indices of the pool.
            labels: `(n, C)` 0/1.

        Raises:
            DataError: if the shapes do not fit together, or an index is unknown or repeated; nothing changes then.
        """
        self._pseudo = self._checked_rows(indices, labels)

    @property
    def pseudo_images(self) -> int:
        """Images that have pseudo-labels."""
        return len(self._pseudo[0])

    def enter_phase(self, view: TrainView) -> None:
        """Say what the loaders serve from now on.

        Args:
            view: the phase and its settings.
        """
        self._view = view

    def train_dataloader(self) -> ResumableLoader:
        """Load the training batches of the phase that was entered last.

        Returns:
            A loader of `Batch`, each a dict of `index`, `image` and `label`.
        """
        view = self._view
        dataset = AugmentedDataset(self._train_set(view), build_augmentation(view.augment, view.blur, self.seed))
        batches = EpochBatches(
            len(dataset),
            view.batch_size,
            seed=self.seed,
            phase=view.stream,
            rank=view.rank,
            world_size=view.world_size,
        )
        return ResumableLoader(dataset, batches, num_workers=self.num_workers, pin_memory=self.pin_memory)

    def val_dataloader(self) -> DataLoader[EvalItem]:
        """Load this rank's share of the validation images, the same number of batches on each rank.

        Returns:
            A loader of dicts of `index`, `row`, `image` and `label`; a short rank repeats a row.
        """
        return self._eval_loader(self.validation)

    def test_dataloader(self) -> DataLoader[EvalItem]:
        """Load this rank's share of the test images, the same number of batches on each rank.

        Returns:
            A loader of dicts of `index`, `row`, `image` and `label`; a short rank repeats a row.
        """
        return self._eval_loader(self.test_set)

    def pool_loader(
        self, rank: int = 0, world_size: int = 1, rows: NDArray[np.int64] | None = None, *, skip: int = 0
    ) -> DataLoader[PoolItem]:
        """Load a rank's share of the unbought images, each exactly once over all ranks.

        Args:
            rank: from 0.
            world_size: number of ranks; whole batches are dealt out to them.
            rows: positions in `unlabelled` of the images that are wanted; None for all.
            skip: batches of this rank that are left out, because they have been scored before.

        Returns:
            A loader of dicts of `index` and `image`.
        """
        wanted: Dataset[PoolItem] = self.unlabelled
        count = len(self.unlabelled)
        if rows is not None:
            wanted, count = Subset(self.unlabelled, rows.tolist()), len(rows)
        return self._shard(wanted, ShardBatches(count, self.eval_batch_size, rank, world_size, skip=skip))

    def labelled_loader(self, rank: int = 0, world_size: int = 1) -> DataLoader[EvalItem]:
        """Load a rank's share of all owned images without augmentation, each exactly once over all ranks.

        Args:
            rank: from 0.
            world_size: number of ranks.

        Returns:
            A loader of dicts of `index`, `row` (position in `aggregated`), `image` and `label`.
        """
        dataset = EvalDataset(self.aggregated, self._test_transform())
        return self._shard(dataset, ShardBatches(len(dataset), self.eval_batch_size, rank, world_size))

    def image_folder_loader(self, folder: Path, rank: int = 0, world_size: int = 1) -> DataLoader[FolderItem]:
        """Load the images of any folder, decoded as they come; needs no data root.

        Args:
            folder: where the images lie.
            rank: from 0.
            world_size: number of ranks.

        Returns:
            A loader of dicts of `name` (list of str) and `image`.

        Raises:
            DataError: if the folder is missing or holds no image; while loading, if an image cannot be read.
        """
        dataset = FolderDataset(folder, self.image_size, self._test_transform())
        return self._shard(dataset, ShardBatches(len(dataset), self.eval_batch_size, rank, world_size))

    def state_dict(self) -> dict[str, Any]:
        """Give what a checkpoint keeps: a `DataState` of plain numbers and lists.

        Returns:
            Phase cursor, number of ledger rows, pseudo-labels.
        """
        indices, labels = self._pseudo
        pseudo = PseudoState(indices=indices.tolist(), labels=labels.tolist())
        return dict(DataState(cursor=self._view.cursor, ledger_rows=len(self._bought[0]), pseudo=pseudo))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the state of a checkpoint; what is bought comes from the ledger by `fetch_bought`.

        Args:
            state_dict: what `state_dict` gave.

        Raises:
            DataError: if the ledger has fewer rows than the checkpoint stands on.
        """
        self._view = replace(self._view, cursor=int(state_dict["cursor"]))
        self.set_pseudo_labels(state_dict["pseudo"]["indices"], state_dict["pseudo"]["labels"])
        if self.fetch_bought is None:
            return
        rows = int(state_dict["ledger_rows"])
        indices, labels = self.fetch_bought(rows)
        if len(indices) != rows:
            msg = f"Expected {rows} purchases, on which the checkpoint stands, but the ledger gave {len(indices)}."
            raise DataError(msg)
        self.set_bought(indices, labels)

    def _open(self) -> DataRoot:
        return open_root(
            self.root,
            self.image_size,
            self.cache_dir,
            validation_fraction=self.validation_fraction,
            seed=self.seed,
        )

    def _opened(self) -> DataRoot:
        if self._data is None:
            msg = "Expected the data to be open: call `setup()` before anything is read from the data module."
            raise DataError(msg)
        return self._data

    def _checked_rows(self, indices: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        rows = AggregatedDataset(self.labelled, self._opened().pool_store, indices, labels)
        return rows.bought, rows.labels[len(self.labelled) :]

    def _train_set(self, view: TrainView) -> AggregatedDataset:
        indices, labels = self._bought if view.bought else (self._bought[0][:0], self._bought[1][:0])
        if view.pseudo and len(self._pseudo[0]):
            extra = ~np.isin(self._pseudo[0], self._bought[0])
            indices = np.concatenate([indices, self._pseudo[0][extra]])
            labels = np.concatenate([labels.reshape(-1, len(self.classes)), self._pseudo[1][extra]])
        return AggregatedDataset(self.labelled, self._opened().pool_store, indices, labels)

    def _test_transform(self) -> Callable[[Pixels], Pixels] | None:
        return gaussian_blur if blur_at(self._view.blur, "test") else None

    def _eval_loader(self, base: OwnedDataset) -> DataLoader[EvalItem]:
        rank, world_size = self._place()
        batches = ShardBatches(len(base), self.eval_batch_size, rank, world_size, pad=True)
        return self._shard(EvalDataset(base, self._test_transform()), batches)

    def _shard(self, dataset: Dataset[ItemT], batches: ShardBatches) -> DataLoader[ItemT]:
        return shard_loader(dataset, batches, num_workers=self.num_workers, pin_memory=self.pin_memory)

    def _place(self) -> tuple[int, int]:
        trainer = self.trainer
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)


def _at_least(name: str, value: int, least: int) -> None:
    if value < least:
        msg = f"Expected `data.{name}` to be a whole number of at least {least}, but got {value!r}."
        raise ConfigError(msg)
