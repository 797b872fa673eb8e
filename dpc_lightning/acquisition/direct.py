"""Pick, class by class, what lies nearest to the place where the owned labels change."""

import numpy as np

from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, LabelArray, Need, PoolView
from dpc_lightning.acquisition.picking.arrays import Doubles

__all__ = ["Direct", "best_cut"]


class Direct(Acquisition):
    """Takes images next to the cut that separates the owned positives of a class best, rare classes first (DIRECT).

    For each class the images stand on a line in the order of their logit. The cut is where the fewest owned labels are
    on the wrong side, positives below or negatives above. Images are then taken from both sides of the cut in turn,
    the nearest first, and the classes take turns, the one with the fewest owned positives first.

    The logit of 1/2 is a bad place to look where a class is rare: the trained model puts almost all positives below
    it. A class without an owned positive has no cut; its most probable images are taken. One without an owned negative
    gives its least probable ones.

    Score: minus the number of images between the pick and the cut. Deterministic. Cost: a sort of each class, O(C N
    log N). Memory: 16 bytes an image and class. Use it where classes are rare and of unequal size; it looks at no
    features, so that near duplicates are bought together: `Cascade` with a rule of variety cures that.

    Source:
        Nuggehalli et al., DIRECT: deep active learning under imbalance and label noise, 2023 (arXiv 2312.09196), one
        class against the rest. Its batches are small, and the cut is found anew with each; here the cut stays during a
        round, and sigmoid classes take turns.
    """

    needs: frozenset[Need] = frozenset({"logits", "labelled_logits"})
    time: str = "O(C N log N)"
    memory: str = "16 C bytes an image"

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:  # noqa: ARG002
        assert pool.labelled_logits is not None  # `needs` names it
        classes = pool.logits.shape[1]
        turns = np.argsort(pool.labelled_labels.sum(axis=0, dtype=np.int64), kind="stable")
        lines = [_around(pool.logits[:, k], pool.labelled_logits[:, k], pool.labelled_labels[:, k]) for k in turns]
        taken = np.zeros(len(pool), dtype=np.bool_)
        place = [0] * classes
        picked: list[int] = []
        scores: list[float] = []
        while len(picked) < count:
            for number, (order, away) in enumerate(lines):
                at = place[number]
                while taken[order[at]]:
                    at += 1
                taken[order[at]] = True
                picked.append(int(order[at]))
                scores.append(-float(away[at]))
                place[number] = at + 1
                if len(picked) == count:
                    break
        return np.array(picked, dtype=np.int64), np.array(scores, dtype=np.float32)


def _around(logits: FloatArray, owned: FloatArray, labels: LabelArray) -> tuple[IntArray, Doubles]:
    """Order the images of a class by their distance in places from the cut, from both sides in turn.

    Returns:
        `(N,)` rows, and the places between each and the cut.
    """
    wide = logits.astype(np.float64)
    over = np.flatnonzero(wide > best_cut(owned, labels))
    under = np.setdiff1d(np.arange(len(wide)), over, assume_unique=True)
    over = over[np.argsort(wide[over], kind="stable")]
    under = under[np.argsort(-wide[under], kind="stable")]
    away = np.concatenate([np.arange(len(over)), np.arange(len(under))]).astype(np.float64)
    nearest = np.argsort(away, kind="stable")  # of equal distances the one above the cut
    return np.concatenate([over, under])[nearest], away[nearest]


def best_cut(logits: FloatArray, labels: LabelArray) -> float:
    """Find the logit at which the fewest labels are on the wrong side: positives at or below, negatives above.

    Args:
        logits: `(L,)`.
        labels: `(L,)` uint8.

    Returns:
        The middle between two neighbouring logits. Of equal cuts the one in the middle of them. Infinity without a
        positive, minus infinity without a negative, 0 without a label.

    Example:
        >>> best_cut(np.array([-2.0, -1.0, 0.0, 3.0], dtype=np.float32), np.array([0, 1, 0, 1], dtype=np.uint8))
        1.5
    """
    if not len(labels):
        return 0.0
    if not labels.any():
        return np.inf
    if labels.all():
        return -np.inf
    order = np.argsort(logits, kind="stable")
    rising, positive = logits[order].astype(np.float64), labels[order].astype(np.int64)
    below = np.concatenate([[0], np.cumsum(positive)])  # positives among the first so many, which a cut puts below
    above = (1 - positive).sum() - np.concatenate([[0], np.cumsum(1 - positive)])
    wrong = (below + above).astype(np.float64)
    inside = np.concatenate([[True], rising[1:] > rising[:-1], [True]])  # no cut between equal logits
    wrong[~inside] = np.inf
    best = np.flatnonzero(wrong == wrong.min())
    at = int(best[len(best) // 2])
    if at == 0:
        return float(np.nextafter(np.float32(rising[0]), np.float32(-np.inf)))
    return float(rising[-1] if at == len(rising) else (rising[at - 1] + rising[at]) / 2)
