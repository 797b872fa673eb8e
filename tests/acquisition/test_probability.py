"""Probabilities, entropies and the best rows against SciPy and sorting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import entr, expit

from dpc_lightning.acquisition.probability import ROWS, binary_entropy, blocks, sigmoid, sum_over_classes, top_rows


def test_sigmoid_keeps_small_probabilities() -> None:
    logits = np.concatenate([np.linspace(-700, 700, 4001), [-1e4, 1e4]])
    np.testing.assert_allclose(sigmoid(logits), expit(logits), rtol=1e-14)


def test_entropy_agrees_with_scipy_where_p_can_be_told_from_one() -> None:
    logits = np.linspace(-30, 30, 2001)
    expected = entr(expit(logits)) + entr(expit(-logits))
    np.testing.assert_allclose(binary_entropy(logits), expected, atol=5e-16)


def test_entropy_is_finite_symmetric_and_falls_with_the_size_of_the_logit() -> None:
    logits = np.array([0, 1e-8, 1, 40, 1e4, 3e38], dtype=np.float32)
    values = binary_entropy(logits)
    assert np.isfinite(values).all()
    assert (np.diff(values) <= 0).all()
    assert values[0] == pytest.approx(np.log(2), abs=1e-15)
    assert (values == binary_entropy(-logits)).all()


@given(st.lists(st.integers(0, 5), min_size=1, max_size=50), st.data())
def test_top_rows_is_a_stable_sort(values: list[int], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(values)))
    scores = np.array(values, dtype=np.float64)
    expected = sorted(range(len(values)), key=lambda row: (-values[row], row))[:count]
    assert top_rows(scores, count).tolist() == expected


@pytest.mark.parametrize("rows", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS])
def test_blocks_cover_every_row_once(rows: int) -> None:
    covered = np.zeros(rows, dtype=int)
    for block in blocks(rows):
        covered[block] += 1
    assert (covered == 1).all()


def test_sums_of_equal_columns_are_equal_to_the_last_bit() -> None:
    column = np.random.default_rng(0).standard_normal((37, 1))
    alone = sum_over_classes(column)[0]
    assert (sum_over_classes(np.tile(column, (1, 1001))) == alone).all()
