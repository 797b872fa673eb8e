"""Let a rule look at a part of the pool only."""

from typing import Literal

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, PoolView
from dpc_lightning.acquisition.composed import Composed, check_part
from dpc_lightning.acquisition.picking.neighbours import nearest_rows
from dpc_lightning.acquisition.picking.unit_rows import UnitRows
from dpc_lightning.errors import ConfigError

__all__ = ["Subsample"]


class Subsample(Composed):
    """Lets a rule pick among `size` images of the pool.

    - `by: random` draws them uniformly. They are drawn before the pool is scored, and only they are scored, where it is
      the whole rule or the first stage of a `Cascade`; within other compositions all is scored.
    - `by: neighbours` takes the nearest neighbours of the labelled images, by the cosine of features that are centred
      on the pool: of each as many as it needs for `size` in all. It finds the few images of a rare class in a pool
      where nearly all show nothing.
    - `by: anchors` takes the neighbours of up to `anchors` labelled positives of each class, drawn anew each round, so
      that a rare class has as much to say as a frequent one.

    Neighbours that several images share count once, and what is missing is drawn at random. Without a labelled image
    (for `anchors` without a labelled positive) all are drawn.

    Score: that of the inner rule. Stochastic. Cost: `random` none, else one pass over the pool, O(N L D), and that of
    the inner rule on `size` images. Use it where a pool is too large to be scored, or a rule too dear for all of it.

    Example in YAML:

        acquisition:
          class_path: Subsample
          init_args: {rule: Badge, size: 50000}

    Source:
        Coleman et al., Similarity search for efficient active learning and search of rare concepts, AAAI 2022
        (neighbours); Lesci and Vlachos, AnchorAL, NAACL 2024 (anchors, which that paper chooses by k-means++ or at
        random). `size` in place of a number of neighbours, and the random rest, are own choices.

    Args:
        rule: the rule that picks.
        size: how many images it may look at; as many as are asked for, if these are more.
        by: how they are found.
        anchors: labelled positives of each class whose neighbours are taken.
    """

    time: str = "O(N L D + its rule on `size` images), O(`size`) by random"
    memory: str = "8 bytes an image, the images looked at, and that of its rule"

    def __init__(
        self,
        rule: Acquisition,
        size: int,
        by: Literal["random", "neighbours", "anchors"] = "random",
        anchors: int = 10,
    ) -> None:
        super().__init__({"rule": rule})
        key = "init_args"
        if by not in {"random", "neighbours", "anchors"}:
            msg = f"Expected `{key}.by` to be random, neighbours or anchors, but got {by!r}."
            raise ConfigError(msg)
        for name, value in (("size", size), ("anchors", anchors)):
            if value < 1:
                msg = f"Expected `{key}.{name}` of at least 1, but got {value}."
                raise ConfigError(msg)
        self.rule = rule
        self.size = size
        self.by = by
        self.anchors = anchors
        self.stochastic = True
        if by != "random":
            self.needs |= {"embeddings", "labelled_embeddings"}

    def check_pool(self, images: int, count: int = 1) -> None:
        """Ask the rule about as many images as it will see.

        Raises:
            AcquisitionError: if it refuses.
        """
        check_part("rule", self.rule, min(images, max(self.size, count)), count)

    def rows_to_score(self, images: int, count: int, rng: np.random.Generator) -> IntArray | None:
        """Draw what is to be scored, if neighbours are not asked for: see `Acquisition.rows_to_score`."""
        size = max(self.size, count)
        if self.by != "random" or size >= images:
            return None
        return np.sort(rng.choice(images, size, replace=False)).astype(np.int64)

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        size = max(self.size, count)
        if size >= len(pool):  # also where only the candidates have been scored
            picked = self.rule.select(pool, count, rng)
        else:
            rows = self._rows(pool, size, rng)
            picked = self.rule.select(pool.subset(rows), count, rng)
        return np.searchsorted(pool.indices, picked.indices), picked.scores

    def _rows(self, pool: PoolView, size: int, rng: np.random.Generator) -> IntArray:
        near = self._near(pool, size, rng) if self.by != "random" else np.zeros(0, dtype=np.int64)
        chosen = np.zeros(len(pool), dtype=np.bool_)
        chosen[near] = True
        others = np.flatnonzero(~chosen)
        chosen[rng.choice(others, size - len(near), replace=False)] = True
        return np.flatnonzero(chosen)

    def _near(self, pool: PoolView, size: int, rng: np.random.Generator) -> IntArray:
        """Give at most `size` distinct rows, the first neighbours of all anchors before the second ones."""
        rows = UnitRows(pool.embeddings, pool.labelled_embeddings)
        anchors = rows.owned[self._anchor_rows(pool, rng)]
        if not len(anchors):
            return np.zeros(0, dtype=np.int64)
        found = nearest_rows(rows, anchors, min(len(pool), -(-size // len(anchors)))).T.ravel()
        _, first = np.unique(found, return_index=True)
        return found[np.sort(first)][:size]

    def _anchor_rows(self, pool: PoolView, rng: np.random.Generator) -> IntArray:
        if self.by == "neighbours":
            return np.arange(len(pool.labelled_labels))
        drawn = [np.zeros(0, dtype=np.int64)]
        for column in pool.labelled_labels.T:
            positives = np.flatnonzero(column)
            drawn.append(rng.choice(positives, min(self.anchors, len(positives)), replace=False))
        return np.unique(np.concatenate(drawn))
