"""The contract of an acquisition: what it is given and what it must return."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from dpc_lightning.acquisition.pool_view import FloatArray, IntArray, LabelArray, Need, PoolView
from dpc_lightning.errors import AcquisitionError

__all__ = ["Acquisition", "FloatArray", "IntArray", "LabelArray", "Need", "PoolView", "Selection"]


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

    A subclass says what it `needs` and costs, and implements `_pick`. `select` checks what goes in and what comes out,
    so that no rule can return a wrong number of picks, a repeated one, or one that is not in the pool.

    Picks are deterministic for a given generator, never mutate the pool, and break ties by the smaller image index.

    Attributes:
        needs: what must be computed for it. A rule that is made of others needs what they need.
        stochastic: whether another generator gives other picks.
        time: operations, in N (pool), L (labelled), B (picks), C (classes), D (columns of the embeddings).
        memory: bytes beside the pool, in the same letters.
        members: models that the rule wants to hear at most, the current one and those of the phases before it.
        largest_pool: images from which on the rule refuses, because its cost grows faster than the pool; None for a
            rule that is fit for any.
    """

    needs: frozenset[Need] = frozenset()
    stochastic: bool = False
    time: str = ""
    memory: str = ""
    members: int = 1
    largest_pool: int | None = None

    def rows_to_score(self, images: int, count: int, rng: np.random.Generator) -> IntArray | None:  # noqa: ARG002
        """Say before scoring which images are to be scored, if not all.

        A rule that looks at a part of the pool only, whatever the model says, spares the scoring of the rest.

        Args:
            images: size N of the pool.
            count: how many images will be asked for.
            rng: the only source of randomness; another one than `select` gets.

        Returns:
            At least `count` distinct rows of the pool in increasing order of image index, 0 to N - 1; None for all. The
            pool that `select` is given holds only these.
        """
        return None

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

    def check_pool(self, images: int, count: int = 1) -> None:  # noqa: ARG002  what is kept for others may depend on it
        """Say before anything is computed whether a pool of so many images is too large for the rule.

        Args:
            images: size of the pool.
            count: how many images will be asked for.

        Raises:
            AcquisitionError: if it is.
        """
        if self.largest_pool is not None and images > self.largest_pool:
            name, most = type(self).__name__, self.largest_pool
            msg = (
                f"{name} takes {self.time} and {self.memory}: expected a pool of at most {most} images, but got "
                f"{images}. Let another rule choose the candidates:\n"
                "  acquisition: {class_path: Cascade, init_args: "
                f"{{first: MeanEntropy, candidates: {most}, then: {name}}}}}"
            )
            raise AcquisitionError(msg)

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
        self.check_pool(len(pool))
        count = min(count, len(pool))
        if count == 0:
            return Selection(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32))
        for need in self.needs:
            if not pool.has(need):
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
    return pool.subset(np.argsort(pool.indices, kind="stable"))
