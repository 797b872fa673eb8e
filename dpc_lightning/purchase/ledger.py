"""The durable record of purchases: the only truth about what is bought."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Final

import numpy as np

from dpc_lightning.acquisition.base import FloatArray, IntArray, LabelArray, Selection
from dpc_lightning.errors import BudgetExceededError, LedgerError
from dpc_lightning.process_lock import ProcessLock
from dpc_lightning.purchase.ledger_agreement import check_agreement, known_pool
from dpc_lightning.purchase.ledger_chain import GENESIS, answer_text, event_text, link, purchase_text, verify_chain
from dpc_lightning.purchase.ledger_file import LedgerConnection, configure, connect, ledger_errors
from dpc_lightning.purchase.ledger_input import Settings, checked_indices, checked_scores, is_whole, some
from dpc_lightning.purchase.ledger_migration import create_schema, migrate, readable_versions, schema_version
from dpc_lightning.purchase.ledger_view import Json, LedgerView, Purchases, labels_of
from dpc_lightning.purchase.oracle import Oracle, ask, checked_labels

__all__ = ["Ledger", "LedgerView", "Purchases"]

OWN_KINDS: Final = frozenset({"created", "pool", "budget", "picks"})


class Ledger(LedgerView):
    """The door through which labels enter the program. Open it with `Ledger.open`; a context manager.

    A purchase is charged when its intent is committed; only then is the oracle asked, and its answer is committed
    before it is given out. A process that dies in between, a failing oracle, or people who have not answered yet leave
    charged purchases without an answer: the next `buy` or `settle` asks for these again and charges nothing. What an
    oracle knows by heart (`Oracle.instant`) is charged and answered in one commit, or not at all.

    Every row is hashed together with all rows before it (`head`, `verify`), and triggers refuse changes.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from dpc_lightning.purchase.oracle import HiddenLabels
        >>> oracle = HiddenLabels()
        >>> oracle.attach(np.array([[0, 1], [1, 0], [1, 1]], dtype=np.uint8))
        >>> with (
        ...     TemporaryDirectory() as folder,
        ...     Ledger.open(
        ...         Path(folder) / "ledger.sqlite",
        ...         oracle=oracle,
        ...         budget=2,
        ...         pool_size=3,
        ...         classes=["dent", "scratch"],
        ...         pool_fingerprint=lambda count: f"names of {count} images",
        ...     ) as ledger,
        ... ):
        ...     print(ledger.buy([2, 0], round=1).tolist(), ledger.left)
        [[1, 1], [0, 1]] 0
    """

    def __init__(
        self,
        path: Path,
        *,
        lock: ProcessLock,
        connection: LedgerConnection,
        oracle: Oracle,
        settings: Settings,
        sleep: Callable[[float], None],
    ) -> None:
        self.path = path
        self.oracle = oracle
        self._lock = lock
        self._connection = connection
        self._process = os.getpid()
        self._labels: dict[int, str | None] = {}
        self._waiting: dict[int, tuple[int, int]] = {}  # number and round of what is charged and not answered
        self._seq, self._head = 0, ""
        self._version: int | None = None
        self._settings = settings
        self._sleep = sleep

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        oracle: Oracle,
        budget: int,
        pool_size: int,
        classes: Sequence[str],
        pool_fingerprint: Callable[[int], str],
        attempts: int = 3,
        backoff_seconds: float = 1.0,
        wait_seconds: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> "Ledger":
        """Open a ledger for writing, or make it.

        Args:
            path: the file, on a local disk if possible; its folder exists.
            oracle: who answers.
            budget: label budget, 0 or more. It may be changed from start to start, not below what is bought.
            pool_size: images in the pool; bought indices are below it. A pool may grow, not shrink.
            classes: names of the classes, in the order of the label columns.
            pool_fingerprint: gives a fingerprint of the first `count` images, as `Manifest.fingerprint` does.
            attempts: how often a failing oracle is asked, at least 1.
            backoff_seconds: pause after the first failure, doubled after each further one.
            wait_seconds: how long to wait for another writer to close the file; several processes so buy by turns.
            sleep: waits so many seconds before a failing oracle is asked again.

        Returns:
            The open ledger; close it.

        Raises:
            LedgerError: if another process writes it (names the process), if it is foreign, damaged, altered or of
                another version, or if pool, classes or budget do not fit to what is in it. The file is then as it was.
        """
        path = Path(path)
        settings = Settings(budget, pool_size, tuple(classes), attempts, backoff_seconds, wait_seconds)
        if not path.parent.is_dir():
            msg = f"Cannot make the ledger {path}: its folder does not exist."
            raise LedgerError(msg)
        lock = ProcessLock(
            path.with_name(path.name + ".lock"),
            name=f"Ledger {path}",
            way_out="One run folder, one run: wait for it to end.",
            error=LedgerError,
            wait_seconds=wait_seconds,
        )
        try:
            connection, new = connect(path)
        except BaseException:
            lock.release()
            raise
        ledger = cls(path, lock=lock, connection=connection, oracle=oracle, settings=settings, sleep=sleep)
        try:
            if new:
                ledger._create(settings.recorded() | {"fingerprint": pool_fingerprint(pool_size)})
            ledger._load()
            check_agreement(ledger, settings, pool_fingerprint)
            ledger._migrate()
            configure(connection, path, paid=not oracle.simulated)
            ledger._adopt(pool_fingerprint)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @staticmethod
    def read(path: str | Path) -> LedgerView:
        """Open a ledger to read; takes no lock from a writer. See `LedgerView`."""
        return LedgerView(path)

    @property
    def budget(self) -> int:
        """The label budget."""
        return self._settings.budget

    @property
    def rows(self) -> int:
        """Labels charged so far."""
        return len(self._labels)

    @property
    def head(self) -> str:
        """Hash of the last row, 64 hexadecimal digits: it changes if any row before it does."""
        return self._head

    def close(self) -> None:
        """Close the file and let others write; a second call does nothing."""
        if self._process == os.getpid():
            with suppress(sqlite3.Error):  # someone reads it: the write-ahead log stays, which is as good
                self._connection.execute("PRAGMA busy_timeout=0")
                self._connection.execute("PRAGMA journal_mode=DELETE")
            self._connection.close()
            self._lock.release()

    def buy(
        self,
        indices: Sequence[int] | IntArray,
        *,
        round: int,  # noqa: A002  the word of the contract
        scores: Sequence[float] | FloatArray | None = None,
    ) -> LabelArray:
        """Buy the labels of images; those that are bought already are looked up and cost nothing.

        Args:
            indices: image indices, distinct integers below the pool's size.
            round: number of the round, 0 or more.
            scores: `(n,)` scores of the picks, for the record; NaN where there is none.

        Returns:
            `(n, C)` uint8, one row an index in the order asked.

        Raises:
            InvalidIndexError: if an index is unknown, negative, no integer, or repeated; nothing is changed.
            BudgetExceededError: if more new labels are asked for than are left; nothing is changed.
            OracleError: if the oracle fails; what was charged stays charged and is asked for again later.
            LabelsPendingError: if people answer later; likewise.
            LedgerError: if the file cannot be written; nothing is charged.
        """
        wanted = checked_indices(indices, self._settings.pool_size)
        if not is_whole(round) or round < 0:
            msg = f"Expected `round` to be an integer of at least 0, but got {round!r}."
            raise LedgerError(msg)
        noted = checked_scores(scores, len(wanted))
        new = [(index, score) for index, score in zip(wanted, noted, strict=True) if index not in self._labels]
        left = self.left
        if len(new) > left:
            msg = (
                f"Expected at most {left} new labels (budget {self.budget}, bought {self.rows}), but {len(new)} were "
                f"asked for: {some([index for index, _ in new])}. Raise `purchase.labels`, or ask for fewer."
            )
            raise BudgetExceededError(msg)
        self.settle()
        if new and self.oracle.instant:
            self._charge_and_answer(new, int(round))
        elif new:
            self._charge(new, int(round))
            self.settle()
        return labels_of([self._labels[index] or "" for index in wanted], len(self._settings.classes))

    def settle(self) -> None:
        """Ask the oracle for every label that is charged and not answered; charge nothing.

        Raises:
            OracleError: if the oracle fails.
            LabelsPendingError: if people answer later.
        """
        waiting = list(self._waiting.items())  # in the order of purchase, in which they are answered
        for round_number, charged in groupby(waiting, key=lambda item: item[1][1]):
            self._settle_round(round_number, {index: number for index, (number, _) in charged})

    def record_event(self, kind: str, payload: Mapping[str, Json]) -> None:
        """Write a fact that a resume or a report must know.

        Args:
            kind: a name of yours; `created`, `pool`, `budget` and `picks` belong to the ledger.
            payload: what JSON can say; numbers are finite.

        Raises:
            LedgerError: if it is not, or if the file cannot be written.
        """
        if kind in OWN_KINDS or not kind:
            msg = f"Expected an event kind other than {sorted(OWN_KINDS)} and not empty, but got {kind!r}."
            raise LedgerError(msg)
        self._record(kind, payload)

    def record_picks(self, round_number: int, selection: Selection) -> None:
        """Write the whole pick list of a round, before the oracle is asked; the same list twice is written once.

        Args:
            round_number: number of the round.
            selection: what the acquisition picked.

        Raises:
            LedgerError: if the round has another list already: a resume replays picks, it never picks again.
        """
        indices = selection.indices.tolist()
        earlier = self.picks(round_number)
        if earlier is None:
            scores = [None if np.isnan(score) else float(score) for score in selection.scores]
            self._record("picks", {"round": round_number, "indices": indices, "scores": scores})
        elif earlier.indices.tolist() != indices:
            msg = (
                f"Ledger {self.path}: round {round_number} has a pick list already, {some(earlier.indices.tolist())}, "
                f"and now another one was offered, {some(indices)}. A resume replays the recorded picks."
            )
            raise LedgerError(msg)

    def _settle_round(self, round_number: int, numbers: Mapping[int, int]) -> None:
        texts = self._asked(list(numbers), round_number)
        with self._transaction():
            self._insert_answers(list(numbers.values()), texts)
        self._labels.update(zip(numbers, texts, strict=True))
        for index in numbers:
            del self._waiting[index]

    def _charge_and_answer(self, new: list[tuple[int, float | None]], round_number: int) -> None:
        """Write purchases and answers in one step: nothing is lost when it fails, for the oracle cannot forget."""
        texts = self._asked([index for index, _ in new], round_number)
        with self._transaction():
            numbers = self._insert_purchases(new, round_number)
            self._insert_answers(numbers, texts)
        for (index, _), text in zip(new, texts, strict=True):
            self._labels[index] = text

    def _asked(self, indices: Sequence[int], round_number: int) -> list[str]:
        """Ask the oracle, again if it fails, and check what it says."""
        wanted, patience = np.array(indices, dtype=np.int64), self._settings
        answer = ask(self.oracle, wanted, round_number, patience.attempts, patience.backoff_seconds, self._sleep)
        labels = checked_labels(answer, wanted, len(patience.classes))
        return [row.tobytes().decode("ascii") for row in labels + np.uint8(ord("0"))]

    def _create(self, payload: Mapping[str, Json]) -> None:
        self._seq, self._head = 0, GENESIS
        with self._transaction():
            create_schema(self._connection)
            self._insert_event("created", payload)

    def _load(self) -> None:
        with ledger_errors(self.path):
            self._seq, self._head = verify_chain(self._connection, str(self.path))
        found = self._fetch(
            "SELECT image, number, round, labels FROM purchases LEFT JOIN answers USING (number) ORDER BY number"
        )
        self._labels = {image: labels for image, _, _, labels in found}
        self._waiting = {image: (number, round_) for image, number, round_, labels in found if labels is None}

    def _migrate(self) -> None:
        if schema_version(self._connection) != readable_versions()[-1]:
            with self._transaction():
                migrate(self._connection)

    def _adopt(self, fingerprint: Callable[[int], str]) -> None:
        """Write down a pool that has grown, and another budget."""
        size, budget = self._settings.pool_size, self._settings.budget
        if size > known_pool(self)["pool_size"]:
            self._record("pool", {"pool_size": size, "fingerprint": fingerprint(size)})
        before = super().budget
        if budget != before:
            self._record("budget", {"before": before, "budget": budget})

    def _charge(self, new: list[tuple[int, float | None]], round_number: int) -> None:
        with self._transaction():
            numbers = self._insert_purchases(new, round_number)
        for (index, _), number in zip(new, numbers, strict=True):
            self._labels[index], self._waiting[index] = None, (number, round_number)

    def _insert_purchases(self, new: Sequence[tuple[int, float | None]], round_number: int) -> list[int]:
        now, number = time.time(), len(self._labels)
        seq, head, rows = self._seq, self._head, []
        for index, score in new:
            seq, number = seq + 1, number + 1
            head = link(head, purchase_text(seq, number, round_number, index, score, now))
            rows.append((number, seq, round_number, index, score, now, head))
        self._connection.executemany(
            "INSERT INTO purchases (number, seq, round, image, score, time, hash) VALUES (?,?,?,?,?,?,?)", rows
        )
        self._seq, self._head = seq, head
        return [row[0] for row in rows]

    def _insert_answers(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        now = time.time()
        seq, head, rows = self._seq, self._head, []
        for number, text in zip(numbers, texts, strict=True):
            seq += 1
            head = link(head, answer_text(seq, number, text, now))
            rows.append((number, seq, text, now, head))
        self._connection.executemany("INSERT INTO answers (number, seq, labels, time, hash) VALUES (?,?,?,?,?)", rows)
        self._seq, self._head = seq, head

    def _record(self, kind: str, payload: Mapping[str, Json]) -> None:
        with self._transaction():
            self._insert_event(kind, payload)

    def _insert_event(self, kind: str, payload: Mapping[str, Json]) -> None:
        try:
            text = json.dumps(payload, allow_nan=False, sort_keys=True, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            msg = f"Expected an event {kind!r} of plain finite numbers, strings, lists and dicts, but: {error}."
            raise LedgerError(msg) from error
        seq, now = self._seq + 1, time.time()
        head = link(self._head, event_text(seq, kind, text, now))
        self._connection.execute("INSERT INTO events VALUES (?,?,?,?,?)", (seq, kind, text, now, head))
        self._seq, self._head = seq, head

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit all or nothing; the memory follows the file."""
        if self._process != os.getpid():
            msg = f"Ledger {self.path} was opened by process {self._process}; a forked process cannot write it."
            raise LedgerError(msg)
        seq, head = self._seq, self._head
        with ledger_errors(self.path):
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                self._check_file()
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                self._seq, self._head = seq, head
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _check_file(self) -> None:
        """Make sure that the file is still the one that was opened, and that nobody else has written it since."""
        moved = not self._connection.is_at(self.path)
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()  # changes by other connections' commits
        if moved or (self._seq and version != self._version and self._stored_head() != self._head):
            what = "moved, deleted or replaced" if moved else "written by something else"
            msg = f"Ledger {self.path} was {what} since this process opened it; nothing more is written. "
            raise LedgerError(msg + "Put back the file that belongs here and start again. One run folder, one run.")
        self._version = version
