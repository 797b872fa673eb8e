"""Buy what a file lists: the purchases of another run, of a person, or of another program."""

import csv
from pathlib import Path

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.errors import AcquisitionError, ConfigError

__all__ = ["Listed", "read_indices"]


class Listed(Acquisition):
    """Picks the images that a file lists, in its order; those that are bought already are passed over.

    Score: none (NaN). Deterministic. Cost and memory: O(N). Use it to judge purchases that were made elsewhere, or
    as the first rule of a `Mix`: what a person wants to have labelled, and another rule for the rest.

    Args:
        file: `purchases.csv` of a run, or plain text with one image index a line. Null picks in the order of the pool.

    Raises:
        ConfigError: if the file cannot be read, or holds anything but distinct image indices; names file and row.
    """

    time: str = "O(N)"
    memory: str = "8 bytes an image"

    def __init__(self, file: str | None = None) -> None:
        self.file = file
        self._indices = None if file is None else read_indices(Path(file))

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        listed = self._indices
        rows = np.arange(count, dtype=np.int64) if listed is None else self._rows(listed, pool, count)
        return rows, np.full(count, np.nan, dtype=np.float32)

    def _rows(self, listed: IntArray, pool: PoolView, count: int) -> IntArray:
        rows = np.minimum(np.searchsorted(pool.indices, listed), len(pool) - 1)
        here = pool.indices[rows] == listed
        gone = listed[~here]
        bought = max(pool.bought, 0)
        if len(gone) > bought:
            msg = (
                f"{self.file} lists the image index {gone[bought]}, which is not in the pool ({len(gone)} of its "
                f"images are not, and {bought} images were bought so far). Was it made with the same data root?"
            )
            raise AcquisitionError(msg)
        left: IntArray = rows[here][:count]
        if len(left) < count:
            msg = (
                f"{self.file} lists {len(listed)} images, of which {len(left)} are still to be had, but {count} are to "
                f"be bought: set `purchase.labels` to {bought + len(left)}."
            )
            raise AcquisitionError(msg)
        return left


def read_indices(file: Path) -> IntArray:
    r"""Read the image indices that a file lists.

    Args:
        file: CSV with a column `index`, as `purchases.csv` of a run, or plain text with one index a line.

    Returns:
        `(n,)` int64, distinct, in the order of the file.

    Raises:
        ConfigError: if the file cannot be read, or holds anything but distinct image indices; names file and row.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "bought.txt"
        ...     _ = file.write_text("7\n3\n")
        ...     read_indices(file).tolist()
        [7, 3]
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
        rows = list(csv.reader(lines, strict=True))
    except (OSError, ValueError, csv.Error) as error:
        msg = f"Expected a list of purchases in {file}, but it cannot be read: {error}."
        raise ConfigError(msg) from error
    column, first = 0, 0
    if rows and "index" in rows[0]:
        column, first = rows[0].index("index"), 1
    found: dict[int, int] = {}
    for number, row in enumerate(rows[first:], first + 1):
        if not row:
            continue
        word = row[column].strip() if column < len(row) else ""
        if not (word.isascii() and word.isdigit()) or len(word) > 18:
            msg = (
                f"{file}, row {number}: expected an image index (a whole number of at least 0), but got {word!r}. "
                "Give `purchases.csv` of a run, a CSV with a column `index`, or one index a line."
            )
            raise ConfigError(msg)
        index = int(word)
        if index in found:
            msg = f"{file}, row {number}: the image index {index} is listed in row {found[index]} already."
            raise ConfigError(msg)
        found[index] = number
    return np.fromiter(found, dtype=np.int64, count=len(found))
