"""BatchBALD for several labels an image: the information that the labels of a whole batch have together."""

from typing import Final

import numpy as np

from dpc_lightning.acquisition.bald import entropy_of_pair, mutual_information
from dpc_lightning.acquisition.base import Acquisition, FloatArray, IntArray, Need, PoolView
from dpc_lightning.acquisition.head_dropout import HeadDropout, check_dropout
from dpc_lightning.acquisition.picking.arrays import Doubles
from dpc_lightning.acquisition.probability import sigmoid, top_rows
from dpc_lightning.errors import ConfigError

__all__ = ["BatchBald", "JointInformation"]

ANSWERS: Final = 512
"""Possible answers to a batch that are kept for each class: all of them up to 9 images, so that 10 picks are exact."""

PULL: Final = 64
"""Images whose gain is brought up to date at once."""

NOTHING: Final = 1e-6
"""A gain up to this many nats is rounding and sampling noise."""


class BatchBald(Acquisition):
    """Takes images whose labels together would say most about the weights of the last layer.

    Given the weights, labels of images and of classes are independent; so the joint information of a batch S is

    `Σ_k H(y_Sk) - Σ_(i in S) mean_t H(p_ikt)`

    over T draws t of dropout before the last layer. It is taken greedily: the next image is that of the largest gain
    given those before (and given what another rule has chosen in this round). A near duplicate gains little.

    For the first 10 images the gains are exact, over all 2^9 answers of each class. Later answers are sampled: the
    answers kept are continued by both labels and thinned out to 512 by systematic sampling, which is without bias.
    Exact gains only fall from pick to pick, so out of date ones are bounds and few are computed anew; of sampled ones
    this holds but for noise, and a gain that noise would raise again is not looked at.

    T draws can be told apart by at most log T nats a class. Once the batch does that, further gains are 0, and the rest
    is taken by the information of the single image: `samples` limits how many picks are joint.

    Score: the gain in nats; 0 for what is taken by single images. Stochastic; of equal images the smaller index. Cost:
    that of `Bald`, then at worst O(m ANSWERS T C) a pick among m candidates, in practice a fraction of it. Memory: one
    float64 an image, and 16 T C bytes a candidate. Use it for small batches, tens of images, of pools with duplicates.

    Source:
        Kirsch, van Amersfoort and Gal, BatchBALD: efficient and diverse batch acquisition for deep Bayesian active
        learning, NeurIPS 2019.

    Args:
        samples: draws T.
        rate: share of the embedding's columns that a draw leaves out.
        candidates: images of the largest `Bald` score that are looked at; at least twice the picks are. An image's
            joint gain is at most that score.
    """

    needs: frozenset[Need] = frozenset({"embeddings", "head"})
    stochastic: bool = True
    time: str = "O(N D T C), T draws, and at worst O(512 T C) for each pick and candidate"
    memory: str = "8 bytes an image and 16 T C bytes a candidate"

    def __init__(self, samples: int = 100, rate: float = 0.3, candidates: int = 2_000) -> None:
        check_dropout(samples, rate)
        if not candidates >= 1:
            msg = f"Expected `init_args.candidates` in 1 …, but got {candidates}."
            raise ConfigError(msg)
        self.samples = samples
        self.rate = rate
        self.candidates = candidates

    def _pick(self, pool: PoolView, count: int, rng: np.random.Generator) -> tuple[IntArray, FloatArray]:
        assert pool.head is not None
        draws = HeadDropout.draw(pool.head, self.samples, self.rate, rng)
        single = np.empty(len(pool))
        for block, logits in draws.blocks(pool.embeddings):
            single[block] = mutual_information(logits)
        candidates = np.sort(top_rows(single, min(len(pool), max(self.candidates, 2 * count))))
        joint = JointInformation(sigmoid(draws.logits(pool.embeddings[candidates])), rng)
        if pool.chosen_embeddings is not None and len(pool.chosen_embeddings):
            for probabilities in np.moveaxis(sigmoid(draws.logits(pool.chosen_embeddings)), 2, 0):
                joint.observe(probabilities)
        picks, gains = _greedy(joint, single[candidates], count)
        return candidates[picks], gains.astype(np.float32)


