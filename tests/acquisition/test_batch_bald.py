"""BatchBALD against the joint entropy over all answers."""

from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray

from dpc_lightning.acquisition import Bald, BatchBald, PoolView, batch_bald
from dpc_lightning.acquisition.bald import mutual_information
from dpc_lightning.acquisition.batch_bald import ANSWERS, JointInformation
from dpc_lightning.acquisition.head_dropout import HeadDropout
from dpc_lightning.acquisition.probability import sigmoid
from tests.acquisition.pools import pool_of, random_pool, with_rows

Doubles = NDArray[np.float64]


def joint_information(p: Doubles) -> float:
    """By definition, of `(C, T, n)`: the entropy of all 2^n answers, less the mean of the entropies for each draw."""
    total = 0.0
    for of_class in p:
        for answer in product((0, 1), repeat=of_class.shape[1]):
            chances = np.prod(np.where(answer, of_class, 1 - of_class), axis=1)
            mean = chances.mean()
            if mean > 0:
                total -= mean * np.log(mean)
            known = chances[chances > 0]
            total += (known * np.log(known)).sum() / len(chances)
    return total


def probabilities(pool: PoolView, samples: int, seed: int) -> Doubles:
    assert pool.head is not None
    return sigmoid(HeadDropout.draw(pool.head, samples, 0.3, np.random.default_rng(seed)).logits(pool.embeddings))


def random_chances(images: int, seed: int, draws: int = 6, classes: int = 3) -> Doubles:
    return sigmoid(3 * np.random.default_rng(seed).standard_normal((classes, draws, images)))


@pytest.mark.parametrize("seed", range(4))
def test_gains_add_up_to_the_joint_information(seed: int) -> None:
    p = random_chances(6, seed)
    joint = JointInformation(p, np.random.default_rng(0))
    before = 0.0
    for size in range(6):
        for image in range(size, 6):
            expected = joint_information(p[:, :, [*range(size), image]]) - before
            assert joint.gains(np.array([image]))[0] == pytest.approx(expected, abs=2e-6)
        before = joint_information(p[:, :, : size + 1])
        joint.observe(p[:, :, size])


def test_draws_that_are_sure_are_no_trouble() -> None:
    p = np.random.default_rng(0).choice([0.0, 1.0, 0.5], (2, 5, 6))
    joint = JointInformation(p, np.random.default_rng(0))
    for image in range(5):
        joint.observe(p[:, :, image])
    expected = joint_information(p) - joint_information(p[:, :, :5])
    assert joint.gains(np.array([5]))[0] == pytest.approx(expected, abs=2e-6)


def test_the_first_gain_is_bald() -> None:
    logits = np.random.default_rng(0).standard_normal((3, 20, 50))
    joint = JointInformation(sigmoid(logits), np.random.default_rng(0))
    np.testing.assert_allclose(joint.gains(np.arange(50)), mutual_information(logits), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_picks_are_the_greedy_ones_and_reach_the_bound_of_greedy(seed: int) -> None:
    """Nemhauser, Wolsey and Fisher 1978: at least 1 - 1/e of the best batch, since joint information is submodular."""
    pool = random_pool(12, seed=seed, labelled=0)
    p = probabilities(pool, 8, seed)
    selection = BatchBald(samples=8).select(pool, 5, np.random.default_rng(seed))
    rows = np.searchsorted(pool.indices, selection.indices).tolist()
    for size in range(5):
        others = [row for row in range(12) if row not in rows[:size]]
        best = max(joint_information(p[:, :, [*rows[:size], row]]) for row in others)
        taken = joint_information(p[:, :, rows[: size + 1]])
        assert taken == pytest.approx(best, abs=5e-6)
        assert selection.scores[: size + 1].sum() == pytest.approx(taken, abs=2e-5)
    optimum = max(joint_information(p[:, :, list(rows)]) for rows in combinations(range(12), 3))
    assert joint_information(p[:, :, rows[:3]]) >= (1 - 1 / np.e) * optimum


def eager(pool: PoolView, count: int, samples: int, seed: int) -> list[int]:
    """Every gain anew for every pick."""
    rng = np.random.default_rng(seed)
    assert pool.head is not None
    p = sigmoid(HeadDropout.draw(pool.head, samples, 0.3, rng).logits(pool.embeddings))
    joint = JointInformation(p, rng)
    picks: list[int] = []
    for _ in range(count):
        gains = joint.gains(np.arange(len(pool)))
        gains[picks] = -1
        picks.append(int(gains.argmax()))
        joint.observe(joint.probabilities[:, :, picks[-1]])
    return [int(index) for index in pool.indices[picks]]


@pytest.mark.parametrize("seed", range(3))
def test_lazy_gains_change_no_pick_while_all_answers_are_kept(seed: int) -> None:
    pool = random_pool(400, seed=seed)
    picks = BatchBald(samples=30).select(pool, 10, np.random.default_rng(seed)).indices.tolist()
    assert picks == eager(pool, 10, 30, seed)


@pytest.mark.parametrize("seed", range(3))
def test_sampled_answers_cost_little_information(seed: int) -> None:
    """The lazy picks by sampled answers against eager ones by far more answers, both judged by the latter."""
    pool = random_pool(200, classes=2, seed=seed)
    p = probabilities(pool, 40, seed)
    rows = np.searchsorted(pool.indices, BatchBald(samples=40).select(pool, 25, np.random.default_rng(seed)).indices)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch_bald, "ANSWERS", 16 * ANSWERS)
        reference = np.searchsorted(pool.indices, eager(pool, 14, 40, seed))
        reached = []
        for batch in (rows[:14], reference):
            judge = JointInformation(p, np.random.default_rng(9))
            total = 0.0
            for row in batch:
                total += float(judge.gains(np.array([row]))[0])
                judge.observe(p[:, :, row])
            reached.append(total)
    assert reached[0] >= 0.99 * reached[1]


