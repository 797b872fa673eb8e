"""A control group for a process and all its children: bounds of memory and number, and an end for all at once."""

import os
import secrets
import signal
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["PREFIX", "ControlGroup", "left_behind"]

PREFIX: Final = "dpc-entry-"
"""Names of control groups and of folders handed to entries begin so; the number of the host's process follows."""


class ControlGroup:
    """Control groups of version 2 or 1, as far as this user may make them.

    Args:
        memory: bytes that all members may use, files in memory included.
        processes: processes and threads that may be members.

    Attributes:
        bounds_memory: whether the memory is bounded.
        bounds_processes: whether the number of processes is.
    """

    def __init__(self, memory: int, processes: int) -> None:
        self.bounds_memory = self.bounds_processes = False
        self._folders: list[Path] = []
        name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
        for kind, parent in _parents().items():
            for left in left_behind(parent):
                _end(left)
            folder = parent / name
            try:
                folder.mkdir()
            except OSError:
                continue
            self._folders.append(folder)
            two = kind == "2"
            if two or kind == "memory":
                done = _write(folder / ("memory.max" if two else "memory.limit_in_bytes"), memory)
                _write(folder / ("memory.swap.max" if two else "memory.memsw.limit_in_bytes"), 0 if two else memory)
                self.bounds_memory |= done
            if two or kind == "pids":
                self.bounds_processes |= _write(folder / "pids.max", processes)

    def add(self, process: int) -> None:
        """Make a process a member; what it starts from now on is one too."""
        for folder in self._folders:
            if not _write(folder / "cgroup.procs", process):
                self.bounds_memory = self.bounds_processes = False

    def was_out_of_memory(self) -> bool:
        """Say whether a member was ended because the memory was used up."""
        for folder in self._folders:
            for file in ("memory.events", "memory.oom_control"):
                with suppress(OSError):
                    facts = dict(line.split() for line in (folder / file).read_text().splitlines())
                    if int(facts.get("oom_kill", 0)):
                        return True
        return False

    def end(self) -> None:
        """Kill every member and remove the group."""
        for folder in self._folders:
            _end(folder)
        self._folders.clear()


def left_behind(place: Path) -> list[Path]:
    """List folders of hosts that have died: those that are named `dpc-entry-PROCESS-…`, of a process that is not there.

    Args:
        place: where they are.
    """
    found = []
    for folder in place.glob(f"{PREFIX}*-*"):
        process = folder.name.removeprefix(PREFIX).partition("-")[0]
        try:
            if folder.lstat().st_uid != os.geteuid():
                continue
            os.kill(int(process), 0)
        except ProcessLookupError:
            found.append(folder)
        except (ValueError, OSError):
            continue
    return found


def _end(folder: Path) -> None:
    _write(folder / "cgroup.kill", 1)
    for _ in range(200):
        for process in _members(folder):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)
        with suppress(OSError):
            folder.rmdir()
            break
        time.sleep(0.01)


def _parents() -> dict[str, Path]:
    """Find where groups can be made: by kind of controller for version 1, or `2`."""
    found: dict[str, Path] = {}
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
            _, kinds, place = line.split(":", 2)
            if not kinds:
                group = Path("/sys/fs/cgroup") / place.strip("/")
                with suppress(OSError):
                    if {"memory", "pids"} <= set((group / "cgroup.subtree_control").read_text().split()):
                        found["2"] = group
            for kind in {"memory", "pids"} & set(kinds.split(",")):
                mounted = Path("/sys/fs/cgroup") / kind
                inner = mounted / place.strip("/")
                if mounted.is_dir():
                    found[kind] = inner if inner.is_dir() else mounted
    return found


def _members(folder: Path) -> list[int]:
    with suppress(OSError):
        return [int(line) for line in (folder / "cgroup.procs").read_text().split()]
    return []


def _write(file: Path, value: int) -> bool:
    try:
        file.write_text(str(value), encoding="ascii")
    except OSError:
        return False
    return True
