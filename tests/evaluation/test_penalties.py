"""What beats what is checked with whole benchmarks in `test_ranking.py`; here are the corners."""

import numpy as np
import pytest

from dpc_lightning.evaluation.arm_table import tabulate
from dpc_lightning.evaluation.cases import Case
from dpc_lightning.evaluation.penalties import beaten

LOW, HIGH = Case("default", 50, None, "b0"), Case("default", 100, None, "b0")
CLEAR = {"badge": {1: 0.51, 2: 0.63, 3: 0.72}, "random": {1: 0.40, 2: 0.50, 3: 0.61}}


def test_a_budget_that_was_not_measured_does_not_count() -> None:
    unclear = {"badge": {1: 0.9, 2: 0.1, 3: 0.2}, "random": {1: 0.40, 2: 0.50, 3: 0.61}}
    assert beaten(tabulate({LOW: CLEAR, HIGH: unclear}), [0, 1]).matrix == ((0.0, 0.5), (0.0, 0.0))
    short = {"badge": {1: 0.9}, "random": {1: 0.40, 2: 0.50}}
    assert beaten(tabulate({LOW: CLEAR, HIGH: short}), [0, 1]).matrix == ((0.0, 1.0), (0.0, 0.0))


def test_every_pipeline_is_worth_one() -> None:
    other = Case("default", 100, None, "b4")
    found = beaten(tabulate({HIGH: CLEAR, other: CLEAR}), [1, 0])
    assert found.arms == ("random", "badge")
    assert found.matrix == ((0.0, 0.0), (2.0, 0.0))
    assert found.most == ((0, 2), (2, 0))
    assert found.column_means == {"random": 2.0, "badge": 0.0}


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_differences_that_are_all_alike_show_nothing(gap: float) -> None:
    scores = {"badge": {seed: 0.1 * seed + gap for seed in range(5)}, "random": {seed: 0.1 * seed for seed in range(5)}}
    assert np.sum(beaten(tabulate({LOW: scores}), [0, 1]).matrix) == 0
