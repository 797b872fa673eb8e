"""Another process that holds the folder of a run."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from dpc_lightning.run_dir import RunDir

CODE = """
import pathlib, sys
from dpc_lightning.run_dir import RunDir
with RunDir(pathlib.Path(sys.argv[1])).locked():
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another_process(run_dir: RunDir) -> Iterator[None]:
    """Let another process hold a folder for the time of the block, then kill it."""
    command = [sys.executable, "-c", CODE, str(run_dir.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        try:
            yield
        finally:
            holder.kill()
