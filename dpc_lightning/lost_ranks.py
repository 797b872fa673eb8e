"""What a rank does when another one is gone: it ends soon, and says what to do.

A rank that waits for a lost one is told so by gloo at once, by NCCL late. Launchers end the ranks that they started:
torchrun always does, Lightning's when one of its children is lost. Nobody ends the children of a launcher that is lost
itself, and a rank that scores or picks does not notice: so each rank watches the process that has started it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch

from dpc_lightning.errors import RankLostError

__all__ = ["PARENT", "StarterWatch", "name_lost_ranks"]

PARENT = "DPC_LIGHTNING_STARTER"
"""Variable in which a process that may start ranks leaves its id for them."""

GOES_ON = "The same command with the same `--run_dir` goes on from the last checkpoint."


@contextmanager
def name_lost_ranks() -> Iterator[None]:
    """Turn what a backend says when a rank is gone into an error of this package.

    Raises:
        RankLostError: in place of the backend's error.
    """
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.distributed.DistError) or "gloo/transport" in str(error)):
            raise
        msg = f"Another rank has ended or cannot be reached any more, so this one ends too. {GOES_ON} ({error})"
        raise RankLostError(msg) from error


class StarterWatch(threading.Thread):
    """Ends this process when the one that started it has ended.

    Args:
        environ: the variables of this process. A process that no launcher started as a rank watches nothing.
        every: seconds from one look to the next.
        end: what ends the process; the default asks nobody, because the main thread may wait for a rank for ever.

    Example:
        >>> StarterWatch.of({}) is None
        True
    """

    def __init__(
        self, environ: Mapping[str, str], *, every: float = 1.0, end: Callable[[int], object] = os._exit
    ) -> None:
        super().__init__(name="starter-watch", daemon=True)
        self._rank = environ.get("RANK", environ.get("LOCAL_RANK", "?"))
        self._starter = os.getppid() if "TORCHELASTIC_RUN_ID" in environ else int(environ.get(PARENT, os.getppid()))
        self._every = every
        self._end = end

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "StarterWatch | None":
        """Make a watch if this process is a rank that torchrun or Lightning's launcher has started.

        Args:
            environ: the variables of this process.
        """
        local = environ.get("LOCAL_RANK")
        if local is None or (local == "0" and "TORCHELASTIC_RUN_ID" not in environ):  # Lightning's rank 0 starts itself
            return None
        return cls(environ)

    def run(self) -> None:
        """Look again and again; end this process once its starter is gone."""
        while os.getppid() == self._starter:
            time.sleep(self._every)
        msg = f"error: the process that started rank {self._rank} has ended, so this rank ends too. {GOES_ON}"
        print(msg, file=sys.stderr, flush=True)
        self._end(1)
