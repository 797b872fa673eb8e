"""What an entry's process and its host say to each other: a kind of one byte, then a payload of known form.

One message is one packet of a Unix socket. Nothing that comes from the entry is unpickled or evaluated; whatever is not
exactly of a form below is refused.
"""

import json
import math
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LONGEST",
    "Answer",
    "Buy",
    "Done",
    "Failed",
    "MessageError",
    "Progress",
    "Ready",
    "Receiver",
    "Refused",
    "Time",
    "most_indices",
    "pack",
    "request",
    "response",
]

LONGEST: Final = 128 * 1024
"""Bytes of a message, at most."""

LOOK: Final = 4e-4
"""Seconds for which a message is looked for before sleeping."""

SLEEP: Final = 64
"""Messages that are slept for after one did not come in this time."""

LONGEST_TEXT: Final = 4_000
"""Characters of a text that an entry says about itself, at most."""


class MessageError(Exception):
    """A message is of no known form; the text says what was expected."""


@dataclass(frozen=True)
class Ready:
    """The entry's process is up, sealed, and about to import the entry's code."""


@dataclass(frozen=True)
class Buy:
    """Wants labels. `indices` is `(n,)` int64, in the order asked, not checked against the pool."""

    indices: NDArray[np.int64]


@dataclass(frozen=True)
class Time:
    """Asks how many seconds are left; the host's answer has `seconds`, infinite where there is no limit."""

    seconds: float = 0.0


@dataclass(frozen=True)
class Progress:
    """Says how far the entry is."""

    share: float


@dataclass(frozen=True)
class Done:
    """The last phase has returned. `returned` counts the indices that it gave back; they are not purchases."""

    returned: int


@dataclass(frozen=True)
class Failed:
    """The entry has raised, in `phase`; `text` ends its traceback."""

    phase: str
    text: str


@dataclass(frozen=True)
class Answer:
    """Labels bought: `labels` is `(n, C)` uint8; `left` labels may still be bought."""

    left: int
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class Refused:
    """Nothing was bought. `kind` is `budget`, `time` or `index`; `text` says why."""

    kind: str
    text: str


Request = Ready | Buy | Time | Progress | Done | Failed
Response = Answer | Refused | Time


