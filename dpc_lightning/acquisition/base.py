"""The contract of an acquisition: what it is given and what it must return."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.errors import AcquisitionError

__all__ = ["Acquisition", "FloatArray", "IntArray", "LabelArray", "Need", "PoolView", "Selection"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
LabelArray = NDArray[np.uint8]

Need = Literal["logits", "embeddings", "labelled_embeddings"]
"""What scoring can compute for an acquisition: nothing else is computed than what `Acquisition.needs` names."""


def _no_rows(columns: int) -> FloatArray:
    return np.zeros((0, columns), dtype=np.float32)


@dataclass(frozen=True)
class PoolView:
    """All that an acquisition may know: the unbought images, and the labels that are owned.

    No label of an unbought image is reachable from it. Rows of `indices`, `logits` and `embeddings` belong together.
    An array that was not asked for by `Acquisition.needs` has zero columns.

    Attributes:
        indices: `(N,)` int64, manifest indices of the unbought images, strictly increasing or not.
        logits: `(N, C)` float32, what the current model says before the sigmoid; `(N, 0)` if not needed.
        embeddings: `(N, D)` float32 or float16, penultimate features; `(N, 0)` if not needed.
        labelled_labels: `(L, C)` uint8, labels owned: the training images and everything bought so far.
        labelled_embeddings: `(L, D)`, features of the same images; `(L, 0)` if not needed.
        f1: `(C,)` float32 in [0, 1], F1 of each class on validation at `thresholds`; NaN where it has no positive.
        thresholds: `(C,)` float32 in (0, 1), decision thresholds tuned on validation.
        prevalence: `(C,)` float32, share of positives of each class among the labelled images.
        bought: how many of the labelled images were bought: the last so many rows, in the order of purchase.
        budget_left: labels that may still be bought, this round included.
        round: number of the round, from 1.
    """

    indices: IntArray
    logits: FloatArray
    embeddings: FloatArray
    labelled_labels: LabelArray
    labelled_embeddings: FloatArray
    f1: FloatArray
    thresholds: FloatArray
    budget_left: int
    round: int = 1
    bought: int = 0
    prevalence: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        """Check shapes and finiteness; derive the prevalence."""
        count = len(self.indices)
        for name, rows in (("logits", self.logits), ("embeddings", self.embeddings)):
            if rows.ndim != 2 or len(rows) != count:
                msg = f"Expected pool `{name}` of shape ({count}, columns), one row an index, but got {rows.shape}."
                raise AcquisitionError(msg)
            if rows.shape[1]:
                _check_finite(name, rows, self.indices)
        if not 0 <= self.bought <= len(self.labelled_labels):
            msg = f"Expected `bought` between 0 and {len(self.labelled_labels)} labelled images, but got {self.bought}."
            raise AcquisitionError(msg)
        increasing = bool((self.indices[1:] > self.indices[:-1]).all())
        if not increasing and len(np.unique(self.indices)) != count:  # `unique` takes several times their memory
            msg = "Expected distinct pool indices, but some are repeated."
            raise AcquisitionError(msg)
        owned = self.labelled_labels
        share = owned.mean(axis=0, dtype=np.float64) if len(owned) else np.zeros(owned.shape[1])
        object.__setattr__(self, "prevalence", share.astype(np.float32))

    @property
    def bought_embeddings(self) -> FloatArray:
        """Features of the bought images, `(bought, D)`."""
        return self.labelled_embeddings[len(self.labelled_embeddings) - self.bought :]

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return int(self.labelled_labels.shape[1])

    def __len__(self) -> int:
        return len(self.indices)


def _check_finite(name: str, rows: FloatArray, indices: IntArray, block: int = 65_536) -> None:
    for start in range(0, len(rows), block):
        finite = np.isfinite(rows[start : start + block]).all(axis=1)
        if not finite.all():
            bad = indices[start : start + block][~finite]
            msg = (
                f"Expected finite pool `{name}`, but {len(bad)} rows hold NaN or infinity, first image index {bad[0]}. "
                "The model has diverged or the image is broken: lower the learning rate or run `data check`."
            )
            raise AcquisitionError(msg)


@dataclass(frozen=True)
class Selection:
    """What was picked: indices in order of preference, and the score that each had when it was picked.

    Attributes:
        indices: `(n,)` int64, distinct.
        scores: `(n,)` float32, larger is preferred, comparable within one selection only; NaN for a rule without one.
    """

    indices: IntArray
    scores: FloatArray


class Acquisition(ABC):
    """A rule that picks the images to buy.

    A subclass names what it `needs` and implements `_pick`. `select` checks what goes in and what comes out, so that
    no rule can return a wrong number of picks, a repeated one, or one that is not in the pool.

    Picks are deterministic for a given generator, never mutate the pool, and break ties by the smaller image index.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    @abstractmethod
    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        """Pick rows of the pool.

        Args:
            pool: at least `count` images, rows in increasing order of image index.
            count: how many to pick, at least 1.
            rng: the only source of randomness.

        Returns:
            `(count,)` int64 rows of `pool` (positions, not image indices) in order of preference, and their
            `(count,)` float32 scores.
        """

    def select(self, pool: PoolView, count: int, rng: np.random.Generator) -> Selection:
        """Pick `count` images, or all if fewer are left.

        Args:
            pool: the unbought images, in any order.
            count: how many to pick, 0 or more.
            rng: the only source of randomness.

        Returns:
            Exactly `min(count, len(pool))` distinct images in order of preference.

        Raises:
            AcquisitionError: if `count` is negative, if the pool lacks what the rule needs, or if the rule misbehaves.
        """
        name = type(self).__name__
        if count < 0:
            msg = f"Expected `count` of at least 0, but got {count}."
            raise AcquisitionError(msg)
        count = min(count, len(pool))
        if count == 0:
            return Selection(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
        for need in self.needs:
            if getattr(pool, need).shape[1] == 0:
                msg = f"{name} needs the pool's `{need}`, but they were not computed."
                raise AcquisitionError(msg)
        ordered = pool if np.all(np.diff(pool.indices) > 0) else _in_index_order(pool)
        rows, scores = self._pick(ordered, count, rng)
        rows = np.asarray(rows, dtype=np.int64)
        valid = rows.shape == (count,) and len(np.unique(rows)) == count
        if not (valid and rows.min() >= 0 and rows.max() < len(pool)):
            msg = f"{name} returned no {count} distinct rows of a pool of {len(pool)}: this is a defect of the rule."
            raise AcquisitionError(msg)
        return Selection(ordered.indices[rows], np.asarray(scores, dtype=np.float32))


def _in_index_order(pool: PoolView) -> PoolView:
    order = np.argsort(pool.indices, kind="stable")
    return replace(pool, indices=pool.indices[order], logits=pool.logits[order], embeddings=pool.embeddings[order])
