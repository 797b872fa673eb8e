"""BALD against mutual information written out."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from scipy.special import entr, expit

from dpc_lightning.acquisition import Bald, Head
from dpc_lightning.acquisition.bald import entropy_of_pair, mutual_information
from dpc_lightning.acquisition.head_dropout import HeadDropout
from tests.acquisition.pools import pool_of, random_pool


def test_is_the_entropy_of_the_mean_less_the_mean_entropy() -> None:
    logits = 2 * np.random.default_rng(0).standard_normal((5, 13, 40))
    p = expit(logits)
    mean = p.mean(axis=1)
    expected = (entr(mean) + entr(1 - mean) - (entr(p) + entr(1 - p)).mean(axis=1)).sum(axis=0)
    np.testing.assert_allclose(mutual_information(logits), expected, atol=1e-13)


def test_is_the_divergence_of_the_joint_of_label_and_draw_from_the_product_of_their_chances() -> None:
    logits = np.random.default_rng(1).standard_normal((1, 4, 1))
    p = expit(logits[0, :, 0])
    total = 0.0
    for answer in (p, 1 - p):
        for chance in answer:
            joint = chance / 4
            total += joint * np.log(joint / (answer.mean() / 4))
    assert mutual_information(logits)[0] == pytest.approx(total, abs=1e-14)


def test_is_exact_where_probabilities_are_rounded_to_0_or_1() -> None:
    """Logits around ±50: `p` is 1 in float64; against 60 digits."""
    getcontext().prec = 60
    logits = np.array([49.0, 50.0, 55.0])

    def entropy(p: Decimal) -> Decimal:
        return -p * p.ln() - (1 - p) * (1 - p).ln()

    p = [1 / (1 + Decimal(-float(z)).exp()) for z in logits]
    expected = float(entropy(sum(p, Decimal(0)) / 3) - sum(map(entropy, p), Decimal(0)) / 3)
    assert 0 < expected < 1e-20
    assert mutual_information(logits[None, :, None])[0] == pytest.approx(expected, rel=1e-9)
    assert mutual_information(-logits[None, :, None])[0] == pytest.approx(expected, rel=1e-9)


def test_stays_within_its_bounds_on_extremes() -> None:
    logits = np.random.default_rng(0).choice([-1e4, -40.0, 0.0, 40.0, 1e4], (3, 8, 2_000))
    scores = mutual_information(logits)
    assert (scores >= 0).all()
    assert (scores <= 3 * np.log(2) + 1e-12).all()
    assert (mutual_information(np.repeat(logits[:, :1], 8, axis=1)) <= 1e-15).all(), "draws that agree tell nothing"
    assert entropy_of_pair(np.zeros(1))[0] == 0


def test_picks_are_the_largest_and_ties_go_to_the_smaller_row() -> None:
    pool = random_pool(5_000, classes=3, width=6)
    twins = pool_of(np.tile(pool.logits[:700], (8, 1)), np.tile(pool.embeddings[:700], (8, 1)))
    selection = Bald(samples=200).select(twins, 64, np.random.default_rng(4))
    assert twins.head is not None
    draws = HeadDropout.draw(twins.head, 200, 0.3, np.random.default_rng(4))
    scores = mutual_information(draws.logits(pool.embeddings[:700]))
    kinds = selection.indices % 700
    assert kinds[::8].tolist() == np.argsort(-scores, kind="stable")[:8].tolist()
    assert (np.diff(selection.indices.reshape(8, 8), axis=1) == 700).all(), "copies are ties, the smaller index first"
    np.testing.assert_allclose(selection.scores, np.repeat(scores[kinds[::8]], 8), rtol=1e-6)


def test_noise_that_all_draws_see_alike_is_not_bought() -> None:
    """Image 0 is at p = 1/2 in every draw; the draws contradict each other on image 1."""
    head = Head(np.array([[10.0, -10.0]], dtype=np.float32), np.zeros(1, dtype=np.float32))
    embeddings = np.array([[0.0, 0.0], [1.0, 1.0]], dtype=np.float32)
    pool = pool_of(np.zeros((2, 1), dtype=np.float32), embeddings, head=head)
    selection = Bald(samples=50, rate=0.5).select(pool, 2, np.random.default_rng(0))
    assert selection.indices.tolist() == [1, 0]
    assert selection.scores[1] == 0
