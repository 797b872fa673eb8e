"""Files that are complete or absent."""

import os
from pathlib import Path

from dpc_lightning.errors import RunDirError

__all__ = ["atomic_write"]


def atomic_write(path: Path, text: str) -> None:
    """Write a text file so that it is complete or absent, also after a power loss.

    Args:
        path: the file; what it held before is replaced.
        text: its new content, written as UTF-8.

    Raises:
        RunDirError: if it cannot be written; the old content then stands.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        msg = f"Cannot write {path}: {error.strerror or error}. Make room or set permissions, then start again."
        raise RunDirError(msg) from error
