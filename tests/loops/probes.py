"""Rules and oracles that misbehave; runs name them in YAML by their class path."""

from collections.abc import Sequence
from typing import ClassVar, cast

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView, Selection
from dpc_lightning.errors import LabelsPendingError

CLASSES = 6


class Honest(Acquisition):
    """Picks the first images of the pool; remembers what it was given."""

    needs: frozenset[Need] = frozenset()
    given: ClassVar[list[PoolView]] = []

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        self.given.append(pool)
        return np.arange(count), np.zeros(count, np.float32)


class Wanting(Honest):
    """Asks for what its argument names."""

    def __init__(self, wants: list[str]) -> None:
        self.needs = frozenset(wants)  # type: ignore[arg-type]  # an instance may need other things


class Fussy(Honest):
    """Wants the images scored that its argument names: `third`, `none`, or a list that is wrong."""

    needs: frozenset[Need] = frozenset({"logits"})

    def __init__(self, wants: str) -> None:
        self.wants = wants

    def rows_to_score(self, images: int, count: int, rng: np.random.Generator) -> IntArray | None:
        if self.wants == "third":
            return np.arange(0, images, 3)
        if self.wants == "chance":
            return np.sort(rng.choice(images, 20, replace=False))
        wrong = {"few": [0, 1], "twice": [0] * 20, "beyond": [*range(20), images], "falling": [*range(20, 0, -1)]}
        return None if self.wants == "all" else np.array(wrong[self.wants])


class Vandal(Honest):
    """Writes into everything that it is given."""

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        for array in (pool.labelled_labels, pool.f1, pool.thresholds, pool.prevalence):
            array[...] = 0
        return super()._pick(pool, count, rng)


class Garbage(Honest):
    """Overrides `select`, and returns something wrong."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def select(self, pool: PoolView, count: int, rng: np.random.Generator) -> Selection:
        indices, scores = pool.indices[:count], np.zeros(count, np.float32)
        replies: dict[str, object] = {
            "too few": Selection(indices[1:], scores[1:]),
            "twice": Selection(np.array([indices[1], *indices[1:]]), scores),
            "foreign": Selection(np.array([*indices[:-1], 10**6]), scores),
            "list": indices.tolist(),
        }
        return cast("Selection", replies[self.kind])


class Service:
    """A labelling service for `CallableOracle`: fails, or is late, as often as it is told to."""

    failures = 0
    pending = 0
    asked: ClassVar[list[list[int]]] = []

    @classmethod
    def reset(cls, *, failures: int = 0, pending: int = 0) -> None:
        cls.failures, cls.pending = failures, pending
        cls.asked.clear()


def label(indices: list[int]) -> Sequence[Sequence[int]]:
    """Answer with the last bits of the index."""
    Service.asked.append(list(indices))
    if Service.failures:
        Service.failures -= 1
        msg = "the service is down"
        raise ConnectionError(msg)
    if Service.pending:
        Service.pending -= 1
        msg = "12 labels are with the experts: start the same command again when they have answered."
        raise LabelsPendingError(msg)
    return [[index >> bit & 1 for bit in range(CLASSES)] for index in indices]


class Hearing(Honest):
    """Hears the models of three phases."""

    needs: frozenset[Need] = frozenset({"logits", "committee_logits"})
    members = 3
