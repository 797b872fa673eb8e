"""The label budget: an even share a round, and never more than is left."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from lightning.pytorch import LightningModule

from dpc_lightning.callbacks.label_budget import LabelBudget
from dpc_lightning.callbacks.phase_callback import PurchaseRecord
from dpc_lightning.purchase.plan import PurchasePlan


@given(st.integers(0, 500), st.integers(1, 9))
def test_the_rounds_together_spend_exactly_the_budget(labels: int, rounds: int) -> None:
    rounds = min(rounds, labels) or 1
    plan = PurchasePlan(labels=labels, rounds=rounds)
    budget = LabelBudget(plan)
    shares: list[int] = []
    for left in range(len(plan.phases(1)) - 2, 0, -1):
        share = budget.quota(left, in_pool=1_000)
        shares.append(share)
        budget.on_purchase(cast("Any", SimpleNamespace()), cast("LightningModule", None), record(budget.left - share))
    assert sum(shares) == labels
    assert max(shares, default=0) - min(shares, default=0) <= 1
    assert budget.left == (0 if shares else labels)


def test_what_the_ledger_says_is_taken_over() -> None:
    budget = LabelBudget(PurchasePlan(labels=10, rounds=2))
    budget.settle(7)
    assert budget.left == 3
    budget.settle(12)
    assert budget.left == 0


def record(left: int) -> PurchaseRecord:
    nothing = np.zeros(0, np.int64)
    return PurchaseRecord(
        1, nothing, nothing.astype(np.float32), np.zeros((0, 1), np.uint8), 9, 9, left, 0.0, 0.0, 0.0, False
    )


def test_a_budget_beyond_the_pool_is_shared_over_the_rounds() -> None:
    plan = PurchasePlan(labels=1_000, rounds=3)
    assert LabelBudget(plan).quota(3, in_pool=50) == 17
