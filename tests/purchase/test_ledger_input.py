"""What a ledger accepts (what it refuses stands in test_ledger.py)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.errors import InvalidIndexError, LedgerError
from dpc_lightning.purchase.ledger_input import Settings, checked_indices, checked_scores


@given(st.lists(st.integers(-3, 12), max_size=8), st.integers(0, 10), st.sampled_from([list, tuple, np.array]))
def test_accepts_distinct_indices_of_the_pool_and_nothing_else(
    indices: list[int], pool_size: int, kind: type[list[int]]
) -> None:
    given_indices = kind(indices)
    if len(set(indices)) == len(indices) and all(0 <= index < pool_size for index in indices):
        accepted = checked_indices(given_indices, pool_size)
        assert accepted == indices
        assert all(type(index) is int for index in accepted)
    else:
        with pytest.raises(InvalidIndexError):
            checked_indices(given_indices, pool_size)


def test_every_repeated_index_is_named() -> None:
    with pytest.raises(InvalidIndexError, match="repeated: 4, 2$|repeated: 4, 2\\."):
        checked_indices([2, 4, 4, 1, 2], 9)


def test_scores_become_plain_numbers() -> None:
    scores = checked_scores(np.array([1.5, np.nan, np.inf], dtype=np.float32), 3)
    assert scores == [1.5, None, float("inf")]
    assert [str(score) for score in checked_scores([-0.0, 0.0], 2)] == ["0.0", "0.0"]
    with pytest.raises(LedgerError, match=r"shape \(2,\), but got shape \(3,\)"):
        checked_scores([1, 2, 3], 2)


def test_settings_are_recorded_as_json_can_say_them() -> None:
    settings = Settings(np.int64(4), 9, ("dent",))  # type: ignore[arg-type]  # NumPy integers are welcome
    assert settings.recorded() == {"budget": 4, "pool_size": 9, "classes": ["dent"]}
    assert type(settings.recorded()["budget"]) is int
