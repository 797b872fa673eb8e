"""Any sequence of purchases, refusals, failures, crashes and reopenings, against a model of a few lines."""

import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar, cast

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dpc_lightning.acquisition.base import IntArray, LabelArray
from dpc_lightning.errors import BudgetExceededError, InvalidIndexError, LabelsPendingError, LedgerError, OracleError
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.purchase.ledger_file import LedgerConnection
from dpc_lightning.purchase.oracle import Oracle
from tests.purchase.oracles import open_ledger, truth


class ProcessDiedError(BaseException):
    """Stands for a kill: nothing of the program catches it."""


class Moody(Oracle):
    simulated: ClassVar[bool] = True  # its ledger does not wait for the disk, which makes this test quick

    def __init__(self) -> None:
        self.mood: str = "good"

    def label(self, indices: IntArray) -> LabelArray:
        if self.mood == "down":
            raise OSError(self.mood)
        if self.mood == "pending":
            raise LabelsPendingError(self.mood)
        if self.mood == "dead":
            raise ProcessDiedError
        labels = truth(indices)
        return labels[1:] if self.mood == "short" else labels


class Dying:
    """A connection whose process dies at its n-th statement, before or after that is carried out, and stays dead."""

    def __init__(self, connection: LedgerConnection, statements: int, *, done: bool) -> None:
        self._connection = connection
        self._left, self._done = statements, done
        self.dead = False

    def _statement(self, name: str, *words: Any) -> Any:
        if self.dead:
            raise ProcessDiedError
        self._left -= 1
        self.dead = self._left <= 0
        if self.dead and not self._done:
            raise ProcessDiedError
        result = getattr(self._connection, name)(*words)
        if self.dead:
            raise ProcessDiedError
        return result

    def execute(self, *words: Any) -> Any:
        return self._statement("execute", *words)

    def executemany(self, *words: Any) -> Any:
        return self._statement("executemany", *words)

    def close(self) -> None:
        self._connection.close()

    def is_at(self, path: Path) -> bool:
        return self._connection.is_at(path)

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction


MOODS = {"down": OracleError, "short": OracleError, "pending": LabelsPendingError, "dead": ProcessDiedError}


class LedgerMachine(RuleBasedStateMachine):
    """The model: `bought` in order, `answered`, a budget and a pool size."""

    @initialize(budget=st.integers(0, 12), pool=st.integers(0, 16))
    def begin(self, budget: int, pool: int) -> None:
        self.folder = Path(mkdtemp())
        self.budget, self.pool = budget, pool
        self.bought: list[int] = []
        self.answered = 0
        self.heads: list[str] = []
        self.oracle = Moody()
        self.ledger = self.reopen_file()

    def reopen_file(self) -> Ledger:
        return open_ledger(self.folder / "l.sqlite", self.oracle, budget=self.budget, pool_size=self.pool)

    @rule(
        wanted=st.lists(st.integers(-1, 16), max_size=6),
        mood=st.sampled_from(["good", "good", "good", "down", "short", "pending", "dead"]),
    )
    def buy(self, wanted: list[int], mood: str) -> None:
        self.oracle.mood = mood
        new = [index for index in wanted if index not in self.bought]
        asks = len(self.bought) > self.answered
        if len(set(wanted)) < len(wanted) or any(not 0 <= index < self.pool for index in wanted):
            with pytest.raises(InvalidIndexError):
                self.ledger.buy(wanted, round=1)
        elif len(new) > self.budget - len(self.bought):
            with pytest.raises(BudgetExceededError):
                self.ledger.buy(wanted, round=1)
        elif mood != "good" and (asks or new):
            with pytest.raises(MOODS[mood]):
                self.ledger.buy(wanted, round=1)
            self.bought += [] if asks else new
        else:
            assert self.ledger.buy(wanted, round=1).tolist() == truth(wanted).tolist()
            self.bought += new
            self.answered = len(self.bought)

    @rule(wrong=st.sampled_from([True, 1.0, "1", None, np.float64(1)]))
    def buy_nonsense(self, wrong: int) -> None:
        with pytest.raises(InvalidIndexError):
            self.ledger.buy([wrong], round=1)

    @rule()
    def settle(self) -> None:
        self.oracle.mood = "good"
        self.ledger.settle()
        self.answered = len(self.bought)

    @rule(more=st.integers(-3, 3), grown=st.integers(-1, 2))
    def reopen(self, more: int, grown: int) -> None:
        self.ledger.close()
        before = self.budget, self.pool
        self.budget, self.pool = max(0, self.budget + more), max(0, self.pool + grown)
        if self.budget < len(self.bought) or self.pool < before[1]:
            with pytest.raises(LedgerError):
                self.reopen_file()
            self.budget, self.pool = before
        self.ledger = self.reopen_file()

    @rule()
    def second_writer(self) -> None:
        """Refused while the first has the file open, and without any effect on it."""
        head = self.ledger.head
        with pytest.raises(LedgerError, match="in use by process"):
            self.reopen_file()
        assert self.ledger.head == head

    @rule(
        wanted=st.lists(st.integers(0, 16), max_size=6, unique=True), statements=st.integers(1, 9), done=st.booleans()
    )
    def crash_inside(self, wanted: list[int], statements: int, done: bool) -> None:
        """The process dies at some statement of a purchase: each transaction is carried out whole, or not at all."""
        self.oracle.mood = "good"
        dying = Dying(self.ledger._connection, statements, done=done)
        self.ledger._connection = cast("LedgerConnection", dying)
        with suppress(ProcessDiedError, BudgetExceededError, InvalidIndexError):
            self.ledger.buy(wanted, round=2)
        self.ledger._connection.close()
        self.ledger._lock.release()
        self.ledger = self.reopen_file()
        new = [index for index in wanted if index not in self.bought]
        charged = self.ledger.purchases().index.tolist() + self.ledger.unanswered.tolist()
        assert charged in (self.bought, self.bought + new)
        answered = len(self.ledger.purchases())
        assert answered in {self.answered, len(self.bought), len(charged)}
        self.bought, self.answered = charged, answered

    @rule()
    def crash(self) -> None:
        """The connection goes without a farewell, as it does with its process."""
        self.ledger._connection.close()
        self.ledger._lock.release()
        self.ledger = self.reopen_file()

    @invariant()
    def keeps_its_promises(self) -> None:
        self.heads.append(self.ledger.head)
        assert self.ledger.rows == len(self.bought) <= max(self.budget, len(self.bought))
        assert self.ledger.left == self.budget - len(self.bought) >= 0
        with Ledger.read(self.folder / "l.sqlite") as view:
            purchases = view.purchases()
            assert purchases.index.tolist() == self.bought[: self.answered]
            assert purchases.labels.tolist() == truth(self.bought[: self.answered]).tolist()
            assert purchases.order.tolist() == list(range(1, self.answered + 1))
            assert view.unanswered.tolist() == self.bought[self.answered :]
            assert view.head == self.ledger.head
            view.verify(self.heads[len(self.heads) // 2])

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
