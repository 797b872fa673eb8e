"""Whatever a rule returns: what is let through are distinct images of the pool, as many as were asked for."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.acquisition.base import PoolView, Selection
from dpc_lightning.errors import AcquisitionError
from dpc_lightning.loops.checked_picks import checked_picks


def pool_of(indices: list[int]) -> PoolView:
    nothing = np.zeros((len(indices), 0), np.float32)
    labels, two = np.zeros((1, 2), np.uint8), np.ones(2, np.float32)
    return PoolView(np.array(indices, np.int64), nothing, nothing, labels, nothing[:0], two, two, 9)


@given(
    pool=st.lists(st.integers(0, 30), unique=True, max_size=12),
    picks=st.lists(st.integers(-3, 33), max_size=8),
    count=st.integers(0, 8),
    scores=st.integers(-1, 1),
)
def test_only_a_right_answer_is_let_through(pool: list[int], picks: list[int], count: int, scores: int) -> None:
    given_scores = np.zeros(max(0, len(picks) + scores), np.float32)
    right = (
        len(picks) == min(count, len(pool))
        and len(set(picks)) == len(picks)
        and set(picks) <= set(pool)
        and len(given_scores) == len(picks)
    )
    selection = Selection(np.array(picks, np.int64), given_scores)
    if right:
        assert checked_picks(selection, pool_of(pool), count, "Rule").indices.tolist() == picks
    else:
        with pytest.raises(AcquisitionError, match="`purchase.acquisition` Rule .*defect of the rule: nothing was bou"):
            checked_picks(selection, pool_of(pool), count, "Rule")


@pytest.mark.parametrize(
    ("indices", "scores"),
    [([1.5, 2.0], [0, 0]), ([True, False], [0, 0]), ([[1, 2]], [0, 0]), ([1, 2], ["a", "b"]), ([1, 2], [0, np.inf])],
    ids=str,
)
def test_other_types_and_shapes_are_refused(indices: list[Any], scores: list[Any]) -> None:
    with pytest.raises(AcquisitionError, match="Rule"):
        checked_picks(Selection(np.array(indices), np.array(scores)), pool_of([0, 1, 2]), 2, "Rule")


def test_no_score_is_a_score_and_types_are_made_the_contract_s() -> None:
    checked = checked_picks(Selection(np.array([2, 1], np.uint16), np.array([np.nan, 1])), pool_of([0, 1, 2]), 2, "R")
    assert [str(checked.indices.dtype), str(checked.scores.dtype)] == ["int64", "float32"]
    assert np.isnan(checked.scores[0])
