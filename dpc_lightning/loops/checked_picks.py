"""What a rule returned, checked before anything is written down: a rule is never believed."""

import numpy as np

from dpc_lightning.acquisition.base import PoolView, Selection
from dpc_lightning.errors import AcquisitionError

__all__ = ["checked_picks"]


def checked_picks(selection: object, pool: PoolView, count: int, rule: str) -> Selection:
    """Check that a rule picked as many distinct images of the pool as it was asked for.

    `Acquisition.select` promises it, but a rule of the user's may override that too. A pick list that is once in the
    ledger is replayed for ever, so that a wrong one must not get there.

    Args:
        selection: what the rule returned.
        pool: what it was given.
        count: how many images it was asked for.
        rule: its name, for messages.

    Returns:
        The selection, as `(n,)` int64 and `(n,)` float32.

    Raises:
        AcquisitionError: if it is no selection, or of a wrong number, repeated or foreign images, or has no score for
            each of them.

    Example:
        >>> nothing = np.zeros((3, 0), dtype=np.float32)
        >>> labels = np.zeros((1, 2), dtype=np.uint8)
        >>> pool = PoolView(np.array([4, 7, 9]), nothing, nothing, labels, nothing[:1], np.ones(2), np.ones(2), 5)
        >>> checked_picks(Selection(np.array([9, 4]), np.array([0.5, 0.25])), pool, 2, "Mine").indices.tolist()
        [9, 4]
        >>> checked_picks(Selection(np.array([9, 5]), np.array([0.5, 0.25])), pool, 2, "Mine")
        Traceback (most recent call last):
            ...
        dpc_lightning.errors.AcquisitionError: `purchase.acquisition` Mine picked images that are not in the pool, for \
example 5. This is a defect of the rule: nothing was bought.
    """
    if not isinstance(selection, Selection):
        raise _defect(rule, f"returned a {type(selection).__name__} and no `Selection`")
    indices, scores = np.asarray(selection.indices), np.asarray(selection.scores)
    wanted = min(count, len(pool))
    if indices.shape != (wanted,):
        raise _defect(rule, f"was asked for {wanted} images and returned an array of shape {indices.shape}")
    if wanted and indices.dtype.kind not in "iu":
        raise _defect(rule, f"returned image indices of type {indices.dtype}")
    if len(np.unique(indices)) != wanted:
        raise _defect(rule, "picked an image more than once")
    foreign = indices[~np.isin(indices, pool.indices)]
    if len(foreign):
        raise _defect(rule, f"picked images that are not in the pool, for example {foreign[0]}")
    if scores.shape != (wanted,) or scores.dtype.kind not in "biuf" or np.isinf(scores).any():
        raise _defect(rule, f"has to give a finite score, or NaN, for each of {wanted} images, but gave {scores!r:.80}")
    return Selection(indices.astype(np.int64), scores.astype(np.float32))


def _defect(rule: str, what: str) -> AcquisitionError:
    return AcquisitionError(f"`purchase.acquisition` {rule} {what}. This is a defect of the rule: nothing was bought.")
