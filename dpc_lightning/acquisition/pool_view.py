"""What a rule is given: the unbought images, and the labels that are owned."""

from dataclasses import dataclass, field, replace
from typing import Final, Literal, Self

import numpy as np

from dpc_lightning.acquisition.picking.arrays import FloatArray, IntArray, LabelArray
from dpc_lightning.acquisition.picking.half_floats import is_finite
from dpc_lightning.acquisition.picking.in_blocks import in_blocks
from dpc_lightning.errors import AcquisitionError

__all__ = ["FloatArray", "Head", "IntArray", "LabelArray", "Need", "PoolView"]

NUMBERS: Final = 2**21
"""Numbers that are checked at once."""

Need = Literal["logits", "embeddings", "labelled_embeddings", "labelled_logits", "head", "committee_logits"]
"""What scoring can compute for an acquisition: nothing else is computed than what `Acquisition.needs` names."""


@dataclass(frozen=True)
class Head:
    """The last layer of the network: `logits = embeddings @ weight.T + bias`.

    Attributes:
        weight: `(C, D)` float32.
        bias: `(C,)` float32.
    """

    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class PoolView:
    """All that an acquisition may know: the unbought images, and the labels that are owned.

    No label of an unbought image is reachable from it. Rows of `indices`, `logits` and `embeddings` belong together.
    An array that was not asked for by `Acquisition.needs` has zero columns.

    Attributes:
        indices: `(N,)` int64, manifest indices of the unbought images, strictly increasing or not.
        logits: `(N, C)` float32, what the current model says before the sigmoid; `(N, 0)` if not needed.
        embeddings: `(N, D)` float32 or float16, penultimate features, may be memory-mapped; `(N, 0)` if not needed.
        labelled_labels: `(L, C)` uint8, labels owned: the training images and everything bought so far.
        labelled_embeddings: `(L, D)`, features of the same images; `(L, 0)` if not needed.
        f1: `(C,)` float32 in [0, 1], F1 of each class on validation at `thresholds`; NaN where it has no positive.
        thresholds: `(C,)` float32 in (0, 1), decision thresholds tuned on validation.
        budget_left: labels that may still be bought, this round included.
        round: number of the round, from 1.
        bought: how many of the labelled images were bought: the last so many rows, in the order of purchase.
        labelled_logits: `(L, C)` float32; None if not needed.
        head: the network's last layer; None if not needed.
        committee_logits: `(N, K, C)` float32, what the current model and those at the ends of the phases before it say,
            the latest first; None if not needed.
        validation_map: mean average precision of the current model on validation, in [0, 1]; NaN if unknown.
        chosen_embeddings: `(M, D)`, features of images that another rule has chosen in this round already; their labels
            are not known. Empty outside a composition.
        prevalence: `(C,)` float32, share of positives of each class among the labelled images.
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
    labelled_logits: FloatArray | None = None
    head: Head | None = None
    validation_map: float = float("nan")
    chosen_embeddings: FloatArray | None = None
    committee_logits: FloatArray | None = None
    checked: bool = field(default=False, repr=False)
    """Whether its rows are part of a view that was checked already."""
    prevalence: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        """Check shapes and finiteness; derive the prevalence."""
        if not self.checked:
            self._check()
        owned = self.labelled_labels
        share = owned.mean(axis=0, dtype=np.float64) if len(owned) else np.zeros(owned.shape[1])
        object.__setattr__(self, "prevalence", share.astype(np.float32))

    @property
    def owned_embeddings(self) -> FloatArray:
        """Features of all that is not to be bought again: labelled, bought, or chosen in this round, `(L + M, D)`."""
        return self._and_chosen(self.labelled_embeddings)

    @property
    def bought_embeddings(self) -> FloatArray:
        """Features of the images bought, or chosen in this round, `(bought + M, D)`."""
        return self._and_chosen(self.labelled_embeddings[len(self.labelled_embeddings) - self.bought :])

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return int(self.labelled_labels.shape[1])

    def __len__(self) -> int:
        return len(self.indices)

    def has(self, need: Need) -> bool:
        """Say whether something was computed."""
        computed = getattr(self, need)
        return computed is not None and (isinstance(computed, Head) or computed.shape[1] > 0)

    def subset(self, rows: IntArray) -> Self:
        """Give a view of some rows, in the order given. What is not a slice is copied.

        Args:
            rows: `(n,)` distinct positions in this view.

        Returns:
            The same knowledge about fewer images.
        """
        return replace(
            self,
            indices=self.indices[rows],
            logits=self.logits[rows],
            embeddings=self.embeddings[rows],
            committee_logits=None if self.committee_logits is None else self.committee_logits[rows],
            checked=True,
        )

    def with_chosen(self, rows: IntArray) -> Self:
        """Give the same view to a rule that comes after another one.

        Args:
            rows: `(n,)` positions of what the others have chosen, beside what is chosen already. They stay in the pool.

        Returns:
            A view whose `chosen_embeddings` hold the features of these rows too.
        """
        chosen = np.asarray(self.embeddings[rows], dtype=np.float32)
        if self.chosen_embeddings is not None:
            chosen = np.concatenate([self.chosen_embeddings, chosen])
        return replace(self, chosen_embeddings=chosen, checked=True)

    def _and_chosen(self, owned: FloatArray) -> FloatArray:
        if self.chosen_embeddings is None or not len(self.chosen_embeddings):
            return owned
        return np.concatenate([owned, self.chosen_embeddings])

    def _check(self) -> None:
        count = len(self.indices)
        for name, rows in (("logits", self.logits), ("embeddings", self.embeddings)):
            if rows.ndim != 2 or len(rows) != count:
                msg = f"Expected pool `{name}` of shape ({count}, columns), one row an index, but got {rows.shape}."
                raise AcquisitionError(msg)
            if rows.shape[1]:
                _check_finite(name, rows, self.indices)
        self._check_committee()
        if not 0 <= self.bought <= len(self.labelled_labels):
            msg = f"Expected `bought` between 0 and {len(self.labelled_labels)} labelled images, but got {self.bought}."
            raise AcquisitionError(msg)
        for name, owned in (
            ("labelled_embeddings", self.labelled_embeddings),
            ("labelled_logits", self.labelled_logits),
        ):
            if owned is None or not owned.shape[1]:
                continue
            if len(owned) != len(self.labelled_labels):
                msg = f"Expected `{name}` of {len(self.labelled_labels)} labelled images, but got {len(owned)} rows."
                raise AcquisitionError(msg)
            broken = np.flatnonzero(~np.isfinite(owned).all(axis=1))
            if len(broken):
                msg = f"Expected finite `{name}`, but row {broken[0]} has NaN or infinity: the model diverged."
                raise AcquisitionError(msg)
        increasing = bool((self.indices[1:] > self.indices[:-1]).all())
        if not increasing and len(np.unique(self.indices)) != count:  # `unique` takes several times their memory
            msg = "Expected distinct pool indices, but some are repeated."
            raise AcquisitionError(msg)

    def _check_committee(self) -> None:
        if self.committee_logits is None:
            return
        shape, wanted = self.committee_logits.shape, f"({len(self)}, models, {self.num_classes})"
        if len(shape) != 3 or shape[0] != len(self) or shape[2] != self.num_classes:
            msg = f"Expected pool `committee_logits` of shape {wanted}, but got {shape}."
            raise AcquisitionError(msg)
        _check_finite("committee_logits", self.committee_logits, self.indices)


def _check_finite(name: str, rows: FloatArray, indices: IntArray) -> None:
    def broken(part: slice) -> IntArray:
        return indices[part][~is_finite(rows[part]).all(axis=tuple(range(1, rows.ndim)))]

    found = in_blocks(broken, len(rows), max(1, NUMBERS // max(1, rows[:1].size)))
    bad = np.concatenate([*found, indices[:0]])
    if len(bad):
        msg = (
            f"Expected finite pool `{name}`, but {len(bad)} rows hold NaN or infinity, first image index {bad[0]}. "
            "The model has diverged or the image is broken: lower the learning rate or run `data check`."
        )
        raise AcquisitionError(msg)
