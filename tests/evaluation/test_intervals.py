"""The interval is scipy's, and equal values are no division by zero."""

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.evaluation.intervals import mean_with_interval


def test_the_interval_is_of_the_t_distribution() -> None:
    values = [0.012, 0.03, -0.004, 0.02, 0.017]
    found = mean_with_interval(values)
    ends = stats.t.interval(0.95, 4, loc=np.mean(values), scale=stats.sem(values))
    assert found == pytest.approx((5, np.mean(values), *ends))


def test_equal_values_have_themselves_as_interval() -> None:
    assert mean_with_interval([0.1, 0.1, 0.1]) == pytest.approx((3, 0.1, 0.1, 0.1))
    assert mean_with_interval([0.0, 0.0]) == (2, 0.0, 0.0, 0.0)
