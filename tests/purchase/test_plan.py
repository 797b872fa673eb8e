"""The plan: ranges, phases and quotas."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonargparse import ArgumentParser

from dpc_lightning.acquisition import ClassQuota, ExpectedGain
from dpc_lightning.errors import ConfigError
from dpc_lightning.purchase.oracle import HiddenLabels
from dpc_lightning.purchase.plan import Phase, PurchasePlan, share


@given(labels=st.integers(0, 500), rounds=st.integers(1, 20))
def test_shares_use_the_whole_budget_evenly(labels: int, rounds: int) -> None:
    if labels and rounds > labels:
        with pytest.raises(ConfigError, match="rounds"):
            PurchasePlan(labels=labels, rounds=rounds)
        return
    left, quotas = labels, list[int]()
    for to_come in range(rounds, 0, -1):
        quotas.append(share(left, to_come))
        left -= quotas[-1]
    assert left == 0
    assert max(quotas) - min(quotas) <= 1
    assert quotas == sorted(quotas, reverse=True)


def test_phases_are_numbered_and_named() -> None:
    phases = PurchasePlan(labels=20, rounds=2, pretrain_epochs=4, round_epochs=3).phases(25)
    assert phases == (
        Phase(0, "pretrain", 4),
        Phase(1, "round", 3, 1),
        Phase(2, "round", 3, 2),
        Phase(3, "evaluate", 25),
    )
    assert [phase.name for phase in phases] == ["pretrain", "round_1", "round_2", "evaluate"]


def test_an_automatic_plan_knows_its_rounds_only_when_it_has_measured() -> None:
    plan = PurchasePlan(rounds="auto", seconds=60)
    assert plan.automatic
    assert [phase.name for phase in plan.phases(5)] == ["pretrain", "evaluate"]


def test_nothing_to_buy_means_no_rounds() -> None:
    assert [phase.kind for phase in PurchasePlan(labels=0).phases(5)] == ["pretrain", "evaluate"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": -1},
        {"labels": 1.5},
        {"labels": True},
        {"rounds": 0},
        {"rounds": 11, "labels": 10},
        {"pretrain_epochs": 0},
        {"round_epochs": -1},
        {"oracle_attempts": 0},
        {"oracle_attempts": 1.5},
        {"oracle_backoff_seconds": -1},
        {"oracle_backoff_seconds": float("nan")},
        {"oracle_backoff_seconds": float("inf")},
        {"seconds": 0},
        {"seconds": -3.0},
        {"seconds": float("nan")},
        {"seconds": float("inf")},
        {"seconds_cover": []},
        {"seconds_cover": ["pretrain", "sleep"]},
        {"rounds": "auto"},
        {"rounds": "many"},
        {"max_rounds": 0},
        {"max_round_epochs": 5, "rounds": "auto", "seconds": 9.0, "round_epochs": 6},
        {"pseudo_labels": 0.5},
        {"pseudo_labels": 1.0},
        {"pseudo_labels": float("nan")},
    ],
)
def test_a_wrong_value_is_named_by_its_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"purchase\.{next(iter(wrong))}"):
        PurchasePlan(**wrong)


def test_comes_from_the_command_line() -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(PurchasePlan, "purchase")
    words = ["--purchase.labels", "9", "--purchase.acquisition", "ClassQuota", "--purchase.acquisition.scale", "0.5"]
    plan = parser.instantiate_classes(parser.parse_args(words)).purchase
    assert isinstance(plan.acquisition, ClassQuota)
    assert (plan.labels, plan.acquisition.scale, plan.acquisition.floor) == (9, 0.5, 0.02)
    assert isinstance(plan.oracle, HiddenLabels)
    default = parser.instantiate_classes(parser.parse_args([])).purchase
    assert isinstance(default.acquisition, ExpectedGain)


def test_the_evaluation_has_one_random_stream_however_much_is_bought() -> None:
    plans = [PurchasePlan(labels=0), PurchasePlan(labels=9, rounds=2), PurchasePlan(labels=9, rounds=3)]
    assert {plan.phases(1)[-1].stream for plan in plans} == {1}
    streams = [phase.stream for phase in plans[-1].phases(1)]
    assert len(set(streams)) == len(streams)
