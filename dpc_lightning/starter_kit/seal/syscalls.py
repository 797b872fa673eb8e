"""The calls of the Linux kernel that Python has no function for."""

import ctypes
import errno
import os
import platform
from contextlib import suppress
from typing import Final

__all__ = [
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "become_subreaper",
    "drop_bounding_set",
    "drop_capabilities",
    "install_filter",
    "mount",
    "no_new_privileges",
    "pivot_root",
    "set_death_signal",
    "set_dumpable",
    "syscall",
    "umount",
    "unshare",
]

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUTS: Final = 0x0400_0000
CLONE_NEWIPC: Final = 0x0800_0000
CLONE_NEWUSER: Final = 0x1000_0000
CLONE_NEWPID: Final = 0x2000_0000
CLONE_NEWNET: Final = 0x4000_0000

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_CAPBSET_DROP: Final = 24
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_LAST_CAPABILITY: Final = 63
_PIVOT_ROOT: Final = {"x86_64": 155, "aarch64": 41}
_UMOUNT_DETACH: Final = 2

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | bytes | ctypes.c_void_p | None) -> int:
    """Make a system call.

    Raises:
        OSError: if the kernel refuses it.
    """
    return _checked(_libc.syscall(ctypes.c_long(number), *(_long(each) for each in arguments)), f"system call {number}")


def unshare(flags: int) -> None:
    """Put this process, or its children to come (process ids), into new namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """Mount a file system."""
    words = (each.encode() if each is not None else None for each in (source, target, kind))
    said = data.encode() if data is not None else None
    _checked(_libc.mount(*words, ctypes.c_ulong(flags), said), f"mount {target}")


def umount(target: str) -> None:
    """Take a file system out of the tree, now, whoever still uses it."""
    _checked(_libc.umount2(target.encode(), _UMOUNT_DETACH), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """Make `new` the root, and put the old one at `old`."""
    number = _PIVOT_ROOT.get(platform.machine())
    if number is None:
        msg = f"no system call number of pivot_root is known for {platform.machine()}"
        raise OSError(msg)
    syscall(number, new.encode(), old.encode())


def no_new_privileges() -> None:
    """Let no program that is started from here gain a right by being set-uid."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install_filter(instructions: "ctypes.Array[ctypes.c_char]", count: int) -> None:
    """Filter system calls by a program; needs `no_new_privileges` before."""
    program = _Program(count, ctypes.cast(instructions, ctypes.c_void_p))
    zero = ctypes.c_ulong(0)
    done = _libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), ctypes.byref(program), zero, zero)
    _checked(done, "filter of system calls")


def become_subreaper() -> None:
    """Become the parent of those whose parents end, among all that this process has started."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(*, dumpable: bool) -> None:
    """Let others of the same user read this process's memory, environment and handles, or not."""
    _prctl(_PR_SET_DUMPABLE, int(dumpable))


def set_death_signal(number: int) -> None:
    """Have the kernel send this signal when the parent ends. Changing the user takes it back."""
    _prctl(_PR_SET_PDEATHSIG, number)


def drop_bounding_set() -> None:
    """Let no program that is started from here ever get a capability, where that is allowed."""
    for number in range(_LAST_CAPABILITY + 1):
        try:
            _prctl(_PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno not in {errno.EINVAL, errno.EPERM}:
                raise
            break  # past the last one that this kernel knows, or not ours to drop: nothing that is started gains any


def drop_capabilities() -> None:
    """Give up every capability, for good."""
    with suppress(OSError):  # of an old kernel
        _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)(0, 0, 0, 0, 0, 0)
    _checked(_libc.capset(header, none), "capset")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def _long(value: int | bytes | ctypes.c_void_p | None) -> ctypes.c_long | bytes | ctypes.c_void_p | None:
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
