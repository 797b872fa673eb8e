"""Checkpoints that survive a power cut: flushed to the disk, checked before they are used, the last two kept."""

import warnings
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import ZipFile

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override

from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import RunDirError

__all__ = ["CheckpointFile", "CheckpointWarning", "damage_of", "usable_checkpoint"]

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"

START_ANEW = (
    "Remove the folder {folder} and start again: the training begins anew, and what is bought is taken from the ledger "
    "and not paid for again."
)


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged, and the run goes on from the one before it."""


class CheckpointFile(TorchCheckpointIO):
    """Reads and writes the checkpoints of a run, in place of Lightning's own way, which does not flush to the disk.

    A file is complete or absent, also after a power cut. The `last.ckpt` that is replaced stays as `previous.ckpt`.

    Args:
        folder: the run's folder of checkpoints.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Args:
            checkpoint: what Lightning collected.
            path: the file. One in a remote store is left to Lightning.
            storage_options: passed on to Lightning, which refuses them.

        Raises:
            RunDirError: if it cannot be written; what was there before then stands.
        """
        if storage_options is not None or _is_remote(path):
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        file = Path(path)
        content = BytesIO()
        torch.save(checkpoint, content)
        before = file.with_name(PREVIOUS) if file == self.folder / LAST else None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, [content.getbuffer()], keep=before)
        except OSError as error:
            msg = (
                f"Cannot write {file}: {error.strerror or error}. Make room or set permissions, then start again: the "
                "run goes on from the checkpoint before."
            )
            raise RunDirError(msg) from error

    @override
    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a checkpoint.

        Args:
            path: the file.
            *args: passed on to `torch.load`, as Lightning does.
            **kwargs: likewise.

        Raises:
            RunDirError: if there is none, or if it is damaged; the file is left as it is.
        """
        file = Path(path)
        damage = None if _is_remote(path) else damage_of(file)
        if damage is not None:
            msg = f"The checkpoint {file} cannot be used: {damage}. {_way_out(file)}"
            raise RunDirError(msg)
        try:
            checkpoint: dict[str, Any] = super().load_checkpoint(path, *args, **kwargs)
        except (RuntimeError, UnpicklingError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            msg = f"The checkpoint {file} cannot be used: {reason}. {_way_out(file)}"
            raise RunDirError(msg) from error
        return checkpoint


def damage_of(file: Path) -> str | None:
    """Say what is wrong with a checkpoint file: its structure, or a record whose checksum does not fit.

    Args:
        file: as `torch.save` wrote it, which is a zip file with a checksum for each tensor.

    Returns:
        What is wrong, in words; None if it is whole.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "a.ckpt"
        ...     torch.save({"weights": torch.zeros(3)}, file)
        ...     whole = damage_of(file)
        ...     _ = file.write_bytes(file.read_bytes()[:100])
        ...     whole, damage_of(file)
        (None, 'File is not a zip file')
    """
    try:
        if not file.stat().st_size:
            return "it is empty"
        with ZipFile(file) as archive:
            torn = archive.testzip()
            if not archive.namelist():
                return "it holds nothing"
    except Exception as error:  # noqa: BLE001  a damaged zip file raises errors of a dozen classes
        return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return None if torn is None else f"the checksum of its record {torn!r} does not fit"


def usable_checkpoint(folder: Path, *, set_aside: bool = True) -> Path | None:
    """Find the checkpoint from which a run goes on: `last.ckpt` if it is whole, and else `previous.ckpt`.

    A damaged `last.ckpt` is kept as `last.ckpt.damaged`. All ranks look at the same files and apply the same rule, so
    that they come to the same answer, whether or not rank 0 has set the damaged one aside already.

    Args:
        folder: the run's folder of checkpoints.
        set_aside: whether to rename a damaged file and warn of it; for rank 0.

    Returns:
        The file, or None if there is no checkpoint.

    Raises:
        RunDirError: if there are checkpoints, but none that is whole; nothing is changed then.

    Warns:
        CheckpointWarning: if `last.ckpt` is damaged, and `previous.ckpt` takes its place.
    """
    last, previous = folder / LAST, folder / PREVIOUS
    found = {file: damage_of(file) for file in (last, previous) if file.exists()}
    usable = next((file for file, damage in found.items() if damage is None), None)
    if usable is None and found:
        named = "; ".join(f"{file.name}: {damage}" for file, damage in found.items())
        msg = f"No checkpoint in {folder} can be used ({named}). {START_ANEW.format(folder=folder)}"
        raise RunDirError(msg)
    if usable == previous and last in found and set_aside:
        damaged = last.with_name(f"{LAST}.damaged")
        last.replace(damaged)
        _warn(
            f"The checkpoint {last} is damaged ({found[last]}): it is kept as {damaged.name}, and the run goes on from "
            f"the one before, {previous.name}."
        )
    return usable


def _is_remote(path: str | Path) -> bool:
    return "://" in str(path)


@rank_zero_only
def _warn(text: str) -> None:
    warnings.warn(text, CheckpointWarning, stacklevel=3)


def _way_out(file: Path) -> str:
    if file.name in {LAST, PREVIOUS}:
        return START_ANEW.format(folder=file.parent)
    if file.name == "evaluate.ckpt":
        return (
            "Give another one by `--ckpt_path`, or have it made again: remove summary.json beside that folder and "
            "the folder itself, and start the `fit` of the run again; what is bought is taken from the ledger."
        )
    return "Give another one by `--ckpt_path`."
