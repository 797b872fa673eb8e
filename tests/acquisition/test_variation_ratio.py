"""Variation ratios counted vote by vote."""

from collections import Counter

import numpy as np
import pytest

from dpc_lightning.acquisition import PoolView, VariationRatio
from dpc_lightning.acquisition.bald import mutual_information
from dpc_lightning.acquisition.head_dropout import HeadDropout
from dpc_lightning.acquisition.probability import sigmoid
from tests.acquisition.pools import random_pool


def ratios(pool: PoolView, samples: int, seed: int) -> list[float]:
    assert pool.head is not None
    draws = HeadDropout.draw(pool.head, samples, 0.3, np.random.default_rng(seed)).logits(pool.embeddings)
    found = []
    for image in range(len(pool)):
        of_classes = []
        for k in range(pool.num_classes):
            labels = [bool(sigmoid(z[None])[0] >= pool.thresholds[k]) for z in draws[k, :, image]]
            of_classes.append(1 - Counter(labels).most_common(1)[0][1] / samples)
        found.append(sum(of_classes) / pool.num_classes)
    return found


@pytest.mark.parametrize("samples", [2, 7])
def test_scores_are_one_less_the_share_of_the_mode_averaged_over_classes(samples: int) -> None:
    pool = random_pool(60)
    pool.thresholds[:] = [0.1, 0.5, 0.6, 0.9]
    selection = VariationRatio(samples=samples).select(pool, 60, np.random.default_rng(3))
    rows = np.searchsorted(pool.indices, selection.indices)
    np.testing.assert_allclose(selection.scores, np.array(ratios(pool, samples, 3))[rows], atol=1e-7)
    assert (np.diff(selection.scores) <= 0).all()


def test_ties_go_to_the_larger_information_then_to_the_smaller_index() -> None:
    pool = random_pool(80)
    selection = VariationRatio(samples=3).select(pool, 80, np.random.default_rng(5))
    rows = np.searchsorted(pool.indices, selection.indices)
    assert pool.head is not None
    draws = HeadDropout.draw(pool.head, 3, 0.3, np.random.default_rng(5))
    information = mutual_information(draws.logits(pool.embeddings))[rows]
    tied = np.diff(selection.scores) == 0
    assert tied.sum() > 60
    assert (np.diff(information)[tied] <= 0).all()