@pytest.mark.parametrize("seed", range(3))
def test_sampled_gains_are_those_of_all_answers_on_average(seed: int) -> None:
    p = random_chances(13, seed, draws=10, classes=2)
    expected = joint_information(p) - joint_information(p[:, :, :12])
    found = []
    for run in range(20):
        joint = JointInformation(p, np.random.default_rng(run))
        for image in range(12):
            joint.observe(p[:, :, image])
        found.append(joint.gains(np.array([12]))[0])
    assert np.mean(found) == pytest.approx(expected, abs=4 * np.std(found) / np.sqrt(20) + 1e-6)
    assert np.std(found) < 0.2 * expected + 1e-3


def test_a_batch_tells_at_most_log_t_a_class_and_the_rest_goes_by_bald() -> None:
    pool = random_pool(100, classes=2)
    selection = BatchBald(samples=3).select(pool, 100, np.random.default_rng(0))
    assert selection.scores.sum() <= 2 * np.log(3) * 1.001
    first = int((selection.scores > 0).sum())
    assert 0 < first < 100
    rest = np.searchsorted(pool.indices, selection.indices[first:])
    assert pool.head is not None
    draws = HeadDropout.draw(pool.head, 3, 0.3, np.random.default_rng(0))
    single = mutual_information(draws.logits(pool.embeddings[rest]))
    assert (np.diff(single) <= 0).all()


def test_duplicates_of_a_pick_are_left() -> None:
    """Each image three times, and every draw is sure, so that the label of a copy is known. BALD takes all three."""
    base = random_pool(30, seed=2)
    pool = pool_of(np.tile(base.logits, (3, 1)), np.tile(300 * base.embeddings, (3, 1)))
    assert len(set((Bald(samples=60).select(pool, 6, np.random.default_rng(0)).indices % 30).tolist())) == 2
    picks = BatchBald(samples=60).select(pool, 5, np.random.default_rng(0)).indices
    assert len(set((picks % 30).tolist())) == 5
    assert picks.max() < 30, "a copy was preferred to the first of its kind"


def test_what_was_chosen_in_this_round_counts_as_in_the_batch() -> None:
    pool = random_pool(40, seed=1)
    rule = BatchBald(samples=50)
    picks = rule.select(pool, 4, np.random.default_rng(0)).indices
    rows = np.searchsorted(pool.indices, picks)
    left = np.delete(np.arange(40), rows[:2])
    rest = pool.with_chosen(rows[:2]).subset(left)
    assert rule.select(rest, 2, np.random.default_rng(0)).indices.tolist() == picks[2:].tolist()


@pytest.mark.parametrize("count", [1, 5, 30, 90])
def test_peer_defect_7_batches_have_the_size_asked_for(count: int) -> None:
    pool = random_pool(90)
    for candidates in (1, 2_000):
        rule = BatchBald(samples=4, candidates=candidates)
        picks = rule.select(pool, count, np.random.default_rng(0)).indices
        assert len(np.unique(picks)) == count
        shuffled = with_rows(pool, np.random.default_rng(1).permutation(90))
        assert rule.select(shuffled, count, np.random.default_rng(0)).indices.tolist() == picks.tolist()
