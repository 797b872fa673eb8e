"""Who beats whom: the pairwise penalty matrix."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from dpc_lightning.evaluation.arm_table import ArmTable

__all__ = ["Beaten", "beaten"]

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Beaten:
    """The pairwise penalty matrix.

    Attributes:
        arms: names of rows and columns.
        matrix: `matrix[i][j]` grows by 1 / (budgets of the study and pipeline) where arm i beats arm j.
        most: `most[i][j]`, what the entry would be had i beaten j everywhere: in how many pairs of study and pipeline
            the two met.
        column_means: by arm, the mean of its column: how often it is beaten. Lower is better.
    """

    arms: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]
    most: tuple[tuple[int, ...], ...]
    column_means: Mapping[str, float]


def beaten(table: ArmTable, order: list[int]) -> Beaten:
    """Count who beats whom.

    Args:
        table: scores of all cases.
        order: columns of the table in the order that rows and columns shall have.

    Returns:
        The matrix. A pair counts in the budgets in which it has two seeds in common.

    Source:
        Ash et al., Deep batch active learning by diverse, uncertain gradient lower bounds, ICLR 2020.
    """
    count = len(table.arms)
    shown = _shown(table)
    groups = sorted({(case.study, case.pipeline) for case in table.cases})
    wins = {group: np.zeros((count, count)) for group in groups}
    tests = {group: np.zeros((count, count), dtype=np.int64) for group in groups}
    for (number, i, j), sign in shown.items():
        group = table.cases[number].study, table.cases[number].pipeline
        tests[group][[i, j], [j, i]] += 1
        wins[group][(i, j) if sign > 0 else (j, i)] += abs(sign)
    shares = [np.divide(wins[g], tests[g], out=np.zeros((count, count)), where=tests[g] > 0) for g in groups]
    matrix = np.sum(shares, axis=0)[np.ix_(order, order)]
    most = np.sum([tests[g] > 0 for g in groups], axis=0)[np.ix_(order, order)]
    arms = tuple(table.arms[i] for i in order)
    return Beaten(
        arms,
        tuple(tuple(float(entry) for entry in row) for row in matrix),
        tuple(tuple(int(entry) for entry in row) for row in most),
        {arm: float(matrix[:, i].sum() / (count - 1)) for i, arm in enumerate(arms)},
    )


def _shown(table: ArmTable) -> dict[tuple[int, int, int], int]:
    """Test each pair of arms in each case: (case, i, j) -> 1 if i beats j, -1 if it is beaten, 0 if neither is shown.

    Two-sided paired t tests at 5 %, those with equally many seeds in one call. Equal differences show nothing.
    """
    shown: dict[tuple[int, int, int], int] = {}
    waiting: dict[int, list[tuple[tuple[int, int, int], Doubles]]] = {}
    for number, scores in enumerate(table.scores):
        for i, j in combinations(range(len(table.arms)), 2):
            gaps = scores[:, i] - scores[:, j]
            gaps = gaps[np.isfinite(gaps)]
            if len(gaps) >= 2:
                shown[number, i, j] = 0
                if np.ptp(gaps) > 1e-12 * np.abs(gaps).max():
                    waiting.setdefault(len(gaps), []).append(((number, i, j), gaps))
    for pairs in waiting.values():
        test: Any = stats.ttest_1samp(np.stack([gaps for _, gaps in pairs]), 0.0, axis=1)
        for (at, gaps), p in zip(pairs, test.pvalue, strict=True):
            shown[at] = int(np.sign(gaps.mean())) if p < 0.05 else 0
    return shown
