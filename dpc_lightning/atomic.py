"""Files that are complete or absent, also when the machine stops in the middle."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from dpc_lightning.errors import RunDirError

__all__ = ["write_atomically", "write_text"]


def write_atomically(file: Path, parts: Iterable[bytes]) -> None:
    """Write to a temporary file in the same folder, flush it to the disk, and give it its name.

    Args:
        file: the final name; a file of this name is replaced at once.
        parts: the content, piece by piece. An error raised while it is made leaves nothing behind.

    Raises:
        OSError: if the folder is missing or not writable, or the disk is full; nothing is left behind.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "a.txt", [b"one", b"two"])
        ...     [(entry.name, entry.read_text()) for entry in Path(folder).iterdir()]
        [('a.txt', 'onetwo')]
    """
    part = file.with_name(f".{file.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as stream:
            for piece in parts:
                stream.write(piece)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    _sync_folder(file.parent)


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


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
