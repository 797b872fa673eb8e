"""The arithmetic of the planner, against a simulation that takes every second by itself."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpc_lightning.purchase.schedule import (
    MARGIN,
    Costs,
    Workload,
    fit_pretraining,
    fit_rounds,
    purchase_seconds,
    rounds_seconds,
    training_seconds,
)

seconds = st.floats(0.0, 10.0)
costs = st.builds(
    Costs,
    step=st.floats(0.001, 1.0),
    epoch=seconds,
    validation=seconds,
    phase=seconds,
    score=seconds,
    score_image=st.floats(0.0, 0.01),
    pick=st.one_of(st.none(), st.floats(0.0, 1e-5)),
    buy=seconds,
)
works = st.builds(
    lambda owned, pool, labels, batch, pseudo, every: Workload(owned, pool, min(labels, pool), batch, pseudo, every),
    st.integers(1, 500),
    st.integers(0, 3000),
    st.integers(0, 400),
    st.integers(1, 64),
    st.integers(0, 100),
    st.integers(1, 8),
)


def simulated(cost: Costs, work: Workload, round_epochs: Sequence[int]) -> float:
    """Take every step, epoch and image one by one."""
    clock, owned, pool, left = 0.0, work.owned, work.pool, work.labels
    for number, epochs in enumerate(round_epochs):
        to_come = len(round_epochs) - number
        count = left // to_come + (left % to_come > 0)
        scoring = cost.score + sum(cost.score_image for _ in range(pool))
        clock += scoring + (0.5 * scoring if cost.pick is None else cost.pick * pool * count) + cost.buy + cost.phase
        owned, pool, left = owned + count, pool - count, left - count
        for epoch in range(1, epochs + 1):
            clock += cost.epoch + sum(cost.step for _ in range(0, owned + work.pseudo, work.batch))
            if epoch % work.validate_every == 0 or epoch == epochs:
                clock += cost.validation
    assert left == 0 or not round_epochs
    return clock


@given(costs, works, st.lists(st.integers(0, 9), max_size=6))
def test_predictions_are_the_sum_of_what_is_done(cost: Costs, work: Workload, round_epochs: list[int]) -> None:
    assert rounds_seconds(cost, work, round_epochs) == pytest.approx(simulated(cost, work, round_epochs), rel=1e-6)


@given(costs, works, st.floats(0, 2000), st.integers(1, 12), st.integers(0, 9), st.integers(1, 60))
def test_the_schedule_has_the_most_rounds_that_fit_and_then_the_most_epochs(
    cost: Costs, work: Workload, budget: float, most: int, least: int, most_epochs: int
) -> None:
    most_epochs = max(least, most_epochs)
    rounds = fit_rounds(cost, work, budget, most=most, epochs=least, most_epochs=most_epochs)
    if not work.labels:
        assert rounds == ()
        return
    assert rounds[-1] == 0, "what is trained after the last purchase serves nobody"
    assert 1 <= len(rounds) <= min(most, work.labels)
    usable = budget * (1 - MARGIN)
    if len(rounds) < min(most, work.labels):  # one more does not fit
        assert simulated(cost, work, [least] * len(rounds) + [0]) > usable * (1 - 1e-9)
    if len(rounds) > 1:
        assert len(set(rounds[:-1])) == 1
        assert least <= rounds[0] <= most_epochs
        rounded_up = len(rounds) == 2 and rounds[0] > least and simulated(cost, work, rounds) > usable
        fitting = [rounds[0] - rounded_up] * (len(rounds) - 1) + [0]
        assert simulated(cost, work, fitting) <= usable * (1 + 1e-9)
        if rounds[0] < most_epochs and not rounded_up:
            more = [rounds[0] + 1] * (len(rounds) - 1) + [0]
            assert simulated(cost, work, more) > usable * (1 - 1e-9)


def test_what_the_budget_does_not_cover_is_free() -> None:
    cost = Costs(step=1.0, epoch=1.0, validation=1.0, phase=1.0, score=1.0, score_image=1.0, pick=1.0, buy=1.0)
    work = Workload(owned=8, pool=10, labels=4, batch=4)
    whole = rounds_seconds(cost, work, [2, 0])
    train, score = training_seconds(cost, work, 10, 2) + cost.phase, 10 + 8 + 2 * cost.score
    pick, buy = 10 * 2 + 8 * 2, 2
    assert whole == train + score + pick + buy
    for left_out, free in {"train": train, "score": score, "pick": pick, "buy": buy}.items():
        covers = {"pretrain", "score", "pick", "buy", "train"} - {left_out}
        assert rounds_seconds(cost.covered(covers), work, [2, 0]) == whole - free  # type: ignore[arg-type]


def test_picking_is_guessed_as_half_the_scoring_until_it_was_measured() -> None:
    assert purchase_seconds(Costs(step=0.1, score_image=0.01), 100, 5) == pytest.approx(1.5)
    assert purchase_seconds(Costs(step=0.1, score_image=0.01, pick=0.0), 100, 5) == pytest.approx(1.0)


def test_what_is_not_scored_costs_nothing_but_what_is_bought_was_scored() -> None:
    costs = Costs(step=0.1, score=1.0, score_image=0.01, pick=0.0)
    assert purchase_seconds(costs, 100, 5, scored_share=0.2) == pytest.approx(1.2)
    assert purchase_seconds(costs, 100, 40, scored_share=0.2) == pytest.approx(1.4)
    whole, part = (Workload(8, 100, 40, batch=4, scored_share=share) for share in (1.0, 0.2))
    assert rounds_seconds(costs, part, [0, 0]) == pytest.approx(2 + 0.01 * (20 + 20))
    assert rounds_seconds(costs, whole, [0, 0]) == pytest.approx(2 + 0.01 * (100 + 80))


def test_owned_images_that_the_rule_wants_to_know_are_scored_in_every_round() -> None:
    costs = Costs(step=0.1, score=1.0, score_image=0.01, pick=0.0)
    assert purchase_seconds(costs, 100, 5, owned=30) == pytest.approx(2.3)
    nothing, half = (Workload(8, 100, 40, batch=4, owned_share=share) for share in (0.0, 0.5))
    assert rounds_seconds(costs, nothing, [0, 0]) == pytest.approx(2 + 0.01 * (100 + 80))
    assert rounds_seconds(costs, half, [0, 0]) == pytest.approx(2 + 0.01 * (100 + 4 + 80 + 14))


@given(costs, works, st.floats(-5, 500), st.integers(1, 9), st.integers(1, 99))
def test_pretraining_is_cut_to_whole_epochs_that_fit(
    cost: Costs, work: Workload, budget: float, done: int, asked: int
) -> None:
    asked = max(done, asked)
    epochs = fit_pretraining(cost, work, budget, done, asked)
    assert done <= epochs <= asked
    each = cost.epoch + -(-work.owned // work.batch) * cost.step + cost.validation / work.validate_every
    if epochs > done:
        assert (epochs - done) * each <= budget * (1 + 1e-9)
    if epochs < asked:
        assert (epochs - done + 1) * each > budget * (1 - 1e-9)
