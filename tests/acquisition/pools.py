"""Pools for the tests of this room."""

import numpy as np

from dpc_lightning.acquisition import Head, PoolView
from dpc_lightning.acquisition.base import FloatArray, IntArray, LabelArray


def pool_of(
    logits: FloatArray,
    embeddings: FloatArray,
    *,
    indices: IntArray | None = None,
    labels: LabelArray | None = None,
    owned: FloatArray | None = None,
    f1: FloatArray | None = None,
    bought: int = 0,
    labelled_logits: FloatArray | None = None,
    head: Head | None = None,
) -> PoolView:
    """Make a pool whose arrays refuse to be written."""
    classes, width = logits.shape[1], embeddings.shape[1]
    labels = np.zeros((0, classes), dtype=np.uint8) if labels is None else labels
    owned = np.zeros((len(labels), width), dtype=np.float32) if owned is None else owned
    if labelled_logits is None:
        labelled_logits = np.where(labels, 1.5, -2.5).astype(np.float32)  # the model knows its training images
    if head is None:
        sides = np.arange(classes * width).reshape(classes, width)
        head = Head(np.cos(sides).astype(np.float32), np.linspace(-1, 0.5, classes, dtype=np.float32))
    view = PoolView(
        indices=np.arange(len(logits), dtype=np.int64) if indices is None else indices,
        logits=logits,
        embeddings=embeddings,
        labelled_labels=labels,
        labelled_embeddings=owned,
        f1=np.linspace(0.2, 0.9, classes, dtype=np.float32) if f1 is None else f1,
        thresholds=np.full(classes, 0.5, dtype=np.float32),
        budget_left=len(logits),
        bought=bought,
        labelled_logits=labelled_logits,
        head=head,
        validation_map=0.6,
        committee_logits=_members(logits) if classes else None,
    )
    for array in (view.indices, view.logits, view.embeddings, view.labelled_labels, view.labelled_embeddings, view.f1):
        array.setflags(write=False)
    return view


def _members(logits: FloatArray) -> FloatArray:
    """What a committee says: functions of the logits, so that equal images stay equal."""
    members = np.stack([logits, 0.5 * logits + 0.2, 1 - logits], axis=1).astype(np.float32)
    members.setflags(write=False)
    return members


def random_pool(
    rows: int, *, classes: int = 4, width: int = 8, labelled: int = 5, seed: int = 0, bought: int = 0
) -> PoolView:
    """Make a pool of Gaussian logits and embeddings; the first half come in groups of three near duplicates."""
    rng = np.random.default_rng(seed)
    logits = (2 * rng.standard_normal((rows, classes)) - 1).astype(np.float32)
    embeddings = np.maximum(rng.standard_normal((rows, width)) + 0.3, 0).astype(np.float32)
    twins = 3 * (rows // 6)
    origin = np.repeat(np.arange(twins // 3) * 3, 3)
    logits[:twins] = logits[origin] + (0.05 * rng.standard_normal((twins, classes))).astype(np.float32)
    embeddings[:twins] = embeddings[origin] + (0.02 * rng.standard_normal((twins, width))).astype(np.float32)
    return pool_of(
        logits,
        embeddings,
        indices=np.sort(rng.choice(10 * rows, rows, replace=False)),
        labels=(rng.random((labelled, classes)) < 0.4).astype(np.uint8),
        owned=np.maximum(rng.standard_normal((labelled, width)) + 0.3, 0).astype(np.float32),
        bought=bought,
    )


def with_rows(pool: PoolView, order: IntArray) -> PoolView:
    """Give the same images in another order."""
    return pool_of(
        pool.logits[order],
        pool.embeddings[order],
        indices=pool.indices[order],
        labels=pool.labelled_labels.copy(),
        owned=pool.labelled_embeddings.copy(),
        f1=pool.f1.copy(),
        labelled_logits=None if pool.labelled_logits is None else pool.labelled_logits.copy(),
        head=pool.head,
    )
