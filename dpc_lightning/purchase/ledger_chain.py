"""The hash chain over the ledger's rows: whoever holds the head can tell whether any row was changed since."""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from heapq import merge
from typing import Final, NamedTuple

from dpc_lightning.errors import LedgerError

__all__ = ["GENESIS", "answer_text", "event_text", "link", "purchase_text", "verify_chain"]

GENESIS: Final = sha256(b"dpc_lightning ledger").hexdigest()
"""What the first row stands on."""


class _Row(NamedTuple):
    seq: object
    name: str
    text: str
    digest: str
    earlier_text: str | None = None
    """Another form of the same row, which an earlier version of this program may have hashed."""


def link(previous: str, text: str) -> str:
    """Hash a row together with all rows before it.

    Args:
        previous: hash of the row before, 64 hexadecimal digits.
        text: the row in its canonical form.

    Returns:
        sha256 as 64 hexadecimal digits.

    Example:
        >>> link(GENESIS, "1|purchase") == link(GENESIS, "1|purchase"), len(link(GENESIS, ""))
        (True, 64)
    """
    return sha256(f"{previous}|{text}".encode()).hexdigest()


def purchase_text(seq: int, number: int, round_number: int, image: int, score: float | None, time: float) -> str:  # noqa: PLR0917  the columns
    """Canonical form of a row of `purchases`."""
    return f"{seq}|purchase|{number}|{round_number}|{image}|{score!r}|{time!r}"


def answer_text(seq: int, number: int, labels: str, time: float) -> str:
    """Canonical form of a row of `answers`."""
    return f"{seq}|answer|{number}|{labels}|{time!r}"


def event_text(seq: int, kind: str, payload: str, time: float) -> str:
    """Canonical form of a row of `events`."""
    return f"{seq}|event|{time!r}|{kind}|{payload}"


def verify_chain(connection: sqlite3.Connection, where: str, head: str | None = None) -> tuple[int, str]:
    """Walk along the chain and compare every hash, after a check of the file's pages and indices.

    Args:
        connection: an open ledger.
        where: its name, for messages.
        head: a hash that the chain had earlier (from `summary.json`, say); it must still occur.

    Returns:
        Number of rows and the hash of the last.

    Raises:
        LedgerError: naming the first row that was changed, moved or removed, or saying that the head is not there; or
            if the file is damaged.
    """
    found = connection.execute("PRAGMA integrity_check(5)").fetchall()
    if found != [("ok",)]:  # rows that are whole can still be missed by a look-up through a damaged index
        damage = "; ".join(" ".join(str(each).split()) for (each,) in found)
        msg = f"Ledger {where} is damaged ({damage}); it is kept as it is. Restore it from a copy."
        raise LedgerError(msg)
    previous, count, seen = GENESIS, 0, head in {None, GENESIS}
    for row in merge(_purchases(connection), _answers(connection), _events(connection), key=_place):
        count += 1
        if row.seq != count:
            msg = f"Ledger {where}: row {count} is missing (the next one is row {row.seq}, {row.name}). {_WAY_OUT}"
            raise LedgerError(msg)
        texts = [row.text] if row.earlier_text is None else [row.text, row.earlier_text]
        digests = [link(previous, text) for text in texts]
        previous = row.digest
        if previous not in digests:
            msg = f"Ledger {where}: row {row.seq} ({row.name}) was changed or moved: its hash does not fit. {_WAY_OUT}"
            raise LedgerError(msg)
        seen = seen or previous == head
    if not seen:
        msg = f"Ledger {where}: no row has the hash {head}: rows at its end were removed, or it is another ledger."
        raise LedgerError(f"{msg} {_WAY_OUT}")
    return count, previous


def _place(row: _Row) -> int:
    """Give the place of a row; a damaged file has anything there."""
    return row.seq if isinstance(row.seq, int) else -1


_WAY_OUT: Final = "The file was altered by something else than this program: restore it from a copy."


def _purchases(connection: sqlite3.Connection) -> Iterator[_Row]:
    query = "SELECT seq, number, round, image, score, time, hash FROM purchases ORDER BY seq"
    for seq, number, round_number, image, score, time, digest in connection.execute(query):
        text = purchase_text(seq, number, round_number, image, score, time)
        negative = purchase_text(seq, number, round_number, image, -0.0, time) if score == 0 else None
        yield _Row(seq, f"purchase {number}, image {image}", text, digest, negative)  # SQLite keeps -0.0 as 0.0


def _answers(connection: sqlite3.Connection) -> Iterator[_Row]:
    query = "SELECT seq, number, labels, time, hash FROM answers ORDER BY seq"
    for seq, number, labels, time, digest in connection.execute(query):
        yield _Row(seq, f"answer to purchase {number}", answer_text(seq, number, labels, time), digest)


def _events(connection: sqlite3.Connection) -> Iterator[_Row]:
    for seq, kind, payload, time, digest in connection.execute(
        "SELECT seq, kind, payload, time, hash FROM events ORDER BY seq"
    ):
        yield _Row(seq, f"event {kind!r}", event_text(seq, kind, payload, time), digest)
