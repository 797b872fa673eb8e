"""The oracle of people: it writes what is to be labelled into a folder, and reads what they have filled in."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

import numpy as np

from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import ConfigError, LabelsPendingError, OracleError
from dpc_lightning.purchase.oracle import Oracle
from dpc_lightning.purchase.request_file import PLACE_COLUMNS, Request, read_places

__all__ = ["FilesOracle"]


class FilesOracle(Oracle):
    """Asks people by files: `requests/round_1.csv` to be filled with 0 and 1, and the images in `requests/round_1/`.

    When labels are wanted it writes these and the run ends, waiting. The next start reads the file and goes on; as
    long as nothing is filled in, it waits again. A file that is filled in part, or that was changed in another way than
    by filling it, is refused by line and column; see docs/labelling.md.

    It is empty when it is built from YAML; the run hands it the folder and the names of the images.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as place:
        ...     pool, requests = Path(place, "images"), Path(place, "requests")
        ...     pool.mkdir()
        ...     _ = Path(pool, "a.png").write_bytes(b"pixels")
        ...     oracle = FilesOracle()
        ...     oracle.attach(folder=requests, images=["a.png"], image_folder=pool, classes=["dent", "dirt"])
        ...     try:
        ...         oracle.label_round(np.array([0]), 1)
        ...     except LabelsPendingError:
        ...         file = requests / "round_1.csv"
        ...         _ = file.write_text(file.read_text().replace("a.png,,", "a.png,0,1"))
        ...     print(oracle.label_round(np.array([0]), 1).tolist())
        [[0, 1]]
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._images: Sequence[str] = ()
        self._image_folder = Path()
        self._classes: tuple[str, ...] = ()

    def attach(self, *, folder: Path, images: Sequence[str], image_folder: Path, classes: Sequence[str]) -> None:
        """Say where to write, and what the pool is.

        Args:
            folder: folder of the requests; made when it is needed.
            images: file name of every image of the pool, by index.
            image_folder: where these files are.
            classes: names of the classes, in the order of the label columns.

        Raises:
            ConfigError: if a class is called as one of the request's own columns.
        """
        taken = sorted(set(classes) & set(PLACE_COLUMNS))
        if taken:
            msg = f"`purchase.oracle` FilesOracle cannot ask for the classes {taken}: its tables have columns of this "
            raise ConfigError(f"{msg}name. Rename them in the labels.csv of the data.")
        self._folder, self._images, self._image_folder = folder, images, image_folder
        self._classes = tuple(classes)

    def label(self, indices: IntArray) -> LabelArray:
        """Ask for images of no round, in `round_0.csv`; see `label_round`."""
        return self.label_round(indices, 0)

    def label_round(self, indices: IntArray, round_number: int) -> LabelArray:
        """Read the labels of a round's request, which is written if it is not there; see `Oracle.label`."""
        if self._folder is None:
            msg = "FilesOracle does not know where to write its requests: call `attach` first, as a run does."
            raise OracleError(msg)
        if not len(indices):
            return np.zeros((0, len(self._classes)), dtype=np.uint8)
        unknown = [index for index in indices.tolist() if not 0 <= index < len(self._images)]
        if unknown:
            msg = f"FilesOracle knows images 0 to {len(self._images) - 1}, but was asked for {unknown[:5]}."
            raise OracleError(msg)
        request = self._request(self._folder, indices.tolist(), round_number)
        if not request.file.exists():
            self._write(request)
        labels = request.read()
        if labels is None:
            msg = (
                f"waiting for labels: {len(request.indices)} images of round {round_number} are in "
                f"{request.file.with_suffix('')}. Fill every class column of {request.file} with 0 and 1, save it as "
                "CSV, and start the same command again."
            )
            raise LabelsPendingError(msg)
        return labels

    def _request(self, folder: Path, indices: Sequence[int], round_number: int) -> Request:
        """Find the request of these images, or what it is to be: a round that buys in parts has a file for each."""
        images = tuple(self._images[index] for index in indices)
        for part in count(1):
            name = f"round_{round_number}" if part == 1 else f"round_{round_number}_part_{part}"
            file = folder / f"{name}.csv"
            if not file.exists() or not self._is_about_others(file, indices):
                break
        return Request(file, tuple(indices), images, self._classes)

    def _is_about_others(self, file: Path, indices: Iterable[int]) -> bool:
        """Say whether a file asks, without any doubt, for other images of the pool."""
        places = read_places(file, self._classes)
        size, wanted = len(self._images), set(indices)
        return bool(places) and all(
            index < size and self._images[index] == image and index not in wanted for index, image in places or ()
        )

    def _write(self, request: Request) -> None:
        """Copy the images, then write the table: where there is a table, the request is whole."""
        copies = request.file.with_suffix("")
        try:
            copies.mkdir(parents=True, exist_ok=True)
            for stale in (*copies.glob(".*.part"), *request.file.parent.glob(f".{request.file.name}.*.part")):
                stale.unlink()  # a start was killed while it wrote
            for image in request.images:
                write_atomically(copies / image, _pieces(self._image_folder / image))
            write_atomically(request.file, [request.as_csv()])
        except OSError as error:
            msg = (
                f"Cannot write the request for labels {request.file} and its images: {error.strerror or error}"
                f"{f' ({error.filename})' if error.filename else ''}. Make room, set permissions or put the image "
                "back, then start the same command again; what is charged stays charged, once."
            )
            raise OracleError(msg) from error


def _pieces(file: Path, size: int = 1 << 20) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while piece := stream.read(size):
            yield piece
