"""Set a part of the training images aside for validation: seeded, stratified by class, whole groups only.

The rule is iterative stratification (K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the stratification of multi-label
data", ECML PKDD 2011, algorithm 1), applied to groups instead of single images. Groups are coarse, so single groups are
then moved as long as that brings the shares nearer to the fraction, and a repair gives each class a positive on both
sides.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.errors import DataError

__all__ = ["split_validation"]

IntArray = NDArray[np.int64]
TRAIN, VALIDATION = 0, 1


def split_validation(
    labels: NDArray[np.uint8], groups: Sequence[str] | None, fraction: float, seed: int
) -> tuple[IntArray, IntArray]:
    """Split rows into training and validation.

    Each class with positives in at least two groups gets a positive on both sides, as far as moving one group at a time
    can achieve that without taking it from another class. Both sides get at least one group.

    Args:
        labels: `(N, C)` uint8, 0/1.
        groups: N group names; images of one group stay together. None: each image is a group of its own.
        fraction: share of the images that goes to validation, in (0, 1).
        seed: 0 or more; the same arguments always give the same split.

    Returns:
        Rows of training and rows of validation, each `(n,)` int64 and increasing; together all rows, each once.

    Raises:
        DataError: if `fraction` is not in (0, 1), or there are fewer than two groups.

    Example:
        >>> train, validation = split_validation(np.eye(2, dtype=np.uint8)[[0, 1] * 10], None, 0.2, seed=0)
        >>> len(train), len(validation)
        (16, 4)
    """
    if not 0 < fraction < 1:
        msg = f"Expected `data.validation_fraction` to be above 0 and below 1, but got {fraction}."
        raise DataError(msg)
    unit_of = np.unique(np.asarray(groups), return_inverse=True)[1] if groups is not None else np.arange(len(labels))
    units = int(unit_of.max(initial=-1)) + 1
    if units < 2:
        msg = (
            f"Expected at least two groups of training images to set some aside for validation, but got {units}. "
            "Give a validation/ folder."
        )
        raise DataError(msg)
    table = np.zeros((units, labels.shape[1]), dtype=np.int64)
    np.add.at(table, unit_of, labels.astype(np.int64))
    sizes = np.bincount(unit_of, minlength=units)
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x5E7])))
    side = _stratify(table, sizes, fraction, rng)
    _balance(table, sizes, side, fraction)
    _fill_empty_side(table, sizes, side)
    _repair(table, sizes, side)
    return np.flatnonzero(side[unit_of] == TRAIN), np.flatnonzero(side[unit_of] == VALIDATION)


def _stratify(table: IntArray, sizes: IntArray, fraction: float, rng: np.random.Generator) -> IntArray:
    """Give each unit a side, rarest class first, to the side that still wants most of that class."""
    shares = np.array([1 - fraction, fraction])
    wanted = shares[:, None] * table.sum(axis=0)  # (2, C) positives
    room = shares * sizes.sum()  # (2,) images
    side = np.full(len(table), -1, dtype=np.int64)
    shuffled = rng.permutation(len(table))
    while (side < 0).any():
        open_units = shuffled[side[shuffled] < 0]
        left = table[open_units].sum(axis=0)
        rare = int(np.argmin(np.where(left > 0, left, np.iinfo(np.int64).max))) if left.any() else None
        chosen = open_units if rare is None else open_units[table[open_units, rare] > 0]
        weight = sizes if rare is None else table[:, rare]
        for unit in chosen[np.argsort(-weight[chosen], kind="stable")]:
            wish = room if rare is None else wanted[:, rare]
            tied = bool(np.isclose(wish[TRAIN], wish[VALIDATION]))
            side[unit] = int(np.argmax(room if tied else wish))
            wanted[side[unit]] -= table[unit]
            room[side[unit]] -= sizes[unit]
    return side


def _balance(table: IntArray, sizes: IntArray, side: IntArray, fraction: float) -> None:
    """Move the unit that lowers the squared, relative distance from the wanted counts most, until none does."""
    weights = np.column_stack([table, sizes]).astype(np.float64)  # (U, C + 1): positives of each class, and images
    wanted = fraction * weights.sum(axis=0)
    scale = np.maximum(wanted, 1)
    for _ in range(len(table)):
        excess = weights[side == VALIDATION].sum(axis=0) - wanted
        moved = np.where(side[:, None] == VALIDATION, -weights, weights)
        gain = ((excess**2 - (excess + moved) ** 2) / scale).sum(axis=1)
        best = int(np.argmax(gain))
        if gain[best] <= 1e-9:
            return
        side[best] = 1 - side[best]


def _fill_empty_side(table: IntArray, sizes: IntArray, side: IntArray) -> None:
    for empty in (TRAIN, VALIDATION):
        if not (side == empty).any():
            costs = sizes * 1_000 + table.sum(axis=1)
            side[int(np.argmin(costs))] = empty


def _repair(table: IntArray, sizes: IntArray, side: IntArray) -> None:
    """Move single units to a side that lacks a class, if the other side keeps every class that it has."""
    units_with = (table > 0).sum(axis=0)
    for wanted_side in (VALIDATION, TRAIN):
        for name in np.argsort(units_with, kind="stable"):
            if units_with[name] < 2 or table[side == wanted_side, name].any():
                continue
            givers = np.flatnonzero((side != wanted_side) & (table[:, name] > 0))
            remaining = (table[side != wanted_side] > 0).sum(axis=0) - (table[givers] > 0)
            movable = givers[((remaining > 0) | (table[givers] == 0) | (units_with < 2)).all(axis=1)]
            if len(movable):
                side[movable[np.argmin(sizes[movable])]] = wanted_side
