"""The first moments of a sealed process: it shuts itself in, gives up every right, and only then runs foreign code.

It is started clean, as a new program: no memory, no open file but the channel, no variable of the environment of the
process that holds the labels.
"""

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from dpc_lightning.starter_kit.seal import landlock, namespaces, seccomp
from dpc_lightning.starter_kit.seal.syscalls import (
    drop_bounding_set,
    drop_capabilities,
    no_new_privileges,
    set_death_signal,
    set_dumpable,
)
from dpc_lightning.starter_kit.seal.view import View

__all__ = ["NOBODY", "main"]

NOBODY: Final = 65_534
"""The user of a sealed process where the host is root."""

LONGEST: Final = 1 << 17


def main(handle: int) -> None:
    """Seal this process as the host says, tell it how, and start Python anew inside.

    Args:
        handle: number of the channel to the host.
    """
    channel = socket.socket(fileno=handle)
    setup = json.loads(channel.recv(LONGEST))
    view = View.of(setup["view"])
    os.umask(0o022)
    set_death_signal(signal.SIGKILL)
    try:
        SEALS[setup["seal"]](channel, setup, view)
    except OSError as error:
        _say(channel, unavailable=str(error))
        sys.exit(1)


def _by_namespaces(channel: socket.socket, setup: Mapping[str, Any], view: View) -> None:
    user = namespaces.leave(NOBODY if os.geteuid() == 0 else os.geteuid())
    inside = os.fork()
    if inside:
        channel.close()
        _, status = os.waitpid(inside, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    set_death_signal(signal.SIGKILL)
    try:
        namespaces.enter(view, user)
        _become(user)
        _give_up_rights(setup["limits"])
    except OSError as error:
        _say(channel, unavailable=str(error))
        os._exit(1)
    runner = os.fork()
    if runner:
        set_dumpable(dumpable=False)  # the entry is the same user, and must not take hold of process 1
        channel.close()
        _be_process_one(runner)
    try:
        seccomp.enter(alone=True)
    except OSError as error:
        _say(channel, unavailable=str(error))
        os._exit(1)
    _say(channel, sealed="namespaces")
    _start_python(channel, setup, namespaces.GIVEN, namespaces.WORK)


def _by_landlock(channel: socket.socket, setup: Mapping[str, Any], view: View) -> None:
    if os.geteuid() == 0:
        if _can_be_reached(view):
            _become(NOBODY)
        elif (
            Path(view.work).stat().st_uid
        ):  # Python is installed where only root can read: root it stays, without rights
            os.chown(view.work, 0, 0)
    known = landlock.enter(view)
    _give_up_rights(setup["limits"])
    seccomp.enter(alone=False)
    _say(channel, sealed=f"Landlock, version {known}")
    _start_python(channel, setup, view.given, view.work)


def _by_nothing(channel: socket.socket, setup: Mapping[str, Any], view: View) -> None:
    _limit(setup["limits"])
    _say(channel, sealed="")
    _start_python(channel, setup, view.given, view.work)


SEALS: Final[Mapping[str, Callable[[socket.socket, Mapping[str, Any], View], None]]] = {
    "namespaces": _by_namespaces,
    "landlock": _by_landlock,
    "none": _by_nothing,
}


def _say(channel: socket.socket, **words: str) -> None:
    channel.send(json.dumps(words).encode())


def _become(user: int) -> None:
    """Be another user; only root can. In a namespace of users of its own it may be the only one there is."""
    if os.geteuid() == 0 and user:
        drop_bounding_set()  # which only root can
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        set_death_signal(signal.SIGKILL)


def _can_be_reached(view: View) -> bool:
    """Say whether a stranger can read the files of the view, as Landlock shows them where they are."""
    shown = [Path(each) for each in (*view.readable, view.given, view.work)]
    folders = {folder for path in shown for folder in path.parents}
    return Path(view.work).stat().st_uid == NOBODY and all(folder.stat().st_mode & 0o001 for folder in folders)


def _give_up_rights(limits: Mapping[str, int]) -> None:
    _limit(limits)
    drop_capabilities()
    no_new_privileges()
    set_dumpable(dumpable=True)  # changing the user took it away, and with it the process's own /proc/self


def _limit(limits: Mapping[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, name)
        _, most = resource.getrlimit(kind)
        allowed = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(kind, (allowed, allowed))


def _be_process_one(runner: int) -> None:
    """Bury the dead until the entry's own process ends; the kernel then ends all others of the namespace."""
    while True:
        ended, status = os.wait()
        if ended == runner:
            code = os.waitstatus_to_exitcode(status)
            os._exit(128 - code if code < 0 else code)


def _start_python(channel: socket.socket, setup: Mapping[str, Any], given: str, work: str) -> None:
    program = [sys.executable, "-I", "-B", "-c", setup["bootstrap"], "run", str(channel.fileno()), given, work]
    try:
        os.set_inheritable(channel.fileno(), True)  # noqa: FBT003
        os.chdir(work)
        os.execve(sys.executable, program, {**setup["environment"], "HOME": work, "TMPDIR": work})  # noqa: S606
    except OSError as error:  # the host has been told that all is well, and hears of the end
        sys.stderr.write(f"Python cannot be started inside: {error}\n")
        sys.stderr.flush()
        os._exit(1)
