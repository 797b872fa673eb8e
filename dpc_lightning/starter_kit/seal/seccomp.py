"""A filter of system calls: what no entry needs, and what reaches past namespaces and Landlock.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html; numbers of the calls: the kernel's `unistd.h`.
"""

import ctypes
import errno
import platform
import socket
import struct
from collections.abc import Sequence
from typing import Final

from dpc_lightning.starter_kit.seal.syscalls import install_filter

__all__ = ["enter"]

_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_NUMBERS: Final[dict[str, tuple[int, int]]] = {
    # name: number on x86_64, number on aarch64; -1 where there is none
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "open_by_handle_at": (304, 265),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "kexec_load": (246, 104),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "clone": (56, 220),
    "clone3": (435, 435),
    "prlimit64": (302, 261),
    "socket": (41, 198),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "semget": (64, 190),
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, -1),
    "lchown": (94, -1),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}

_REFUSED: Final = (
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "kcmp",
    "pidfd_getfd",
    "add_key",
    "request_key",
    "keyctl",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "open_by_handle_at",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "fsopen",
    "fsmount",
    "move_mount",
    "open_tree",
    "mount_setattr",
    "setns",
    "unshare",
    "reboot",
    "swapon",
    "kexec_load",
    "init_module",
    "finit_module",
)

_SHARED_MEMORY: Final = ("shmget", "msgget", "semget")
"""Outlive the process where there is no namespace for them."""

_METADATA: Final = (
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchown",
    "fchownat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "lremovexattr",
    "fremovexattr",
)
"""Landlock does not know them. They are said to have worked, for libraries call them on files of their own."""

_NEW_NAMESPACES: Final = 0x7E02_0000  # the flags CLONE_NEW* of clone

_LOAD, _JUMP_EQUAL, _JUMP_SET, _JUMP_ABOVE, _RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
_NUMBER, _ARCHITECTURE, _FIRST = 0, 4, 16  # offsets of what a filter sees; the first argument's lower half
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32: Final = 0x4000_0000

_Instruction = tuple[int, int, int, int]


def enter(*, alone: bool) -> None:
    """Filter the system calls of this process and all that it starts; it cannot be undone.

    Args:
        alone: whether the process is in namespaces of its own. If not, it also gets no socket by which it could reach
            another process (pairs of sockets it does get), no shared memory of System V, and changes of permissions,
            owners and attributes are left out.

    Raises:
        OSError: if the kernel has no filters, or the processor is one whose numbers are not known here.
    """
    machine = platform.machine()
    if machine not in _ARCHITECTURES:
        msg = f"no numbers of system calls are known for {machine}"
        raise OSError(msg)
    column = list(_ARCHITECTURES).index(machine)
    program = _program(_ARCHITECTURES[machine], {name: both[column] for name, both in _NUMBERS.items()}, alone=alone)
    packed = b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
    install_filter(ctypes.create_string_buffer(packed, len(packed)), len(program))


def _program(architecture: int, numbers: dict[str, int], *, alone: bool) -> list[_Instruction]:
    refused = [*_REFUSED, *(() if alone else (*_SHARED_MEMORY, "socket"))]
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_ABOVE, 0, 1, _X32),
        (_RETURN, 0, 0, _KILL),
        *_answer([numbers[name] for name in refused], _ERROR | errno.EPERM),
        *_answer([numbers["clone3"]], _ERROR | errno.ENOSYS),  # its flags cannot be seen; libraries then call clone
        *_answer([] if alone else [numbers[name] for name in _METADATA], _ERROR),
        *_arguments(numbers),
    ]


def _arguments(numbers: dict[str, int]) -> list[_Instruction]:
    """Look at the first argument of three calls; all else is allowed."""
    refuse: _Instruction = (_RETURN, 0, 0, _ERROR | errno.EPERM)
    allow: _Instruction = (_RETURN, 0, 0, _ALLOW)
    return [
        (_JUMP_EQUAL, 0, 4, numbers["clone"]),
        (_LOAD, 0, 0, _FIRST),
        (_JUMP_SET, 0, 1, _NEW_NAMESPACES),
        refuse,
        allow,
        (_JUMP_EQUAL, 0, 4, numbers["prlimit64"]),
        (_LOAD, 0, 0, _FIRST),
        (_JUMP_EQUAL, 1, 0, 0),
        refuse,
        allow,
        (_JUMP_EQUAL, 0, 4, numbers["socket"]),
        (_LOAD, 0, 0, _FIRST),
        (_JUMP_EQUAL, 1, 0, int(socket.AF_UNIX)),
        refuse,
        allow,
        allow,
    ]


def _answer(numbers: Sequence[int], answer: int) -> list[_Instruction]:
    """Give calls an answer in place of carrying them out."""
    found: list[_Instruction] = []
    for number in numbers:
        if number >= 0:
            found += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, answer)]
    return found
