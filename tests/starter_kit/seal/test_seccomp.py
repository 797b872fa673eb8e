"""The filter's program, carried out step by step, for processors that are not at hand too."""

import errno
import socket
import struct

import pytest

from dpc_lightning.starter_kit.seal import seccomp

ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000
REFUSED = ERROR | errno.EPERM
MACHINES = tuple(seccomp._ARCHITECTURES)
NEW_USER, NEW_NETWORK, CHILD_SIGNAL = 0x1000_0000, 0x4000_0000, 17


def answer(
    machine: str, call: str | int, first: int = 0, *, alone: bool = True, architecture: int | None = None
) -> int:
    """What the program says to a call with a first argument."""
    column = MACHINES.index(machine)
    numbers = {name: both[column] for name, both in seccomp._NUMBERS.items()}
    own = seccomp._ARCHITECTURES[machine]
    program = seccomp._program(own, numbers, alone=alone)
    number = numbers[call] if isinstance(call, str) else call
    seen = struct.pack("<IIQQ", number, own if architecture is None else architecture, 0, first)
    place, loaded = 0, 0
    for _ in range(len(program)):  # jumps go forward only
        code, true, false, value = program[place]
        place += 1
        if code == 0x20:
            (loaded,) = struct.unpack_from("<I", seen, value)
        elif code == 0x06:
            return value
        else:
            met = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            place += true if met else false
    raise AssertionError


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_refused_is_refused_and_all_else_is_not(machine: str) -> None:
    column = MACHINES.index(machine)
    looked_at = {"clone", "clone3", "prlimit64", "socket"}
    by_number = {both[column]: name for name, both in seccomp._NUMBERS.items() if both[column] >= 0}
    for number in range(470):
        name = by_number.get(number, "")
        if name in looked_at:
            continue
        assert answer(machine, number) == (REFUSED if name in seccomp._REFUSED else ALLOW), name
        loose = answer(machine, number, alone=False)
        if name in seccomp._METADATA:
            assert loose == ERROR, name  # said to have worked
        else:
            assert loose == (REFUSED if name in {*seccomp._REFUSED, *seccomp._SHARED_MEMORY} else ALLOW), name


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_decide_where_they_can_be_seen(machine: str) -> None:
    assert answer(machine, "clone", CHILD_SIGNAL) == ALLOW
    for flag in (NEW_USER, NEW_NETWORK, NEW_USER | CHILD_SIGNAL):
        assert answer(machine, "clone", flag) == REFUSED
    assert answer(machine, "clone3") == ERROR | errno.ENOSYS
    assert answer(machine, "prlimit64", 0) == ALLOW
    assert answer(machine, "prlimit64", 4711) == REFUSED
    assert answer(machine, "socket", socket.AF_UNIX) == ALLOW
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_VSOCK, socket.AF_NETLINK):
        assert answer(machine, "socket", family) == REFUSED
    assert answer(machine, "socket", socket.AF_UNIX, alone=False) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
def test_another_way_into_the_kernel_ends_the_process(machine: str) -> None:
    assert answer(machine, 0, architecture=0x40000003) == KILL  # the numbers of 32 bit
    assert answer(machine, 0x4000_0000 | 41) == KILL  # x32


def test_a_processor_that_is_not_known_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(OSError, match="riscv64"):
        seccomp.enter(alone=True)


def test_numbers_are_named_once() -> None:
    for column in range(len(MACHINES)):
        known = [both[column] for both in seccomp._NUMBERS.values() if both[column] >= 0]
        assert len(set(known)) == len(known)
    assert {*seccomp._REFUSED, *seccomp._SHARED_MEMORY, *seccomp._METADATA} < set(seccomp._NUMBERS)