def _greedy(joint: "JointInformation", single: Doubles, count: int) -> tuple[IntArray, Doubles]:
    """Take the largest gain again and again; bring only the largest of the gains that are out of date up to date."""
    bound, current = single + NOTHING, np.full(len(single), -1)
    picks: list[int] = []
    gains = np.zeros(count)
    while len(picks) < count:
        best = int(np.argmax(bound))
        if bound[best] <= NOTHING:
            left = np.flatnonzero(np.isfinite(bound))
            more = left[top_rows(single[left], count - len(picks))]
            picks.extend(more.tolist())
        elif current[best] < len(picks):
            largest = np.argpartition(-bound, min(PULL, len(bound)) - 1)[:PULL]
            stale = np.union1d(largest[(current[largest] < len(picks)) & np.isfinite(bound[largest])], best)
            bound[stale] = joint.gains(stale)
            current[stale] = len(picks)
        else:
            gains[len(picks)] = bound[best]
            picks.append(best)
            bound[best] = -np.inf
            joint.observe(joint.probabilities[:, :, best])
    return np.array(picks, dtype=np.int64), gains


class JointInformation:
    """What images would add to the information that the labels of a growing batch have about the draw.

    For each class it keeps R possible answers to the batch, with their weights and with what each would tell: the
    posterior `w_rt` of the draws. The gain of image i is `Σ_r weight_r (H(Σ_t w_rt p_it) - Σ_t w_rt H(p_it))`, summed
    over classes. Posteriors and probabilities are on a grid of 2^-26, so that equal images have equal gains to the last
    bit; a gain is right to about 1e-7.

    Args:
        probabilities: `(C, T, m)` of the images, for each draw.
        rng: samples answers when there are too many.
    """

    def __init__(self, probabilities: Doubles, rng: np.random.Generator) -> None:
        classes, draws, _ = probabilities.shape
        self.probabilities: Doubles = _on_grid(probabilities, 26)
        """`(C, T, m)`."""
        self._entropies = entropy_of_pair(np.minimum(self.probabilities, 1 - self.probabilities))
        self._rng = rng
        self._joint = np.full((classes, 1, draws), 1 / draws)  # weight times posterior

    def gains(self, images: IntArray) -> Doubles:
        """Give the information that single images would add.

        Args:
            images: `(n,)` positions in `probabilities`.

        Returns:
            `(n,)` float64 in nats, at least 0.
        """
        total = np.zeros(len(images))
        for joint, chances, entropies in zip(self._joint, self.probabilities, self._entropies, strict=True):
            weights = joint.sum(axis=1)
            posterior = _posterior(joint, weights)
            yes = np.minimum(posterior @ np.ascontiguousarray(chances[:, images]), 1)
            answers = entropy_of_pair(np.minimum(yes, 1 - yes))
            answers *= weights[:, None]
            noise = entropies[:, images] * (weights @ posterior)[:, None]
            total += _on_grid(answers, 40).sum(axis=0) - _on_grid(noise, 40).sum(axis=0)
        return np.maximum(total, 0)

    def observe(self, probabilities: Doubles) -> None:
        """Put an image into the batch.

        Args:
            probabilities: `(C, T)` of the image.
        """
        yes = probabilities[:, None, :]
        branches = np.concatenate([self._joint * yes, self._joint * (1 - yes)], axis=1)
        if branches.shape[1] <= ANSWERS:
            self._joint = branches
            return
        thinned = np.empty((len(branches), ANSWERS, branches.shape[2]))
        for kept, branch in zip(thinned, branches, strict=True):
            weights = branch.sum(axis=1)
            reached = np.cumsum(weights)
            places = (np.arange(ANSWERS) + self._rng.random()) / ANSWERS * reached[-1]
            rows = np.minimum(np.searchsorted(reached, places, side="right"), np.searchsorted(reached, reached[-1]))
            kept[:] = branch[rows] / weights[rows, None] / ANSWERS
        self._joint = thinned


def _posterior(joint: Doubles, weights: Doubles) -> Doubles:
    """Give `(R, T)` posteriors on the grid, each with a sum of exactly 1 (0 for an answer that cannot be)."""
    posterior = np.divide(joint, weights[:, None], out=np.zeros_like(joint), where=weights[:, None] > 0)
    posterior = _on_grid(posterior, 26)
    rows = np.arange(len(posterior))
    posterior[rows, posterior.argmax(axis=1)] += (weights > 0) - posterior.sum(axis=1)
    return posterior


def _on_grid(values: Doubles, bits: int) -> Doubles:
    return np.asarray(np.rint(values * 2.0**bits) / 2.0**bits, dtype=np.float64)
