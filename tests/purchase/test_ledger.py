"""What a ledger refuses, keeps, and asks for again."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dpc_lightning.acquisition import Selection
from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.errors import (
    BudgetExceededError,
    InvalidIndexError,
    LabelsPendingError,
    LedgerError,
    OracleError,
    PurchaseError,
)
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.oracle import HiddenLabels
from tests.purchase.oracles import CLASSES, Free, People, Scripted, names, open_ledger, truth


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def test_labels_come_in_the_order_asked_and_are_charged_once(path: Path) -> None:
    oracle = Scripted()
    with open_ledger(path, oracle) as ledger:
        assert ledger.buy([7, 2, 5], round=1, scores=[0.5, float("nan"), 3]).tolist() == truth([7, 2, 5]).tolist()
        assert (ledger.rows, ledger.left) == (3, 2)
        assert ledger.buy([5, 7], round=2).tolist() == truth([5, 7]).tolist()
        assert (ledger.rows, ledger.left) == (3, 2)
        assert ledger.buy([1, 2, 0], round=2).tolist() == truth([1, 2, 0]).tolist()
        assert (ledger.rows, ledger.left) == (5, 0)
        assert ledger.buy([], round=3).shape == (0, 3)
        assert ledger.buy(np.array([]), round=3).shape == (0, 3)
        purchases = ledger.purchases()
    assert oracle.asked == [[7, 2, 5], [1, 0]]
    assert purchases.order.tolist() == [1, 2, 3, 4, 5]
    assert purchases.index.tolist() == [7, 2, 5, 1, 0]
    assert purchases.round.tolist() == [1, 1, 1, 2, 2]
    assert purchases.labels.dtype == np.uint8
    assert purchases.labels.tolist() == truth([7, 2, 5, 1, 0]).tolist()
    np.testing.assert_array_equal(purchases.score, np.array([0.5, np.nan, 3, np.nan, np.nan], dtype=np.float32))
    assert (np.diff(purchases.time) >= 0).all()


@pytest.mark.parametrize(
    ("indices", "error", "says"),
    [
        ([0, 20], InvalidIndexError, "20"),
        ([-1], InvalidIndexError, "-1"),
        ([10**30], InvalidIndexError, "1000"),
        ([3, 3], InvalidIndexError, "repeated: 3"),
        ([2, 2], InvalidIndexError, "repeated: 2"),
        ([True], InvalidIndexError, "True"),
        ([np.True_], InvalidIndexError, "True"),
        ([1.0], InvalidIndexError, r"1\.0"),
        ([np.float64(1)], InvalidIndexError, r"1\.0"),
        (["1"], InvalidIndexError, "'1'"),
        ([None], InvalidIndexError, "None"),
        ([[1]], InvalidIndexError, r"\[1\]"),
        (np.array([1.0]), InvalidIndexError, "float64"),
        (np.array([True]), InvalidIndexError, "bool"),
        (np.array([[1]]), InvalidIndexError, r"\(1, 1\)"),
        (np.array(1), InvalidIndexError, r"\(\)"),
        (np.array([1, None]), InvalidIndexError, "object"),
        ([0, 1, 3, 4], BudgetExceededError, r"at most 3 new labels \(budget 5, bought 2\), but 4"),
        ([2, 0, 1, 3, 4], BudgetExceededError, "but 4"),
        (range(20), BudgetExceededError, "18"),
    ],
)
def test_refusals_name_the_reason_and_change_nothing(
    path: Path, indices: Any, error: type[PurchaseError], says: str
) -> None:
    oracle = Scripted()
    with open_ledger(path, oracle) as ledger:
        ledger.buy([2, 9], round=1)
        head = ledger.head
        with pytest.raises(error, match=says):
            ledger.buy(indices, round=2)
        assert (ledger.rows, ledger.left, ledger.head) == (2, 3, head)
    assert oracle.asked == [[2, 9]]
    with Ledger.read(path) as view:
        assert (view.rows, view.head) == (2, head)


@pytest.mark.parametrize(("round_number", "scores"), [(-1, None), (1.0, None), (True, None), (1, [1]), (1, [[1, 2]])])
def test_wrong_rounds_and_scores_change_nothing(path: Path, round_number: Any, scores: Any) -> None:
    with open_ledger(path) as ledger:
        with pytest.raises(LedgerError):
            ledger.buy([1, 2], round=round_number, scores=scores)
        assert ledger.rows == 0


def test_integers_of_any_kind_are_stored_as_integers(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger.buy([np.int32(3), 4], round=1)  # type: ignore[list-item]  # NumPy integers are welcome
        ledger.buy(np.array([5], dtype=np.uint8), round=1)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT typeof(image), image FROM purchases").fetchall() == [
            ("integer", 3),
            ("integer", 4),
            ("integer", 5),
        ]


@pytest.mark.parametrize("wrong", [[[0, 1, 2]], [[0, 1]], [], [[0.5, 0, 1]], "labels", None])
def test_a_wrong_answer_is_not_written_and_is_asked_for_again(path: Path, wrong: object) -> None:
    oracle = Scripted(wrong)
    with open_ledger(path, oracle) as ledger:
        with pytest.raises(OracleError):
            ledger.buy([3], round=1)
        assert (ledger.rows, ledger.left, ledger.unanswered.tolist()) == (1, 4, [3])
        assert len(ledger.purchases()) == 0
        with pytest.raises(LedgerError, match="1 are charged and 0 answered"):
            ledger.purchases(1)
        assert ledger.buy([3], round=1).tolist() == truth([3]).tolist()
        assert (ledger.rows, ledger.left, ledger.unanswered.tolist()) == (1, 4, [])


def test_labels_of_people_come_with_a_later_start(path: Path) -> None:
    people = People()
    with open_ledger(path, people) as ledger, pytest.raises(LabelsPendingError):
        ledger.buy([3, 4], round=1)
    with open_ledger(path, people) as ledger:
        with pytest.raises(LabelsPendingError):
            ledger.buy([5], round=2)
        assert ledger.unanswered.tolist() == [3, 4], "nothing more is charged while answers are awaited"
        people.ready = True
        ledger.settle()
        assert ledger.purchases(2).labels.tolist() == truth([3, 4]).tolist()
        assert ledger.left == 3


def test_a_failing_oracle_loses_nothing(path: Path) -> None:
    oracle = Scripted(*[OSError("line is down")] * 3)
    with open_ledger(path, oracle) as ledger:
        with pytest.raises(OracleError, match="stay charged"):
            ledger.buy([3, 4], round=1)
        assert ledger.buy([9], round=2).tolist() == truth([9]).tolist()
        assert ledger.purchases().index.tolist() == [3, 4, 9]
        assert ledger.left == 2
    assert oracle.asked == [[3, 4]] * 4 + [[9]]


@pytest.mark.parametrize("oracle", [Scripted(), Free()], ids=["paid", "free"])
def test_everything_is_there_after_reopening(path: Path, oracle: Scripted) -> None:
    with open_ledger(path, oracle) as ledger:
        ledger.buy([3, 4], round=1)
        ledger.record_event("stop", {"phase": 2, "reason": "time", "values": [1, 2.5, None]})
        head = ledger.head
        durable = {True: 1, False: 2}[oracle.simulated]
        assert ledger._connection.execute("PRAGMA synchronous").fetchone()[0] == durable
        assert ledger._connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert sorted(file.name for file in path.parent.iterdir()) == ["ledger.sqlite", "ledger.sqlite.lock"]
    with open_ledger(path, oracle) as ledger:
        assert ledger.head == head
        assert ledger.buy([4, 3], round=2).tolist() == truth([4, 3]).tolist()
        assert ledger.events("stop") == [{"phase": 2, "reason": "time", "values": [1, 2.5, None]}]
        assert ledger.events("nothing") == []
        assert ledger.classes == CLASSES
        assert ledger.verify(head) == 6
    assert len(oracle.asked) == 1


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scores=st.lists(st.floats(width=32, allow_subnormal=True), min_size=5, max_size=5))
@example(scores=[-0.0, 0.0, float("nan"), float("inf"), float("-inf")])
def test_scores_of_any_kind_are_kept_and_the_ledger_opens_again(tmp_path: Path, scores: list[float]) -> None:
    """SQLite keeps -0.0 as 0.0: a ledger that hashed the sign could not be opened again, and the run not go on."""
    path = tmp_path / f"{uuid4()}.sqlite"
    with open_ledger(path) as ledger:
        ledger.buy([7, 2, 5, 1, 0], round=1, scores=scores)
    with open_ledger(path) as ledger:
        ledger.verify()
        np.testing.assert_array_equal(ledger.purchases().score, np.array(scores, dtype=np.float32))


def test_an_oracle_is_told_the_round_and_asked_for_each_apart(path: Path) -> None:
    class Rounds(Scripted):
        def label_round(self, indices: IntArray, round_number: int) -> LabelArray:
            rounds.append(round_number)
            return super().label_round(indices, round_number)

    rounds: list[int] = []
    with open_ledger(path) as ledger:
        ledger._charge([(4, None), (9, None)], 3)
        ledger._charge([(2, None)], 1)
        ledger._charge([(1, None)], 3)
    oracle = Rounds()
    with open_ledger(path, oracle) as ledger:
        assert ledger.buy([8], round=7).tolist() == truth([8]).tolist()
        assert ledger.purchases(5).labels.tolist() == truth([4, 9, 2, 1, 8]).tolist()
        assert ledger.verify() == 1 + 5 + 5
    assert (rounds, oracle.asked) == ([3, 1, 3, 7], [[4, 9], [2], [1], [8]])


def test_purchases_are_a_prefix_of_the_order(path: Path) -> None:
    with open_ledger(path) as ledger:
        assert ledger.purchases(0).labels.shape == (0, 3)
        ledger.buy([9, 1, 5], round=1)
        assert ledger.purchases(2).index.tolist() == [9, 1]
        for rows in (4, -1):
            with pytest.raises(LedgerError, match=f"first {rows} purchases"):
                ledger.purchases(rows)


def test_picks_are_recorded_once(path: Path) -> None:
    first = Selection(np.array([4, 2]), np.array([0.25, np.nan], dtype=np.float32))
    other = Selection(np.array([2, 4]), np.array([0.25, 0.5], dtype=np.float32))
    with open_ledger(path) as ledger:
        assert ledger.picks(1) is None
        ledger.record_picks(1, first)
        ledger.record_picks(1, first)
        ledger.record_picks(2, other)
        with pytest.raises(LedgerError, match="round 1 has a pick list already, 4, 2, and now another one .* 2, 4"):
            ledger.record_picks(1, other)
    with Ledger.read(path) as view:
        found = view.picks(1)
        assert found is not None
        assert found.indices.tolist() == [4, 2]
        np.testing.assert_array_equal(found.scores, first.scores)
        assert len(view.events("picks")) == 2


@pytest.mark.parametrize("payload", [{"x": float("nan")}, {"x": np.int64(1)}, {"x": {1, 2}}])
def test_events_are_what_json_can_say(path: Path, payload: Any) -> None:
    with open_ledger(path) as ledger:
        head = ledger.head
        with pytest.raises(LedgerError, match="event 'stop'"):
            ledger.record_event("stop", payload)
        for kind in ("picks", "budget", ""):
            with pytest.raises(LedgerError, match="event kind"):
                ledger.record_event(kind, {})
        assert ledger.head == head
        ledger.record_event("stop", {})
        assert ledger.verify() == 2


def test_the_budget_may_be_changed_but_not_below_what_is_bought(path: Path) -> None:
    with open_ledger(path, budget=3) as ledger:
        ledger.buy([1, 2, 3], round=1)
    with pytest.raises(LedgerError, match="holds 3 purchases, but the label budget is 2: set `purchase.labels` to 3"):
        open_ledger(path, budget=2)
    with open_ledger(path, budget=8) as ledger:
        assert ledger.left == 5
    with open_ledger(path, budget=4) as ledger:
        assert (ledger.budget, ledger.left) == (4, 1)
        assert ledger.events("budget") == [{"before": 3, "budget": 8}, {"before": 8, "budget": 4}]


def test_the_pool_may_grow_but_not_change(path: Path) -> None:
    with open_ledger(path, pool_size=20) as ledger:
        ledger.buy([19], round=1)
    with open_ledger(path, pool_size=30) as ledger:
        ledger.buy([29], round=1)
        assert ledger.events("pool") == [{"pool_size": 30, "fingerprint": "30 images"}]
    with pytest.raises(LedgerError, match="a pool of 30 images, but the pool has 20"):
        open_ledger(path, pool_size=20)
    with pytest.raises(LedgerError, match="first 30 images is 30 images, but that of this pool's is others") as caught:
        Ledger.open(
            path,
            oracle=Scripted(),
            budget=5,
            pool_size=30,
            classes=CLASSES,
            pool_fingerprint=lambda _: "others",
        )
    assert "--run_dir" in str(caught.value)
    with open_ledger(path, pool_size=30) as ledger:
        assert ledger.rows == 2


@pytest.mark.parametrize("classes", [("dirt", "dent", "scratch"), ("dent",)])
def test_other_classes_are_refused(path: Path, classes: tuple[str, ...]) -> None:
    open_ledger(path).close()
    with pytest.raises(LedgerError, match=r"for the classes \['dent', 'dirt', 'scratch'\], but the data has"):
        Ledger.open(path, oracle=Scripted(), budget=5, pool_size=20, classes=classes, pool_fingerprint=names)


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": -1},
        {"budget": 1.5},
        {"budget": True},
        {"pool_size": -1},
        {"classes": []},
        {"classes": ["a", "a"]},
        {"classes": [""]},
        {"attempts": 0},
        {"backoff_seconds": -1},
        {"backoff_seconds": float("nan")},
        {"wait_seconds": -1},
    ],
)
def test_wrong_settings_leave_no_file(path: Path, wrong: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"budget": 1, "pool_size": 1, "classes": ["a"]} | wrong
    with pytest.raises(LedgerError, match=next(iter(wrong))):
        Ledger.open(path, oracle=Scripted(), pool_fingerprint=names, **settings)
    assert not list(path.parent.iterdir())


def test_a_budget_of_nothing_is_legal(path: Path) -> None:
    with open_ledger(path, budget=0, pool_size=0) as ledger:
        assert ledger.left == 0
        assert ledger.purchases().labels.shape == (0, 3)
        with pytest.raises(InvalidIndexError):
            ledger.buy([0], round=1)


def test_a_disk_that_refuses_to_be_written_charges_nothing(path: Path) -> None:
    oracle = Scripted()
    with open_ledger(path, oracle) as ledger:
        ledger.buy([1], round=1)
        head = ledger.head
        ledger._connection.execute("PRAGMA query_only=ON")
        with pytest.raises(LedgerError, match="start again"):
            ledger.buy([2], round=1)
        ledger._connection.execute("PRAGMA query_only=OFF")
        assert (ledger.rows, ledger.head) == (1, head)
        assert ledger.buy([2], round=1).tolist() == truth([2]).tolist()
        assert ledger.verify(head) == 5
    assert oracle.asked == [[1], [2]]


def test_a_closed_ledger_says_so(path: Path) -> None:
    ledger = open_ledger(path)
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.buy([1], round=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_process_cannot_write(path: Path) -> None:
    with open_ledger(path) as ledger:
        ledger._process += 1  # as if a data loader's worker had inherited it
        with pytest.raises(LedgerError, match="forked"):
            ledger.buy([1], round=1)
        ledger._process -= 1
        assert ledger.rows == 0


def test_what_an_oracle_knows_by_heart_is_charged_and_answered_at_once(tmp_path: Path) -> None:
    """An instant oracle that fails leaves nothing charged; one that answers leaves nothing waiting."""

    class Known(HiddenLabels):
        broken = True

        def label(self, indices: IntArray) -> LabelArray:
            if self.broken:
                msg = "the table is gone"
                raise OracleError(msg)
            return super().label(indices)

    oracle = Known()
    oracle.attach(np.eye(3, dtype=np.uint8))
    words = {"budget": 3, "pool_size": 3, "classes": ["a", "b", "c"], "pool_fingerprint": str}
    with Ledger.open(tmp_path / "ledger.sqlite", oracle=oracle, **words) as ledger:  # type: ignore[arg-type]
        with pytest.raises(OracleError, match="gone"):
            ledger.buy([1], round=1)
        assert (ledger.rows, ledger.left, len(ledger.unanswered)) == (0, 3, 0)
        oracle.broken = False
        assert ledger.buy([1, 0], round=1).tolist() == [[0, 1, 0], [1, 0, 0]]
        assert (ledger.rows, ledger.left, len(ledger.unanswered)) == (2, 1, 0)
    with Ledger.read(tmp_path / "ledger.sqlite") as view:
        assert view.verify() > 4
        assert view.purchases().index.tolist() == [1, 0]
