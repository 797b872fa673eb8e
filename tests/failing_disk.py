"""A disk that is full, or cannot be written, for one file: the errors come from the kernel wherever it can be asked."""

import builtins
import errno
import io
import os
import re
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from dpc_lightning.purchase.ledger import Ledger

__all__ = ["Fault", "failing_file", "failing_ledger"]

Fault = Literal["full", "read-only"]
"""What is wrong with the disk."""

SAID = {"full": "No space left on device", "read-only": "Read-only file system"}


@contextmanager
def failing_file(pattern: str, fault: Fault) -> Iterator[list[str]]:
    """Let every attempt to write a file fail whose path matches a pattern.

    A full disk still makes the file: all that is written into it goes to `/dev/full`.

    Yields:
        A list that is given the paths of the files that were to be written.
    """
    original, met = builtins.open, list[str]()

    def opened(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        path = os.fspath(file) if isinstance(file, str | os.PathLike) else ""
        if not (set(mode) & set("wxa+") and re.search(pattern, str(path))):
            return original(file, mode, *args, **kwargs)
        met.append(str(path))
        if fault == "read-only":
            raise OSError(errno.EROFS, SAID[fault], path)
        stream = original(file, mode, *args, **kwargs)
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, stream.fileno())
        os.close(full)
        return stream

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builtins, "open", opened)
        patch.setattr(io, "open", opened)  # what pathlib calls
        yield met


@contextmanager
def failing_ledger(method: str, fault: Fault) -> Iterator[list[str]]:
    """Let SQLite fail in what a method of the ledger writes.

    A full disk is a limit on the size of files, by which the kernel refuses the write.

    Yields:
        A list that is given the names of the methods that were called.
    """
    original: Callable[..., Any] = getattr(Ledger, method)
    met = list[str]()

    def called(ledger: Ledger, *args: Any, **kwargs: Any) -> Any:
        met.append(method)
        if fault == "read-only":
            ledger._connection.execute("PRAGMA query_only=ON")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if fault == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, hard))
        try:
            return original(ledger, *args, **kwargs)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            ledger._connection.execute("PRAGMA query_only=OFF")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, method, called)
        yield met
