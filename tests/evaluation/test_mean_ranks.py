"""Published and scipy's figures are in `test_ranking.py`; here is how blocks are made and groups are drawn."""

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.evaluation.arm_table import tabulate
from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.mean_ranks import mean_ranks


def case(labels: int) -> Case:
    return Case("default", labels, None, "b0")


def test_blocks_are_cases_times_seeds_that_all_arms_have() -> None:
    rng = np.random.default_rng(0)
    scores = rng.random((2, 3, 5))
    grouped = {
        case(100 * (i + 1)): {arm: {s: float(scores[i, k, s]) for s in range(5)} for k, arm in enumerate("abc")}
        for i in range(2)
    }
    del grouped[case(200)]["b"][4]
    blocks = np.concatenate([scores[0].T, scores[1].T[:4]])
    problems: list[str] = []
    found = mean_ranks(tabulate(grouped), problems)
    assert found is not None
    assert found.blocks == 9
    assert (found.statistic, found.p) == pytest.approx(tuple(stats.friedmanchisquare(*blocks.T)))
    assert found.mean == pytest.approx(dict(zip("abc", stats.rankdata(-blocks, axis=1).mean(axis=0), strict=True)))
    assert not problems


def test_a_tie_in_all_blocks_is_no_division_by_zero() -> None:
    problems: list[str] = []
    assert mean_ranks(tabulate({case(100): {arm: {0: 0.3, 1: 0.4} for arm in "abc"}}), problems) is None
    assert problems == ["mean ranks: all arms have the same score in each of 2 blocks, nothing to rank"]
