"""Write a file so that it is complete or absent, also when the machine stops in the middle."""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

__all__ = ["write_atomically"]


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


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
