"""Cluster-Margin against its steps in plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dpc_lightning.acquisition import ClusterMargin, Margin
from dpc_lightning.acquisition.cluster_margin import round_robin
from dpc_lightning.errors import ConfigError
from tests.acquisition.pools import pool_of, random_pool


def in_turns(cluster: list[int], scores: list[float], count: int) -> list[int]:
    groups = {number: [at for at, other in enumerate(cluster) if other == number] for number in cluster}
    order = sorted(groups.values(), key=lambda group: (len(group), min(group)))
    queues = [sorted(group, key=lambda at: (-scores[at], at)) for group in order]
    taken: list[int] = []
    while len(taken) < count:
        for queue in queues:
            if queue and len(taken) < count:
                taken.append(queue.pop(0))
    return taken


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=30), st.integers(1, 30))
def test_clusters_give_in_turns_the_smallest_first(images: list[tuple[int, int]], count: int) -> None:
    cluster, scores = [number for number, _ in images], [float(score) for _, score in images]
    count = min(count, len(images))
    found = round_robin(np.array(cluster), np.array(scores), count)
    assert found.tolist() == in_turns(cluster, scores, count)


def groups_of(sizes: list[int]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(len(sizes)), sizes)
    directions = 10 * np.eye(len(sizes))
    return (directions[group] + 0.1 * rng.standard_normal((len(group), len(sizes)))).astype(np.float32), group


def test_each_group_of_near_duplicates_gives_one_image_before_any_gives_two() -> None:
    embeddings, group = groups_of([40, 3, 10, 25, 5])
    pool = pool_of(np.zeros((83, 2), np.float32), embeddings)
    rule = ClusterMargin(factor=100, clusters=1.0)
    picked = rule.select(pool, 5, np.random.default_rng(0)).indices
    assert group[picked].tolist() == [1, 4, 2, 3, 0]


def test_only_doubtful_images_are_candidates() -> None:
    pool = random_pool(100, seed=1)
    picked = ClusterMargin(factor=2.0).select(pool, 10, np.random.default_rng(0)).indices
    doubtful = Margin().select(pool, 20, np.random.default_rng(0)).indices
    assert set(picked.tolist()) <= set(doubtful.tolist())


def test_peer_defect_1_picks_are_images_of_the_pool_not_places_among_candidates() -> None:
    logits = np.full((100, 1), 9, np.float32)
    logits[70:80] = 0
    embeddings = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
    picked = ClusterMargin(factor=2.0).select(pool_of(logits, embeddings), 5, np.random.default_rng(0)).indices
    assert ((picked >= 70) & (picked < 80)).all()


def test_more_than_the_most_are_filled_up_with_the_most_doubtful_of_the_others() -> None:
    pool = random_pool(100, seed=1)
    picked = ClusterMargin(most=10).select(pool, 15, np.random.default_rng(0)).indices
    doubtful = Margin().select(pool, 15, np.random.default_rng(0)).indices
    assert set(picked.tolist()) == set(doubtful.tolist())
    assert picked[10:].tolist() == doubtful[10:].tolist()


@pytest.mark.parametrize("wrong", [{"factor": 0.5}, {"factor": float("nan")}, {"clusters": 0.0}, {"most": 0}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"init_args.{next(iter(wrong))}"):
        ClusterMargin(**wrong)  # type: ignore[arg-type]
