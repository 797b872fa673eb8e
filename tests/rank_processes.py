"""Processes of several ranks, started as a person starts them, of which nothing outlives a test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Self

import pytest

HERE = Path(__file__).parents[1]


def torchrun(ranks: int) -> tuple[str, ...]:
    """Words after `python` that start so many processes of this package."""
    return ("-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}", "-m", "dpc_lightning")


class Started:
    """Python with these words as a process; nothing of it outlives the block."""

    def __init__(self, *command: str, **environ: str) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LOCAL_", "DPC_"))}
        self._said = TemporaryFile("w+")  # noqa: SIM115  closed at the end of the block
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=HERE,
            env=inherited | {"OMP_NUM_THREADS": "1"} | environ,
            stdout=self._said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)  # torchrun's ranks are in groups of their own: it ends them
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(40)
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._said.close()

    def wait_for(self, reached: Callable[[], bool], seconds: float = 240) -> None:
        """Wait until it has come so far."""
        deadline = time.monotonic() + seconds
        while not reached():
            assert self._process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.05)

    def end(self, seconds: float) -> tuple[int, str]:
        """Wait for its end; gives the exit status and everything it said."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still running after {seconds} s:\n{self.said}")
        time.sleep(0.2)  # a rank that another process than this one has started may end a moment later
        for _ in range(20):
            if not self._left():
                break
            time.sleep(0.2)
        return status, self.said

    @property
    def said(self) -> str:
        """Everything it has said."""
        self._said.seek(0)
        return self._said.read()

    def _left(self) -> bool:
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True


def start(*command: str, seconds: float = 300, **environ: str) -> tuple[int, str]:
    """Run Python with these words to its end; gives the exit status and everything it said."""
    with Started(*command, **environ) as started:
        return started.end(seconds)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked for its status does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
