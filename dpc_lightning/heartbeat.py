"""A small file that says, once a second, what a running process has spent: a kill loses a second of it, no epoch."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

__all__ = ["Heartbeat"]

_SIZE = 512


class Heartbeat:
    """Writes numbers into a file every second, from a thread of its own, while the process lives.

    The file has a fixed size and is overwritten in place by one write: a killed process leaves the numbers of the last
    beat, and a full disk cannot stop them. It is a record and no promise: a power cut may lose or tear it, which `read`
    notices, and a place that cannot be written is left unwritten.

    Args:
        file: the file.
        numbers: gives what to write; called in the thread.
        every: seconds from one beat to the next.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     heart = Heartbeat(Path(folder) / "heartbeat.json", lambda: {"train": 1.5})
        ...     heart.start()
        ...     heart.stop()
        ...     Heartbeat.read(heart.file)
        {'train': 1.5}
    """

    def __init__(self, file: Path, numbers: Callable[[], Mapping[str, float]], every: float = 1.0) -> None:
        self.file = file
        self.every = every
        self._numbers = numbers
        self._handle: int | None = None
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Beat once, and then every second until `stop`; a second call does nothing."""
        if self._thread is not None:
            return
        _SAFE_TO_FORK.add(self._lock)
        self._stopped.clear()
        self.beat()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Beat a last time and end the thread; a second call does nothing."""
        if self._thread is None:
            return
        self._stopped.set()
        self._thread.join()
        self._thread = None
        self.beat()
        _SAFE_TO_FORK.remove(self._lock)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def beat(self) -> None:
        """Write the numbers now."""
        with self._lock, suppress(OSError):
            text = json.dumps(dict(self._numbers()))
            if self._handle is None:
                self._handle = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
            os.pwrite(self._handle, text.ljust(_SIZE - 1).encode() + b"\n", 0)

    def _run(self) -> None:
        while not self._stopped.wait(self.every):
            self.beat()

    @staticmethod
    def read(file: Path) -> dict[str, float]:
        """Read what the last beat said.

        Args:
            file: as given to the heart that wrote it.

        Returns:
            The numbers; none if there is no file, or if it is torn.
        """
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            return {str(name): float(value) for name, value in found.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}


class _ForkGuard:
    """Lets no process be forked off, by a data loader say, while a heart is in the middle of a beat."""

    def __init__(self) -> None:
        self._locks: list[threading.Lock] = []
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._take, after_in_parent=self._give, after_in_child=self._give)

    def add(self, lock: threading.Lock) -> None:
        self._locks.append(lock)

    def remove(self, lock: threading.Lock) -> None:
        self._locks.remove(lock)

    def _take(self) -> None:
        for lock in self._locks:
            lock.acquire()

    def _give(self) -> None:
        for lock in self._locks:
            lock.release()


_SAFE_TO_FORK = _ForkGuard()
