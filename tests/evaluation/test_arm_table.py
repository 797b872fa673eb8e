"""Scores as arrays: rows are the seeds of the study, and what is missing is NaN and said."""

import numpy as np

from dpc_lightning.evaluation.arm_table import gaps_of, shared_seeds, tabulate
from dpc_lightning.evaluation.cases import Case

ONE, OTHER = Case("default", 100, None, "b0"), Case("default", 50, None, "b0")
GROUPED = {ONE: {"hard": {3: 0.5, 1: 0.4}, "badge": {1: 0.7}}, OTHER: {"badge": {1: 0.1, 5: 0.2}}}


def test_rows_are_the_seeds_of_the_study_and_columns_the_arms() -> None:
    table = tabulate(GROUPED)
    assert table.arms == ("badge", "hard")
    assert table.seeds == {"default": (1, 3, 5)}
    assert np.array_equal(table.scores[0], [[0.7, 0.4], [np.nan, 0.5], [np.nan, np.nan]], equal_nan=True)
    assert np.array_equal(table.scores[1], [[0.1, np.nan], [np.nan, np.nan], [0.2, np.nan]], equal_nan=True)


def test_pairs_share_the_seeds_that_both_have() -> None:
    assert shared_seeds(tabulate(GROUPED)).tolist() == [[[0, 1], [1, 0]], [[0, 0], [0, 0]]]


def test_gaps_are_said_of_seeds_that_another_arm_has() -> None:
    seed, arm = gaps_of(tabulate(GROUPED))
    assert seed.startswith("default, 100 labels, judged by b0, arm badge: no score with seed 3; it is compared on")
    assert arm == "default, 50 labels, judged by b0: no score of arm hard; its points stand on the other cases"
