"""Write a folder completely or not at all, with several processes wanting the same one."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

from dpc_lightning.errors import DataError

__all__ = ["whole_folder"]


@contextlib.contextmanager
def whole_folder(root: Path) -> Iterator[Path | None]:
    """Give an empty folder beside `root` to write into; it becomes `root` when the block ends without an error.

    A second process that wants the same root waits until the first is done. Folders that a killed process left behind
    are removed. Nothing is ever added to, or taken from, a root that exists.

    Args:
        root: the folder to make; it may exist if it is empty.

    Yields:
        The folder to write into, or `None` if `root` exists and is not empty: then there is nothing to write.

    Raises:
        DataError: if the place cannot be written or is full; nothing is left of what was written.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as place:
        ...     with whole_folder(Path(place, "sheets")) as folder:
        ...         _ = Path(folder, "README.txt").write_text("done")
        ...     [path.name for path in Path(place).iterdir()]
        ['sheets']
    """
    root = Path(os.path.realpath(root))
    if not root.name:
        msg = f"{root} cannot be a data root. Name a folder inside it."
        raise DataError(msg)
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        with _locked(root.with_name(f".{root.name}.lock")):
            if _occupied(root):
                yield None
                return
            for leftover in root.parent.glob(f".{_literal(root.name)}.writing-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            folder = Path(mkdtemp(prefix=f".{root.name}.writing-", dir=root.parent))
            try:
                folder.chmod(0o777 & ~_umask())
                yield folder
                folder.rename(root)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
    except OSError as error:
        msg = f"Cannot write {root}: {error}. Nothing was left behind; free the place or choose another root."
        raise DataError(msg) from error


def _occupied(root: Path) -> bool:
    if not root.exists():
        return False
    if not root.is_dir():
        msg = f"Expected {root} to be a folder or to be free, but it is a file. Choose another root."
        raise DataError(msg)
    return any(root.iterdir())


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock file; it is removed at the end, so a lock taken on a removed file is taken again on the new one."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.fstat(descriptor).st_ino == path.stat().st_ino:
                break
        os.close(descriptor)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _literal(name: str) -> str:
    """Quote what `glob` would read as a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
