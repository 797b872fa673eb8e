"""A file of predictions is whole, or it is refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dpc_lightning.errors import ResultsError
from dpc_lightning.kept_predictions import KeptPredictions

LOGITS = np.array([[0.5, -30.0], [2.0, 1.0]], dtype=np.float32)
LABELS = np.array([[1, 0], [0, 1]], dtype=np.uint8)
KEPT = KeptPredictions(LOGITS, LABELS, LOGITS[:1], LABELS[:1], ("scratch", "Delle ä"))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    KEPT.write(tmp_path / "predictions.npz")
    found = KeptPredictions.read(tmp_path / "predictions.npz")
    for name in ("validation_logits", "validation_labels", "test_logits", "test_labels"):
        np.testing.assert_array_equal(getattr(found, name), getattr(KEPT, name), strict=True)
    assert found.classes == KEPT.classes
    assert [file.name for file in tmp_path.iterdir()] == ["predictions.npz"]


def test_what_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    file = tmp_path / "predictions.npz"
    with pytest.raises(ResultsError, match=r"predictions.npz, but they cannot be read: .*No such file"):
        KeptPredictions.read(file)
    KEPT.write(file)
    whole = file.read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2]):
        file.write_bytes(damaged)
        with pytest.raises(ResultsError, match="cannot be read"):
            KeptPredictions.read(file)
    replace(KEPT, test_labels=LABELS).write(file)
    with pytest.raises(ResultsError, match=r"Expected logits and labels \(N, 2\) of validation and test"):
        KeptPredictions.read(file)
