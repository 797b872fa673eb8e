"""DIRECT against its steps in plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition import Direct
from dpc_lightning.acquisition.direct import best_cut
from tests.acquisition.pools import pool_of


def wrong(logits: list[float], labels: list[int], cut: float) -> int:
    return sum(int((logit > cut) != bool(label)) for logit, label in zip(logits, labels, strict=True))


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 1)), min_size=1, max_size=15))
def test_no_cut_has_fewer_labels_on_the_wrong_side(owned: list[tuple[int, int]]) -> None:
    logits, labels = [float(logit) for logit, _ in owned], [label for _, label in owned]
    cut = best_cut(np.array(logits, np.float32), np.array(labels, np.uint8))
    assert wrong(logits, labels, cut) == min(wrong(logits, labels, at / 2 + 0.25) for at in range(-12, 12))


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 25), classes=st.integers(1, 4), owned=st.integers(0, 9))
def test_classes_take_turns_from_both_sides_of_their_cuts(seed: int, rows: int, classes: int, owned: int) -> None:
    rng = np.random.default_rng(seed)
    logits = rng.integers(-3, 4, (rows, classes)).astype(np.float32)
    owned_logits = rng.integers(-3, 4, (owned, classes)).astype(np.float32)
    labels = rng.integers(0, 2, (owned, classes)).astype(np.uint8)
    pool = pool_of(logits, np.zeros((rows, 1), np.float32), labels=labels, labelled_logits=owned_logits)
    count = int(rng.integers(1, rows + 1))
    expected: list[int] = []
    queues = []
    for k in sorted(range(classes), key=lambda k: (int(labels[:, k].sum()), k)):
        cut = best_cut(owned_logits[:, k], labels[:, k])
        over = sorted((row for row in range(rows) if logits[row, k] > cut), key=lambda row: (logits[row, k], row))
        under = sorted((row for row in range(rows) if logits[row, k] <= cut), key=lambda row: (-logits[row, k], row))
        queue = []
        for place in range(rows):
            queue += [side[place] for side in (over, under) if place < len(side)]
        queues.append(queue)
    while len(expected) < count:
        for queue in queues:
            if len(expected) < count:
                expected.append(next(row for row in queue if row not in expected))
    assert Direct().select(pool, count, rng).indices.tolist() == expected


def test_a_rare_class_that_the_model_puts_below_one_half_gets_its_share() -> None:
    """Positives of the rare class have logits about -2: at 0 there is none, at the cut there are ten."""
    rng = np.random.default_rng(0)
    rare = np.concatenate([rng.uniform(-2.2, -1.8, 10), rng.uniform(-9, -5, 990)])
    logits = np.stack([rng.standard_normal(1_000), rare], axis=1).astype(np.float32)
    owned = np.array([[1.0, -2.0], [-1.0, -6.0], [2.0, -7.0], [-2, -8.0]], dtype=np.float32)
    labels = np.array([[1, 1], [0, 0], [1, 0], [0, 0]], dtype=np.uint8)
    pool = pool_of(logits, np.zeros((1_000, 1), np.float32), labels=labels, labelled_logits=owned)
    picked = Direct().select(pool, 40, rng).indices
    assert (picked < 10).sum() >= 9


@pytest.mark.parametrize(("label", "best"), [(0, 4), (1, 0)])
def test_a_class_of_one_kind_gives_what_is_most_likely_the_other(label: int, best: int) -> None:
    logits = np.arange(5, dtype=np.float32)[:, None]
    owned, labels = np.zeros((3, 1), np.float32), np.full((3, 1), label, np.uint8)
    pool = pool_of(logits, np.zeros((5, 1), np.float32), labels=labels, labelled_logits=owned)
    assert Direct().select(pool, 1, np.random.default_rng(0)).indices.tolist() == [best]
