"""Write a data root completely or not at all, with several processes wanting the same one, and say what it holds."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import mkdtemp

from filelock import FileLock

from dpc_lightning.errors import DataError

__all__ = ["check_description", "whole_folder", "write_description"]


@contextlib.contextmanager
def whole_folder(root: Path) -> Iterator[Path | None]:
    """Give an empty folder beside `root` to write into; it becomes `root` when the block ends without an error.

    A second process that wants the same root waits until the first is done. Folders that a killed process left behind
    are removed; an empty file `.<root>.lock` stays beside the root. Nothing is ever added to a root that exists.

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
        ...     [path.name for path in Path(place).iterdir() if not path.name.startswith(".")]
        ['sheets']
    """
    root = Path(os.path.realpath(root))
    if not root.name:
        msg = f"{root} cannot be a data root. Name a folder inside it."
        raise DataError(msg)
    if _occupied(root):  # complete, since it got its name at the end; no lock is needed, and the place may be read-only
        yield None
        return
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        lock = root.with_name(f".{root.name}.lock")
        lock.touch()  # fails at once where nothing can be written; FileLock would try again for ever on some mounts
        with FileLock(lock):
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


def write_description(folder: Path, name: str, made_from: Mapping[str, object]) -> None:
    """Write what a data root was made from, as JSON.

    Args:
        folder: the data root.
        name: name of the file.
        made_from: settings and version; JSON types only.

    Raises:
        OSError: if the file cannot be written.
    """
    (folder / name).write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")


def check_description(root: Path, name: str, made_from: Mapping[str, object], maker: str) -> None:
    """Make sure that a root was made from exactly these settings.

    Args:
        root: a data root that exists.
        name: name of the file that `write_description` wrote.
        made_from: the settings and version to compare with.
        maker: what would have made it, for the message.

    Raises:
        DataError: if the root has no such file or was made from anything else; names what differs.
    """
    way_out = "Choose another root, or remove the folder to have it written again."
    file = root / name
    if not file.is_file():
        msg = f"{root} exists and has no {name}: it was not made by {maker}, and is left untouched. {way_out}"
        raise DataError(msg)
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        msg = f"Expected {file} to be JSON written by {maker}, but: {error}. {way_out}"
        raise DataError(msg) from error
    if not isinstance(there, dict):
        msg = f"Expected {file} to be a JSON object written by {maker}. {way_out}"
        raise DataError(msg)
    differences = [
        f"{key} is {there.get(key)!r} there and {made_from.get(key)!r} here"
        for key in sorted(made_from.keys() | there.keys())
        if there.get(key) != made_from.get(key)
    ]
    if differences:
        msg = f"{root} was made by {maker} from other settings: {'; '.join(differences)}. {way_out}"
        raise DataError(msg)


def _occupied(root: Path) -> bool:
    if not root.exists():
        return False
    if not root.is_dir():
        msg = f"Expected {root} to be a folder or to be free, but it is a file. Choose another root."
        raise DataError(msg)
    return any(root.iterdir())


def _literal(name: str) -> str:
    """Quote what `glob` would read as a pattern."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
