"""The host's hold on a sealed process: starts it, hears it, and ends it with all that it has started."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Literal

import dpc_lightning
from dpc_lightning.errors import EntryError
from dpc_lightning.starter_kit.seal.cgroup import ControlGroup
from dpc_lightning.starter_kit.seal.syscalls import become_subreaper
from dpc_lightning.starter_kit.seal.view import View

__all__ = ["ENVIRONMENT", "Seal", "SealedProcess"]

Seal = Literal["namespaces", "landlock", "none"]

ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "OMP_WAIT_POLICY": "PASSIVE",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "HF_HUB_OFFLINE": "1",
}
"""All variables that a sealed process has, beside HOME and TMPDIR."""

BOOTSTRAP: Final = """\
import importlib.util, sys
spec = importlib.util.spec_from_file_location("dpc_lightning", {init!r}, submodule_search_locations=[{folder!r}])
sys.modules["dpc_lightning"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["dpc_lightning"])
if sys.argv[1] == "launch":
    from dpc_lightning.starter_kit.seal.launch import main
    main(int(sys.argv[2]))
else:
    from {module} import start
    start(int(sys.argv[2]), sys.argv[3], sys.argv[4])
"""

START_SECONDS: Final = 120.0
"""How long a process may take to seal itself."""

KEPT: Final = 64 * 1024
"""Bytes of what a process prints that are kept, at its beginning and at its end."""


class SealedProcess:
    """A process that sees a view of the machine, has no rights, and can speak to its host over one channel.

    Args:
        module: where its function `start(handle, given, work)` is; it is called inside.
        view: what it sees.
        seal: how it is sealed.
        memory: bytes it may use; where there is no control group its address space is bounded, but not with `cuda`.
        processes: processes and threads that it may have.
        log: file that gets what it prints, shortened.
        cuda: whether it uses a GPU, which needs more address space than memory.

    Attributes:
        channel: the host's end.
        seal: how it is sealed, in words; empty for not at all.

    Raises:
        EntryError: if it cannot be sealed in this way here.
    """

    def __init__(
        self,
        module: str,
        view: View,
        seal: Seal,
        *,
        memory: int,
        processes: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
        cuda: bool = False,
    ) -> None:
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.channel, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self._group = ControlGroup(memory, processes)
        self._loose = seal != "namespaces"
        if self._loose:
            become_subreaper()
        self._others = _children()
        folder = Path(dpc_lightning.__file__).parent
        code = BOOTSTRAP.format(init=str(folder / "__init__.py"), folder=str(folder), module=module)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-B", "-c", code, "launch", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env={**ENVIRONMENT, **(environment or {})},
                start_new_session=True,
            )
        self._log = log
        self._reader = threading.Thread(target=self._keep_output, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        self._group.add(self._process.pid)
        limits = {"RLIMIT_CORE": 0, "RLIMIT_NOFILE": 4096, "RLIMIT_FSIZE": view.work_mb << 20}
        if not self._group.bounds_processes:
            limits["RLIMIT_NPROC"] = processes
        if not self._group.bounds_memory and not cuda:
            limits["RLIMIT_AS"] = memory
        setup = {
            "seal": seal,
            "view": view.as_dict(),
            "limits": limits,
            "environment": {**ENVIRONMENT, **(environment or {})},
            "bootstrap": code,
        }
        try:
            self.seal = self._agree(setup)
        except BaseException:
            self.end()
            raise

    def how_it_ended(self, seconds: float = 5.0) -> str:
        """Say in words how the process ended; waits so long for it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        code = self._process.returncode
        if code is None:
            return "closed the channel and went on"
        number = -code if code < 0 else code - 128 if code > 128 else 0
        if number == signal.SIGKILL and self._group.was_out_of_memory():
            return "was ended because it used more memory than it was allowed"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(number).name}"
        return f"ended with status {code}"

    def end(self) -> None:
        """End it, with all that it has started, and close the log."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._group.end()
        self._process.wait()
        while self._loose and (left := _children() - self._others):  # those that left their session come to us
            for child in left:
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(child, 0)
        with suppress(OSError):
            self.channel.close()
        self._reader.join(5)

    def _agree(self, setup: Mapping[str, object]) -> str:
        self.channel.settimeout(START_SECONDS)
        try:
            self.channel.send(json.dumps(setup).encode())
            packet = self.channel.recv(1 << 17)
        except OSError as error:
            msg = f"The sealed process could not be started: {error}. It printed: {self._printed()}"
            raise EntryError(msg) from error
        if not packet:
            msg = f"The sealed process {self.how_it_ended()} before it was sealed. It printed: {self._printed()}"
            raise EntryError(msg)
        said = json.loads(packet)
        if "unavailable" in said:
            msg = f"Sealing by {setup['seal']} is not to be had here: {said['unavailable']}."
            raise EntryError(msg)
        return str(said["sealed"])

    def _printed(self) -> str:
        self._reader.join(2)
        return self._log.read_text(errors="replace")[-2000:] if self._log.exists() else ""

    def _keep_output(self, pipe: IO[bytes]) -> None:
        """Write the beginning and the end of what the process prints; the rest is read and forgotten."""
        first, last, total = bytearray(), bytearray(), 0
        with suppress(OSError, ValueError), pipe, self._log.open("wb") as log:
            while chunk := pipe.read1(1 << 16):  # type: ignore[attr-defined]
                total += len(chunk)
                room = KEPT - len(first)
                if room > 0:
                    first += chunk[:room]
                    log.write(chunk[:room])
                    log.flush()
                    chunk = chunk[room:]
                last = (last + chunk)[-KEPT:]
            cut = total - len(first) - len(last)
            if cut > 0:
                log.write(f"\n... {cut} bytes left out ...\n".encode())
            log.write(last)


def _children() -> set[int]:
    """List the children of this process, of all its threads."""
    found: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        with suppress(OSError):
            found |= {int(word) for word in (thread / "children").read_text().split()}
    return found
