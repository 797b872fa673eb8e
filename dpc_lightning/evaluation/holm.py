"""Holm's correction for several arms that are compared with the same random."""

import numpy as np
from numpy.typing import NDArray
from statsmodels.stats.multitest import multipletests

__all__ = ["holm_corrected", "holm_levels"]


def holm_corrected(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correct p for the number of arms: one is rejected where the corrected p is at most .05.

    Args:
        p: `(m,)` float64, one p for each arm.

    Returns:
        `(m,)` float64, in the order given.

    Example:
        >>> holm_corrected(np.array([0.2, 0.001, 0.04])).round(4).tolist()
        [0.2, 0.003, 0.08]
    """
    if len(p) == 1:  # nothing to correct; the library's call takes a tenth of a second for its garbage collection
        return p
    corrected: NDArray[np.float64] = multipletests(p, method="holm")[1]
    return corrected


def holm_levels(p: NDArray[np.float64], level: float) -> NDArray[np.float64]:
    """Give each arm the confidence at which Holm's procedure looks at it.

    At level .95 the arm with the smallest p of m stands at 1 - .05/m, the next at 1 - .05/(m - 1), and so on up to the
    first that is not rejected; that one and all after it stand at the same level. An interval at this level excludes 0
    exactly where Holm rejects.

    Args:
        p: `(m,)` float64, one p for each arm.
        level: one minus the probability of a false rejection among the arms.

    Returns:
        `(m,)` float64, in the order given.

    Example:
        >>> holm_levels(np.array([0.2, 0.001, 0.04]), 0.95).round(4).tolist()
        [0.975, 0.9833, 0.975]
    """
    order = np.argsort(p, kind="stable")
    shares = (1 - level) / np.arange(len(p), 0, -1)
    kept = np.flatnonzero(p[order] > shares)
    if len(kept):
        shares[kept[0] :] = shares[kept[0]]
    levels = np.empty(len(p))
    levels[order] = 1 - shares
    return levels