def most_indices(classes: int) -> int:
    """Say how many labels one message may ask for, so that the answer fits too.

    Example:
        >>> most_indices(6), most_indices(1000)
        (16000, 131)
    """
    return min(16_000, (LONGEST - 64) // max(classes, 1))


def pack(message: Request | Response) -> bytes:  # noqa: PLR0911  one return a form
    """Write a message.

    Example:
        >>> request(pack(Progress(0.5)))
        Progress(share=0.5)
    """
    match message:
        case Ready():
            return b"R"
        case Buy(indices):
            return b"B" + np.asarray(indices, dtype="<i8").tobytes()
        case Time(seconds):
            return b"T" + struct.pack("<d", seconds)
        case Progress(share):
            return b"P" + struct.pack("<d", share)
        case Done(returned):
            return b"D" + struct.pack("<q", returned)
        case Failed(phase, text):
            return b"F" + _text({"phase": phase, "text": text[-LONGEST_TEXT:]})
        case Answer(left, labels):
            return b"A" + struct.pack("<qq", left, len(labels)) + np.ascontiguousarray(labels, dtype=np.uint8).tobytes()
        case Refused(kind, text):
            return b"X" + _text({"kind": kind, "text": text})


def request(packet: bytes) -> Request:
    """Read what an entry says.

    Raises:
        MessageError: if it is not a request, to the last byte.
    """
    read = _REQUESTS.get(packet[:1])
    return read(packet) if read is not None else _refuse("a known kind of message", packet)


def response(packet: bytes, classes: int) -> Response:
    """Read what the host says.

    Args:
        packet: the message.
        classes: number of classes C.

    Raises:
        MessageError: if it is not a response.
    """
    kind, body = packet[:1], packet[1:]
    if kind == b"A" and len(body) >= 16:
        left, count = struct.unpack("<qq", body[:16])
        if len(body) - 16 == count * classes:
            return Answer(left, np.frombuffer(body[16:], dtype=np.uint8).reshape(count, classes))
    if kind == b"T":
        return Time(_double(packet))
    if kind == b"X":
        return Refused(**_json(packet))
    return _refuse("a known kind of answer", packet)


def _ready(packet: bytes) -> Ready:
    return Ready() if len(packet) == 1 else _refuse("nothing more", packet)


def _buy(packet: bytes) -> Buy:
    if len(packet) % 8 != 1 or len(packet) == 1:
        _refuse("whole 8-byte indices, at least one", packet)
    return Buy(np.frombuffer(packet, dtype="<i8", offset=1).astype(np.int64))


def _time(packet: bytes) -> Time:
    return Time(_double(packet))


def _progress(packet: bytes) -> Progress:
    share = _double(packet)
    return Progress(share) if 0 <= share <= 1 else _refuse("a progress from 0 to 1", packet)


def _done(packet: bytes) -> Done:
    if len(packet) != 9:
        _refuse("one 8-byte number", packet)
    return Done(int(struct.unpack("<q", packet[1:])[0]))


def _failed(packet: bytes) -> Failed:
    said = _json(packet)
    if set(said) != {"phase", "text"} or not all(isinstance(value, str) for value in said.values()):
        _refuse("a phase and a text", packet)
    return Failed(_shown(said["phase"][:100]), _shown(said["text"][-LONGEST_TEXT:]))


_REQUESTS: Final[Mapping[bytes, Callable[[bytes], Request]]] = {
    b"R": _ready,
    b"B": _buy,
    b"T": _time,
    b"P": _progress,
    b"D": _done,
    b"F": _failed,
}


class Receiver:
    """Takes messages off a socket.

    In the midst of a purchase it looks for the next message for a moment before it sleeps: where a processor core is
    idle, being woken takes longer than an answer does. Where none is, looking is of no use, and is left for a while.

    Args:
        channel: the socket.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._room = bytearray(LONGEST + 1)
        self._asleep = 0

    def receive(self) -> bytes:
        """Wait for a message.

        Returns:
            The message, or nothing if the other side is gone.

        Raises:
            MessageError: if it is longer than `LONGEST`.
        """
        count = self._look() if self._asleep == 0 else None
        if count is None:
            self._asleep = max(0, self._asleep - 1)
            count = self._channel.recv_into(self._room)
        if count > LONGEST:
            msg = f"Expected messages of at most {LONGEST} bytes, but a longer one came."
            raise MessageError(msg)
        return bytes(memoryview(self._room)[:count])

    def _look(self) -> int | None:
        end = time.perf_counter() + LOOK
        while time.perf_counter() < end:
            try:
                return self._channel.recv_into(self._room, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                os.sched_yield()
        self._asleep = SLEEP
        return None


def _text(content: Mapping[str, str]) -> bytes:
    return json.dumps(content).encode()


def _json(packet: bytes) -> dict[str, Any]:
    try:
        found = json.loads(packet[1:].decode())
    except (ValueError, RecursionError):
        _refuse("JSON", packet)
    if not isinstance(found, dict):
        _refuse("a JSON object", packet)
    return found


def _shown(text: str) -> str:
    """Leave out what would steer a terminal."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def _double(packet: bytes) -> float:
    if len(packet) != 9:
        _refuse("one 8-byte number", packet)
    (value,) = struct.unpack("<d", packet[1:])
    if math.isnan(value):
        _refuse("a number", packet)
    return float(value)


def _refuse(expected: str, packet: bytes) -> NoReturn:
    shown = bytes(packet[:20])
    msg = f"Expected {expected}, but a message of {len(packet)} bytes came that begins {shown!r}."
    raise MessageError(msg)
