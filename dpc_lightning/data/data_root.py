"""Open a whole data root: read and cross-check its splits, decode their images, set validation aside."""

from dataclasses import dataclass
from pathlib import Path

from dpc_lightning.data.datasets import LabelledDataset
from dpc_lightning.data.image_store import ImageStore
from dpc_lightning.data.manifest import LabelledTable, Manifest, check_groups, read_labelled, read_pool
from dpc_lightning.data.split import split_validation
from dpc_lightning.errors import DataError

__all__ = ["DataRoot", "open_root"]


@dataclass(frozen=True)
class DataRoot:
    """The splits of a data root, decoded and ready.

    Attributes:
        classes: the C class names, in the order of the training file.
        labelled: training images that are trained on.
        validation: images of `validation/`, or those set aside from training.
        test: test images.
        pool: names of the unlabelled images.
        pool_store: the unlabelled images, in the order of `pool`.
    """

    classes: tuple[str, ...]
    labelled: LabelledDataset
    validation: LabelledDataset
    test: LabelledDataset
    pool: Manifest
    pool_store: ImageStore


def open_root(root: Path, size: int, cache_dir: Path, *, validation_fraction: float, seed: int) -> DataRoot:
    """Open a data root; images that have not been decoded at this size are decoded.

    Args:
        root: folder with `training/`, `unlabelled/`, `test/` and optionally `validation/`.
        size: side in pixels that images are resized to.
        cache_dir: folder of the decoded images.
        validation_fraction: share of training that is set aside where there is no `validation/`, in (0, 1).
        seed: of that choice.

    Returns:
        The data.

    Raises:
        DataError: for anything that is wrong with a folder, a file, a row or an image; names it and the way out.
    """
    if not root.is_dir():
        msg = (
            f"Expected a data root at {root}, but it is not there. Correct --data.root, convert your images into one "
            "with `python -m dpc_lightning data`, or name a generator by --data.generator to have sheets generated."
        )
        raise DataError(msg)
    training = read_labelled(root / "training")
    test = read_labelled(root / "test", training.classes)
    given = (root / "validation").exists()
    validation = read_labelled(root / "validation", training.classes) if given else None
    pool = read_pool(root / "unlabelled")
    splits = {"training": training.manifest, "unlabelled": pool, "test": test.manifest}
    check_groups(splits if validation is None else splits | {"validation": validation.manifest})

    stores = {name: ImageStore.open_or_build(manifest, size, cache_dir) for name, manifest in splits.items()}
    if validation is None:
        labelled, held_out = _set_aside(training, stores["training"], validation_fraction, seed)
    else:
        labelled = LabelledDataset(stores["training"], training.labels, training.classes)
        store = ImageStore.open_or_build(validation.manifest, size, cache_dir)
        held_out = LabelledDataset(store, validation.labels, training.classes, source="validation")
    tested = LabelledDataset(stores["test"], test.labels, training.classes, source="test")
    return DataRoot(training.classes, labelled, held_out, tested, pool, stores["unlabelled"])


def _set_aside(
    training: LabelledTable, store: ImageStore, fraction: float, seed: int
) -> tuple[LabelledDataset, LabelledDataset]:
    rows, held_out = split_validation(training.labels, training.manifest.groups, fraction, seed)
    return (
        LabelledDataset(store, training.labels, training.classes, rows),
        LabelledDataset(store, training.labels, training.classes, held_out),
    )
