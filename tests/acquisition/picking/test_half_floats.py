"""All 65,536 numbers of 16 bits, as NumPy has them."""

import numpy as np
import pytest

from dpc_lightning.acquisition.picking.half_floats import is_finite, widened

EVERY = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)


def test_finite_is_what_numpy_calls_finite() -> None:
    assert (is_finite(EVERY) == np.isfinite(EVERY)).all()
    assert (is_finite(EVERY.T[::3]) == np.isfinite(EVERY.T[::3])).all()
    assert is_finite(np.array([1.0, np.nan, -np.inf], np.float32)).tolist() == [True, False, False]


def test_every_finite_number_is_widened_to_the_last_bit() -> None:
    numbers = EVERY[np.isfinite(EVERY)]
    wide, expected = widened(numbers), numbers.astype(np.float32)
    assert wide.dtype == np.float32
    assert (wide.view(np.uint32) == expected.view(np.uint32)).all()  # zeros of both signs, too


@pytest.mark.parametrize("kind", ["<f2", ">f2", "<f4", "<f8"])
def test_layouts(kind: str) -> None:
    rows = np.arange(24, dtype=kind).reshape(4, 6) / 8
    for some in (rows, rows.T, rows[::2], rows[:, 1:3], rows[[3, 1]], rows[:0]):
        wide = widened(some)
        assert wide.flags.c_contiguous
        assert wide.dtype == np.dtype("=f4")
        assert wide.tolist() == some.tolist()


def test_what_is_read_is_not_written_to() -> None:
    rows = np.array([[1.0, -2.0]], np.float16)
    rows.flags.writeable = False
    widened(rows)[:] = 0
    assert rows.tolist() == [[1.0, -2.0]]
