"""Rules of the kernel for which files a process may open: the second way of sealing it, where there are no namespaces.

Source: https://docs.kernel.org/userspace-api/landlock.html (access rights by version of the interface).
"""

import ctypes
import os
from pathlib import Path
from typing import Final

from dpc_lightning.starter_kit.seal.syscalls import no_new_privileges, syscall
from dpc_lightning.starter_kit.seal.view import View

__all__ = ["enter", "version"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE: Final = 1 << 14
_RIGHTS: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights over files that the interface knows, by the version that brought them."""

_READ: Final = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | (1 << 15)
_CONNECTIONS: Final = 3  # bind and connect of TCP
_SCOPES: Final = 3  # abstract sockets and signals of processes outside

STATE: Final = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system", "/proc/sys/vm/overcommit_memory")
"""What libraries read of the machine."""


def version() -> int:
    """Say which version of the interface the kernel has; 0 for none."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def enter(view: View) -> int:
    """Restrict this process, and all that it starts, to a view; it cannot be undone.

    Args:
        view: what may be read and written.

    Returns:
        The version of the interface. From 4 on no TCP connection can be made or taken, from 6 on no process outside
        gets a signal.

    Raises:
        OSError: if the kernel has no Landlock.
    """
    known = version()
    if known < 1:
        msg = "the kernel has no Landlock"
        raise OSError(msg)
    handled = max(rights for since, rights in _RIGHTS.items() if since <= known)
    fields = [handled, _CONNECTIONS if known >= 4 else 0, _SCOPES if known >= 6 else 0]
    size = 8 * (1 if known < 4 else 2 if known < 6 else 3)
    attributes = (ctypes.c_uint64 * 3)(*fields)
    rules = syscall(_CREATE_RULESET, ctypes.cast(attributes, ctypes.c_void_p), size, 0)
    for path in (*view.readable, view.given, *STATE, "/dev/urandom", "/dev/random", "/dev/zero"):
        _allow(rules, path, _READ & handled)
    for path in (view.work, "/dev/null", *view.devices):
        _allow(rules, path, handled)
    no_new_privileges()
    syscall(_RESTRICT_SELF, rules, 0)
    os.close(rules)
    return known


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not Path(path).is_dir():
            rights &= _OF_FILES
        packed = rights.to_bytes(8, "little") + place.to_bytes(4, "little")
        rule = ctypes.create_string_buffer(packed, len(packed))
        syscall(_ADD_RULE, rules, _PATH_BENEATH, ctypes.cast(rule, ctypes.c_void_p), 0)
    finally:
        os.close(place)
