"""Files that are complete or absent, also when the machine stops in the middle."""

import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from dpc_lightning.errors import RunDirError

__all__ = ["remove_drafts", "write_atomically", "write_text"]


def write_atomically(file: Path, parts: Iterable[bytes | memoryview], *, keep: Path | None = None) -> None:
    """Write to a temporary file in the same folder, flush it to the disk, and give it its name.

    Args:
        file: the final name; a file of this name is replaced at once.
        parts: the content, piece by piece. An error raised while it is made leaves nothing behind.
        keep: a name in the same folder under which the replaced file stays. It gets this name once the new file is on
            the disk, and before the new file has its own: at every instant one of the two names is a complete file.

    Raises:
        OSError: if the folder is missing or not writable, or the disk is full; nothing is left behind.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "a.txt", [b"one", b"two"])
        ...     [(entry.name, entry.read_text()) for entry in Path(folder).iterdir()]
        [('a.txt', 'onetwo')]
    """
    part = _draft(file)
    try:
        with part.open("xb") as stream:
            for piece in parts:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        if keep is not None and file.exists():
            _keep(file, keep)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    _sync(file.parent)  # the name


def write_text(file: Path, text: str) -> None:
    """Write a text file of a run.

    Args:
        file: the final name; a file of this name is replaced at once.
        text: the content, written as UTF-8.

    Raises:
        RunDirError: if it cannot be written; what was there before then stands.
    """
    try:
        write_atomically(file, [text.encode()])
    except OSError as error:
        msg = f"Cannot write {file}: {error.strerror or error}. Make room or set permissions, then start again."
        raise RunDirError(msg) from error


def remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed while they wrote have left in a folder.

    Args:
        folder: a folder that no other process writes into now.
    """
    for draft in folder.glob(".*.part"):
        draft.unlink(missing_ok=True)


def _draft(file: Path) -> Path:
    return file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _keep(file: Path, name: Path) -> None:
    """Give a file a second name, in place of whatever has it; by a copy where the file system knows no links."""
    draft = _draft(name)
    try:
        try:
            os.link(file, draft)
        except OSError:
            shutil.copyfile(file, draft)
            _sync(draft)
        draft.replace(name)
    finally:
        draft.unlink(missing_ok=True)  # it is still there if both were names of one file already


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
