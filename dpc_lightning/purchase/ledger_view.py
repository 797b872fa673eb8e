"""Reading a ledger: what was bought, the picks of each round, events, and whether the file is whole."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from dpc_lightning.acquisition.base import FloatArray, IntArray, LabelArray, Selection
from dpc_lightning.errors import LedgerError
from dpc_lightning.purchase.ledger_chain import verify_chain
from dpc_lightning.purchase.ledger_file import connect_to_read, ledger_errors

__all__ = ["Json", "LedgerView", "Purchases", "labels_of"]

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]
"""What an event may hold: what JSON can say, finite numbers only."""


@dataclass(frozen=True)
class Purchases:
    """Bought labels in the order of purchase; the arrays belong together row for row.

    Attributes:
        order: `(n,)` int64, number of the purchase, from 1.
        round: `(n,)` int64, round in which it was bought.
        index: `(n,)` int64, image index.
        score: `(n,)` float32, score at the time of picking; NaN where the rule has none.
        labels: `(n, C)` uint8.
        time: `(n,)` float64, when it was charged, in seconds since 1970 (UTC).
    """

    order: IntArray
    round: IntArray
    index: IntArray
    score: FloatArray
    labels: LabelArray
    time: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.order)


def labels_of(texts: Sequence[str], num_classes: int) -> LabelArray:
    """Read labels as the ledger writes them, one character a class.

    Example:
        >>> labels_of(["010", "111"], 3).tolist()
        [[0, 1, 0], [1, 1, 1]]
    """
    flat = np.frombuffer("".join(texts).encode("ascii"), dtype=np.uint8) - np.uint8(ord("0"))
    return flat.reshape(len(texts), num_classes)


class LedgerView:
    """A ledger that is only read, also while another process writes it. A context manager.

    Args:
        path: the ledger's file.

    Raises:
        LedgerError: if there is none, or if it is foreign, damaged or of another version.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._connection = connect_to_read(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._connection.close()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the label columns."""
        return tuple(self.events("created")[0]["classes"])

    @property
    def budget(self) -> int:
        """The label budget as last set."""
        return int((self.events("created") + self.events("budget"))[-1]["budget"])

    @property
    def rows(self) -> int:
        """Labels charged so far."""
        return int(self._fetch("SELECT coalesce(max(number), 0) FROM purchases")[0][0])

    @property
    def left(self) -> int:
        """Labels that may still be bought."""
        return self.budget - self.rows

    @property
    def unanswered(self) -> IntArray:
        """`(n,)` image indices that were charged and that the oracle has not answered, in the order of purchase."""
        found = self._fetch(
            "SELECT image FROM purchases LEFT JOIN answers USING (number) WHERE labels IS NULL ORDER BY number"
        )
        return np.array([image for (image,) in found], dtype=np.int64)

    @property
    def head(self) -> str:
        """Hash of the last row, 64 hexadecimal digits: it changes if any row before it does."""
        return self._stored_head()

    def _stored_head(self) -> str:
        found = self._fetch(
            "SELECT max(seq), hash FROM ("
            "SELECT seq, hash FROM (SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1) UNION ALL "
            "SELECT seq, hash FROM (SELECT seq, hash FROM purchases ORDER BY number DESC LIMIT 1) UNION ALL "
            "SELECT seq, hash FROM (SELECT seq, hash FROM answers ORDER BY number DESC LIMIT 1))"
        )
        return str(found[0][1])

    def purchases(self, rows: int | None = None) -> Purchases:
        """List what was bought and answered.

        Args:
            rows: only the first so many purchases; None lists all that are answered.

        Returns:
            The purchases in their order.

        Raises:
            LedgerError: if `rows` asks for more than there is, or for one that is not answered yet.
        """
        limit = self.rows if rows is None else rows
        found = self._fetch(
            "SELECT number, round, image, score, labels, purchases.time FROM purchases JOIN answers USING (number) "
            "WHERE number <= ? ORDER BY number",
            (limit,),
        )
        if rows is not None and (rows < 0 or len(found) != rows):
            msg = (
                f"Ledger {self.path}: asked for the first {rows} purchases, but {self.rows} are charged and "
                f"{self.rows - len(self.unanswered)} answered. The checkpoint belongs to another ledger, or labels are "
                "still to be asked for: `settle()` does it."
            )
            raise LedgerError(msg)
        order, rounds, index, score, labels, time = zip(*found, strict=True) if found else ((),) * 6
        return Purchases(
            order=np.array(order, dtype=np.int64),
            round=np.array(rounds, dtype=np.int64),
            index=np.array(index, dtype=np.int64),
            score=np.array(score, dtype=np.float32),  # None becomes NaN
            labels=labels_of(labels, len(self.classes)),
            time=np.array(time, dtype=np.float64),
        )

    def events(self, kind: str) -> list[dict[str, Any]]:
        """List the facts of one kind that were recorded, oldest first.

        Args:
            kind: as given to `Ledger.record_event`; or `created`, `pool`, `budget`, `picks`, which the ledger writes.
        """
        found = self._fetch("SELECT payload FROM events WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(payload) for (payload,) in found]

    def picks(self, round_number: int) -> Selection | None:
        """Give the pick list of a round as it was recorded before the oracle was asked, or None."""
        for event in self.events("picks"):
            if event["round"] == round_number:
                scores = np.array(event["scores"], dtype=np.float32)
                return Selection(np.array(event["indices"], dtype=np.int64), scores)
        return None

    def verify(self, head: str | None = None) -> int:
        """Check every row against the hash chain; see `ledger_chain.verify_chain`.

        Args:
            head: a head that the ledger had earlier, from `summary.json` or the log. Without it rows that were removed
                at the end are not noticed.

        Returns:
            Number of rows of the chain.

        Raises:
            LedgerError: naming the first row that was changed, moved or removed.
        """
        with ledger_errors(self.path):
            self._connection.execute("BEGIN")  # one state of the file, whatever a writer adds meanwhile
            try:
                return verify_chain(self._connection, str(self.path), head)[0]
            finally:
                self._connection.execute("COMMIT")

    def _fetch(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with ledger_errors(self.path):
            return self._connection.execute(query, tuple(values)).fetchall()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"
