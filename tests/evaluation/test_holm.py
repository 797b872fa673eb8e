"""Holm's levels and corrected p say the same."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.evaluation.holm import holm_corrected, holm_levels


def test_levels_step_down_until_the_first_that_is_not_rejected() -> None:
    assert holm_levels(np.array([0.001, 0.001, 0.001, 0.001]), 0.95) == pytest.approx(
        1 - 0.05 / np.array([4, 3, 2, 1]), 0.95
    )
    assert holm_levels(np.array([0.9, 0.8]), 0.95) == pytest.approx([0.975, 0.975])
    assert holm_levels(np.array([0.04, 0.001, 0.03]), 0.95) == pytest.approx(1 - 0.05 / np.array([2, 3, 2]), 0.95)


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=7))
def test_an_arm_is_rejected_at_its_level_where_its_corrected_p_is_small(values: list[float]) -> None:
    p = np.array(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gc, "collect", lambda *_: 0)  # statsmodels collects garbage at each correction
        corrected = holm_corrected(p)
    edge = np.isclose(corrected, 0.05)
    assert ((p <= 1 - holm_levels(p, 0.95)) | edge).tolist() == ((corrected <= 0.05) | edge).tolist()
    assert (corrected >= p).all()
