"""A lock that names its holder and goes with it, whatever the holder leaves behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpc_lightning.errors import LedgerError, RunDirError
from dpc_lightning.process_lock import ProcessLock

HOLDER = """
import os, sys, time
from pathlib import Path
from dpc_lightning.errors import RunDirError
from dpc_lightning.process_lock import ProcessLock
lock = ProcessLock(Path(sys.argv[1]), name="x", way_out="", error=RunDirError)
worker = os.fork() if len(sys.argv) > 2 else 0
if worker or len(sys.argv) < 3:
    print("held", worker, flush=True)
time.sleep(60)
"""


def take(file: Path, wait_seconds: float = 0.0) -> ProcessLock:
    return ProcessLock(file, name="The room", way_out="Knock.", error=RunDirError, wait_seconds=wait_seconds)


def hold(file: Path, *more: str) -> tuple["subprocess.Popen[str]", int]:
    """Another process that holds the lock, and the number of the worker that it forked, or 0."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(file), *more], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    return holder, int(holder.stdout.readline().split()[1])


def test_who_is_refused_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    holder, _ = hold(file)
    with holder:
        said = rf"The room is in use by process {holder.pid} on {re.escape(os.uname().nodename)} since 2\S+ \S+\. Knock"
        for _ in range(2):
            with pytest.raises(RunDirError, match=said):
                take(file)
        with pytest.raises(LedgerError, match="in use"):
            ProcessLock(file, name="y", way_out="", error=LedgerError)
        begun = time.monotonic()
        with pytest.raises(RunDirError, match=r"This process waited 0\.2 s\. Knock"):
            take(file, wait_seconds=0.2)
        assert 0.2 <= time.monotonic() - begun < 5
        holder.kill()
    take(file).release()  # a killed process holds nothing


def test_a_forked_worker_that_outlives_the_killed_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    holder, worker = hold(file, "with a worker")
    assert worker
    try:
        holder.kill()
        holder.wait()
        os.kill(worker, 0)  # it lives
        lock = take(file)
        os.kill(worker, signal.SIGTERM)
        with pytest.raises(RunDirError, match=f"process {os.getpid()} "):
            take(file)  # the worker's end takes nothing away from the new holder
        lock.release()
    finally:
        os.kill(worker, signal.SIGKILL)
        assert holder.stdout is not None
        holder.stdout.close()


def test_who_waits_gets_it_as_soon_as_it_is_free(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    holder, _ = hold(file)
    with holder:
        timer = subprocess.Popen([sys.executable, "-c", f"import time, os; time.sleep(.2); os.kill({holder.pid}, 9)"])
        take(file, wait_seconds=30).release()
        timer.wait()
    assert holder.returncode == -signal.SIGKILL


def test_a_file_that_is_no_lock_is_named(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    file.write_bytes(b"something else" * 99)
    with pytest.raises(RunDirError, match=rf"{file}: file is not a database\. .* remove it"):
        take(file)
    file.write_bytes(b"")  # what the lock of an earlier version has left
    take(file).release()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunDirError, match=r"The room cannot be locked by .*Check free space and permissions"):
        take(tmp_path / "no" / ".lock")
