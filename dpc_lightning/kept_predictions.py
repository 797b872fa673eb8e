"""What a network said about the validation and test sets, kept in one file."""

import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.atomic import write_atomically
from dpc_lightning.errors import ResultsError

__all__ = ["PREDICTIONS", "KeptPredictions"]

PREDICTIONS = "predictions.npz"
"""Name of the file in a run's folder."""


@dataclass(frozen=True)
class KeptPredictions:
    """Logits and labels of the validation and the test set.

    Attributes:
        validation_logits: `(N, C)` float32.
        validation_labels: `(N, C)` uint8, 0/1.
        test_logits: `(M, C)` float32.
        test_labels: `(M, C)` uint8, 0/1.
        classes: C names.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> logits, labels = np.float32([[0.5], [-2.0]]), np.uint8([[1], [0]])
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "predictions.npz"
        ...     KeptPredictions(logits, labels, logits, labels, ("scratch",)).write(file)
        ...     KeptPredictions.read(file).test_logits.tolist()
        [[0.5], [-2.0]]
    """

    validation_logits: NDArray[np.float32]
    validation_labels: NDArray[np.uint8]
    test_logits: NDArray[np.float32]
    test_labels: NDArray[np.uint8]
    classes: tuple[str, ...]

    def write(self, file: Path) -> None:
        """Write all as an `.npz` of numpy, whole or not at all.

        Args:
            file: where to; replaced at once.

        Raises:
            OSError: if it cannot be written.
        """
        content = io.BytesIO()
        np.savez(
            content,
            validation_logits=self.validation_logits,
            validation_labels=self.validation_labels,
            test_logits=self.test_logits,
            test_labels=self.test_labels,
            classes=np.array(self.classes, dtype=np.str_),
        )
        write_atomically(file, [content.getbuffer()])

    @classmethod
    def read(cls, file: Path) -> "KeptPredictions":
        """Read what `write` wrote.

        Args:
            file: the file.

        Raises:
            ResultsError: if it is missing, damaged, or its shapes do not fit.
        """
        try:
            with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as content:
                found = {each.name: content[each.name] for each in fields(cls)}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            msg = f"Expected predictions in {file}, but they cannot be read: {error}"
            raise ResultsError(msg) from error
        names = tuple(str(name) for name in found.pop("classes"))
        shapes = [found[f"{split}_{what}"].shape for split in ("validation", "test") for what in ("logits", "labels")]
        if shapes[0] != shapes[1] or shapes[2] != shapes[3] or any(shape[1:] != (len(names),) for shape in shapes):
            msg = f"Expected logits and labels (N, {len(names)}) of validation and test in {file}, but got {shapes}."
            raise ResultsError(msg)
        return cls(**found, classes=names)
