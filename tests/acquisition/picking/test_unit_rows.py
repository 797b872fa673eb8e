"""Unit rows: exact inner products, rows without a direction, broken input."""

import numpy as np
import pytest

from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.errors import AcquisitionError


def test_inner_products_are_exact_in_any_order() -> None:
    rng = np.random.default_rng(0)
    rows = UnitRows(rng.standard_normal((300, 515)).astype(np.float32), np.zeros((0, 515), np.float32))
    unit = rows.read(np.arange(300))
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    gram = unit @ unit.T
    order = rng.permutation(515)
    assert (gram == unit[:, order] @ unit[:, order].T).all()
    assert (gram == np.einsum("id,jd->ij", unit, unit)).all()
    assert (gram[:, 7] == unit @ unit[7]).all()
    assert (rows.read(np.array([299, 3])) == unit[[299, 3]]).all()


def test_rows_without_a_direction_are_zero() -> None:
    embeddings = np.full((5, 3), 0.1, dtype=np.float32)
    assert not UnitRows(embeddings, embeddings[:2]).read(np.arange(5)).any()
    assert not UnitRows(np.zeros((5, 3), np.float32), embeddings[:0]).read(np.arange(5)).any()


def test_broken_labelled_embeddings_are_named() -> None:
    pool = np.ones((3, 2), dtype=np.float32)
    with pytest.raises(AcquisitionError, match="row 1 has NaN"):
        UnitRows(pool, np.array([[0, 0], [np.nan, 0]], dtype=np.float32))
    with pytest.raises(AcquisitionError, match="of 2 columns, but got 3"):
        UnitRows(pool, np.zeros((1, 3), dtype=np.float32))
