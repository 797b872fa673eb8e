"""Who bought and who judged: entries stand on the same ground."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from dpc_lightning.evaluation.agreement import agree
from dpc_lightning.evaluation.cases import scored_rows
from dpc_lightning.evaluation.result import Result
from dpc_lightning.evaluation.transfer import Transfer, transfer
from tests.evaluation.simulated_rows import row

WORTH = {("small", "b0"): 0.05, ("small", "b4"): 0.02, ("large", "b0"): 0.01, ("large", "b4"): 0.04}


def bought(seeds: int = 6, budgets: tuple[int, ...] = (50, 100), noise: float = 0.01) -> list[Result]:
    rng = np.random.default_rng(0)
    rows = []
    for labels in budgets:
        for judge in ("b0", "b4"):
            for seed in range(seeds):
                level = rng.normal(0.5, 0.1)
                where: dict[str, Any] = {"labels": labels, "pipeline": judge}
                rows.append(row("random", seed, level, **where))
                for buyer in ("small", "large"):
                    score = level + WORTH[buyer, judge] + rng.normal(0, noise)
                    rows.append(row(f"badge with {buyer}", seed, score, facts={"buyer": buyer}, **where))
    return rows


def matrix(rows: list[Result], problems: list[str] | None = None) -> Transfer | None:
    return transfer(scored_rows(rows, "f1_macro").rows, [] if problems is None else problems)


def test_entries_are_mean_gains_by_buyer_and_judge() -> None:
    found = matrix(bought())
    assert found is not None
    assert (found.buyers, found.pipelines) == (("large", "small"), ("b0", "b4"))
    assert found.budgets == (("default", 50, None), ("default", 100, None))
    for entry in found.entries:
        assert entry.mean == pytest.approx(WORTH[entry.buyer, entry.pipeline], abs=0.01)
        assert entry.low < entry.mean < entry.high
        assert entry.seeds == 6


def test_budgets_of_one_start_set_are_averaged_before_the_interval() -> None:
    rows = bought()
    scores = {(r.arm, r.labels, r.pipeline, r.seed): r.scores["f1_macro"] or 0 for r in rows}
    gains = [
        np.mean([scores["badge with small", n, "b4", s] - scores["random", n, "b4", s] for n in (50, 100)])
        for s in range(6)
    ]
    found = matrix(rows)
    assert found is not None
    entry = found.entries[-1]
    assert (entry.buyer, entry.pipeline) == ("small", "b4")
    low, high = stats.t.interval(0.95, 5, loc=np.mean(gains), scale=stats.sem(gains))
    assert (entry.mean, entry.low, entry.high) == pytest.approx((np.mean(gains), low, high))


def test_arms_of_a_buyer_are_averaged() -> None:
    rows = bought()
    more = [
        replace(r, arm="hard with small", scores={"f1_macro": (r.scores["f1_macro"] or 0) + 0.04})
        for r in rows
        if r.arm == "badge with small"
    ]
    one, both = matrix(rows), matrix([*rows, *more])
    assert one is not None
    assert both is not None
    for entry, other in zip(one.entries, both.entries, strict=True):
        assert other.mean == pytest.approx(entry.mean + (0.02 if entry.buyer == "small" else 0.0))


def test_only_what_all_bought_and_all_judged_counts() -> None:
    rows = [
        r for r in bought() if not (r.labels == 50 and r.pipeline == "b4") and not (r.seed == 2 and "large" in r.arm)
    ]
    found = matrix(rows)
    assert found is not None
    assert found.budgets == (("default", 100, None),)
    assert {entry.seeds for entry in found.entries} == {5}


def test_no_common_ground_is_said() -> None:
    problems: list[str] = []
    rows = [r for r in bought() if ("large" in r.arm) == (r.pipeline == "b0") or r.arm == "random"]
    assert matrix(rows, problems) is None
    assert len(problems) == 1
    assert problems[0].startswith("transfer from large, small to b0, b4: 0 start sets in which every one bought and")


def test_without_buyers_there_is_no_matrix_and_with_them_it_is_in_the_agreement() -> None:
    assert matrix([replace(r, facts={}) for r in bought()]) is None
    assert agree(bought(), resamples=5).transfer == matrix(bought())
