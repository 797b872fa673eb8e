"""A file system, process numbers and a network of one's own: the first way of sealing a process."""

import ctypes
import os
from pathlib import Path
from typing import Final

from dpc_lightning.starter_kit.seal.syscalls import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    mount,
    pivot_root,
    syscall,
    umount,
    unshare,
)
from dpc_lightning.starter_kit.seal.view import View

__all__ = ["GIVEN", "WORK", "enter", "leave"]

GIVEN: Final = "/given"
"""Where the process finds `View.given`."""

WORK: Final = "/tmp"  # noqa: S108  of a file system of its own
"""The folder that it may write."""

SHARED: Final = "/dev/shm"  # noqa: S108  likewise
"""Memory that processes share, as data loaders do."""

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

_BIND, _REC, _PRIVATE, _NOSUID, _NODEV, _NOEXEC, _RDONLY, _REMOUNT = 4096, 16384, 1 << 18, 2, 4, 8, 1, 32
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000


def leave(user: int) -> int:
    """Leave the machine's network and processes behind. This process is to fork; the child is process 1.

    Args:
        user: number of the user that the process inside is to be.

    Returns:
        The user that it can be: another one than asked for where there is only one in the namespace.

    Raises:
        OSError: if the kernel, or the container around, does not allow it.
    """
    private = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
    own_user, own_group = os.geteuid(), os.getegid()
    try:
        unshare(private)
    except PermissionError:
        unshare(private | CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(f"{own_user} {own_user} 1", encoding="ascii")
        Path("/proc/self/gid_map").write_text(f"{own_group} {own_group} 1", encoding="ascii")
        return own_user
    return user


def enter(view: View, user: int) -> None:
    """Leave the machine's file system behind; to be called by process 1.

    Args:
        view: what is seen in there. Everything else is not there.
        user: who is going to write into the folders made for it.

    Raises:
        OSError: if the kernel, or the container around, does not allow it.
    """
    mount("none", "/", None, _REC | _PRIVATE)
    root = Path(view.work)  # only a place to stand on: what is written goes to the file system mounted there
    mount("sealed", str(root), "tmpfs", _NOSUID | _NODEV, "mode=0755,size=16m")
    proc = _within(root, "/proc")
    proc.mkdir()
    mount("proc", str(proc), "proc", _NOSUID | _NODEV | _NOEXEC)  # while the machine's own is there, or it is refused
    for folder in (WORK, SHARED):
        _writable(_within(root, folder), view.work_mb, user)
    for path in view.readable:  # after the folder for work: Python may be installed below /tmp
        _show(Path(path), _within(root, path))
    for device in (*DEVICES, *view.devices):
        if Path(device).exists():
            place = _within(root, device)
            _touch(place)
            mount(device, str(place), None, _BIND)
    _within(root, "/dev/fd").symlink_to("/proc/self/fd")
    _show(Path(view.given), _within(root, GIVEN))
    (root / ".old").mkdir()
    pivot_root(str(root), str(root / ".old"))
    os.chdir("/")
    umount("/.old")
    Path("/.old").rmdir()
    mount("sealed", "/", None, _REMOUNT | _BIND | _RDONLY | _NOSUID | _NODEV)


def _within(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _show(source: Path, place: Path) -> None:
    """Make a file or folder appear read-only, with all that is mounted in it."""
    if source.is_symlink():
        if not place.is_symlink() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(source.readlink())
        return
    if source.is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        _touch(place)
    mount(str(source), str(place), None, _BIND | _REC)
    attributes = (ctypes.c_uint64 * 4)(_RDONLY | _NOSUID | _NODEV, 0, 0, 0)  # MOUNT_ATTR_* have the same values
    syscall(
        _MOUNT_SETATTR,
        _AT_FDCWD,
        str(place).encode(),
        _AT_RECURSIVE,
        ctypes.cast(attributes, ctypes.c_void_p),
        ctypes.sizeof(attributes),
    )


def _touch(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch(0o644)


def _writable(place: Path, megabytes: int, user: int) -> None:
    place.mkdir(parents=True, exist_ok=True)
    mount("work", str(place), "tmpfs", _NOSUID | _NODEV, f"mode=0700,uid={user},size={megabytes}m,nr_inodes=100k")
