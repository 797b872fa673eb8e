"""Sells labels to an entry's process, and keeps the budgets: the only side that holds a label that is not bought."""

import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal

from dpc_lightning.errors import BudgetExceededError, InvalidIndexError
from dpc_lightning.purchase.ledger import Ledger
from dpc_lightning.starter_kit.messages import (
    Answer,
    Buy,
    Done,
    Failed,
    MessageError,
    Progress,
    Ready,
    Receiver,
    Refused,
    Request,
    Response,
    Time,
    most_indices,
    pack,
    request,
)

__all__ = ["Ending", "PurchaseServer"]

How = Literal["finished", "raised", "out of time", "gone", "malformed"]

START_SECONDS: Final = 300.0
"""How long an entry's process may take before its own code is imported."""

SHOWN_EVERY: Final = 0.1
"""Seconds between two reports of progress, at least."""

TICK: Final = 0.5
"""Seconds between two looks at the clock."""


@dataclass(frozen=True)
class Ending:
    """How an entry ended.

    Attributes:
        how: `finished`; `raised`, an exception of the entry; `out of time`; `gone`, the process ended by itself;
            `malformed`, it sent what is no message.
        text: what there is to say about it.
        seconds: of the compute budget that were used.
        returned: how many indices the last phase returned; -1 for none.
    """

    how: How
    text: str = ""
    seconds: float = 0.0
    returned: int = -1


class PurchaseServer:
    """Answers an entry's process until it has finished, fails, or its time is up.

    Every label sold is in the ledger before it is answered. The clock begins when the entry's own code is about to be
    imported. When it has run out nothing is sold any more; the entry may still finish within the grace period.

    Args:
        channel: the host's end.
        ledger: where labels are bought.
        seconds: compute budget; None for no limit.
        grace: seconds between the end of the compute budget and the end of the process.
        on_progress: is told how far the entry is, and how many labels it has bought.
        clock: gives seconds that only grow.
    """

    def __init__(
        self,
        channel: socket.socket,
        ledger: Ledger,
        *,
        seconds: float | None,
        grace: float,
        on_progress: Callable[[float, int], object] = lambda share, bought: None,  # noqa: ARG005
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._channel = channel
        self._ledger = ledger
        self._seconds = seconds
        self._grace = grace
        self._on_progress = on_progress
        self._clock = clock
        self._began: float | None = None
        self._share = 0.0
        self._shown = 0.0
        self._resets = 0
        self._receiver = Receiver(channel)
        self._most = most_indices(len(ledger.classes))

    def serve(self) -> Ending:
        """Answer until the end.

        Returns:
            How it ended; the ledger has what was bought, whatever it is.
        """
        start = self._clock()
        self._channel.setblocking(True)  # noqa: FBT003  the kernel wakes it: one call less a message than a time-out
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._channel.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", 0, int(TICK * 1e6)))
        while True:
            if self._began is None and self._clock() - start > START_SECONDS:
                return Ending("gone", f"Its process was not ready within {START_SECONDS:.0f} seconds.")
            if self._left() < -self._grace:
                return self._ending("out of time", f"It was ended {self._grace:g} seconds after its time was up.")
            try:
                packet = self._hear()
                if packet is None:
                    continue
                ending = self._heed(request(packet)) if packet else self._ending("gone", "")
            except MessageError as error:
                return self._ending("malformed", str(error))
            if ending is not None:
                return ending

    def _hear(self) -> bytes | None:
        """Take one message: nothing if the entry is gone, None if it has said nothing for a while."""
        try:
            return self._receiver.receive()
        except BlockingIOError:
            return None
        except ConnectionError:
            self._resets += 1  # it left with answers unread; what it had said before can still be heard
            return None if self._resets == 1 else b""

    def _heed(self, said: Request) -> Ending | None:
        match said:
            case Ready():
                self._began = self._began if self._began is not None else self._clock()
            case Buy(indices):
                if len(indices) > self._most:
                    return self._ending("malformed", f"Expected at most {self._most} indices in a message.")
                self._answer(self._sell(said))
                self._show()
            case Time():
                self._answer(Time(max(0.0, self._left())))
            case Progress(share):
                self._share = share
                self._show()
            case Done(returned):
                return self._ending("finished", "", returned)
            case Failed(phase, text):
                return self._ending("raised", f"In `{phase}`:\n{text}")
        return None

    def _sell(self, wanted: Buy) -> Answer | Refused:
        if self._began is None or self._left() <= 0:
            return Refused("time", "The compute budget is used up: nothing more is sold.")
        try:
            labels = self._ledger.buy(wanted.indices, round=1)
        except BudgetExceededError:
            left = self._ledger.left
            return Refused("budget", f"{left} of {self._ledger.budget} labels are left: nothing was bought.")
        except InvalidIndexError as error:
            return Refused("index", str(error)[:1000])
        return Answer(self._ledger.left, labels)

    def _answer(self, message: Response) -> None:
        """Send an answer; an entry that does not take it is not waited for."""
        with suppress(BlockingIOError, ConnectionError):
            self._channel.send(pack(message))

    def _show(self) -> None:
        if self._clock() - self._shown > SHOWN_EVERY:
            self._shown = self._clock()
            self._on_progress(self._share, self._ledger.rows)

    def _left(self) -> float:
        if self._began is None or self._seconds is None:
            return float("inf")
        return self._seconds - (self._clock() - self._began)

    def _ending(self, how: How, text: str, returned: int = -1) -> Ending:
        spent = 0.0 if self._began is None else self._clock() - self._began
        if how == "finished" and self._left() < 0:
            text = "It finished after its time was up; what it bought in time counts."
        return Ending(how, text, spent, returned)
