"""A seccomp filter: system calls that no command needs and that lead around a sandbox.

Builds the program as bytes (https://docs.kernel.org/userspace-api/seccomp_filter.html). Knows
nothing about who loads it.
"""

from __future__ import annotations

import errno
import platform
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["seccomp_program"]

# Instructions of classic BPF: linux/bpf_common.h.
_LOAD = 0x20
_IF_EQUAL = 0x15
_IF_AT_LEAST = 0x35
_IF_ANY_BIT = 0x45
_RETURN = 0x06

# struct seccomp_data: linux/seccomp.h.
_NUMBER = 0
_ARCHITECTURE = 4
_ARGUMENTS = 16
_ARGUMENT_BYTES = 8

_ALLOW = 0x7FFF0000
_ERROR = 0x00050000
_X32 = 0x40000000
_CLONE_NEWUSER = 0x10000000
_AF_UNIX = 1
_TIOCSTI = 0x5412
_TIOCLINUX = 0x541C
_CREATES = 0o20000100
"""O_CREAT and the bit of O_TMPFILE that is its own; without them nobody has to give a mode."""
_SET_IDS = 0o6000
"""A file with these bits runs with the rights of its owner or group, also for others outside."""


@dataclass(frozen=True, slots=True)
class _Machine:
    """Numbers of one architecture: linux/audit.h, asm/unistd.h."""

    audit: int
    refused: tuple[int, ...]
    """add_key, request_key, keyctl, bpf, perf_event_open, userfaultfd, io_uring."""
    clone: int
    unshare: int
    ioctl: int
    socket: int
    properties: tuple[int, ...]
    """chmod, chown, setxattr and their kin: Landlock lets everybody change them on any path."""
    modes: tuple[tuple[int, int], ...]
    """chmod, creat, mknod and their kin, with the position of the mode among the arguments."""
    opening: tuple[tuple[int, int], ...]
    """open and openat, with the position of the flags; the mode follows."""


_IO_URING = (425, 426, 427)
_OPENAT2 = 437
_CLONE3 = 435
_FCHMODAT2 = (452, 2)
_NEWER = (452, 463, 466, 469)
"""fchmodat2, setxattrat, removexattrat, file_setattr: the same number everywhere."""

_MACHINES: Mapping[str, _Machine] = MappingProxyType(
    {
        "x86_64": _Machine(
            0xC000003E,
            (248, 249, 250, 321, 298, 323, *_IO_URING),
            clone=56,
            unshare=272,
            ioctl=16,
            socket=41,
            properties=(*range(90, 95), *range(188, 191), *range(197, 200), 260, 268, *_NEWER),
            modes=((85, 1), (90, 1), (91, 1), (133, 1), (259, 2), (268, 2), _FCHMODAT2),
            opening=((2, 1), (257, 2)),
        ),
        "aarch64": _Machine(
            0xC00000B7,
            (217, 218, 219, 280, 241, 282, *_IO_URING),
            clone=220,
            unshare=97,
            ioctl=29,
            socket=198,
            properties=(*range(5, 8), *range(14, 17), *range(52, 56), *_NEWER),
            modes=((33, 2), (52, 1), (53, 2), _FCHMODAT2),
            opening=((56, 2),),
        ),
    }
)


def seccomp_program(
    *,
    sockets: bool = True,
    local: bool = True,
    files: bool = True,
    machine: str | None = None,
) -> bytes | None:
    """Return the filter; None for an architecture whose numbers are not known.

    Args:
        sockets: whether a command may open any.
        local: whether also such as lead to other programs by the name of a file.
        files: whether it may change the owner, mode and attributes of files.
        machine: as in `platform.machine()`; None for this one.
    """
    row = _MACHINES.get(platform.machine() if machine is None else machine)
    if row is None:
        return None
    refused = (*row.refused, *(() if sockets else (row.socket,)))
    refused += () if files else row.properties
    refuse = _step(_RETURN, _ERROR | errno.EPERM)
    program = [_step(_LOAD, _ARCHITECTURE), _step(_IF_EQUAL, row.audit, 1, 0), refuse]
    program += [_step(_LOAD, _NUMBER), _step(_IF_AT_LEAST, _X32, 0, 1), refuse]
    for number in refused:
        program += [_step(_IF_EQUAL, number, 0, 1), refuse]
    # Their flags are in memory, where a filter cannot look; without them programs take others.
    for number in (_CLONE3, _OPENAT2):
        program += [_step(_IF_EQUAL, number, 0, 1), _step(_RETURN, _ERROR | errno.ENOSYS)]
    for number in (row.clone, row.unshare):
        program += _with(number, [_load(0), _step(_IF_ANY_BIT, _CLONE_NEWUSER, 0, 1), refuse])
    if not local:
        unix = [_load(0), _step(_IF_EQUAL, _AF_UNIX, 0, 1), refuse]
        program += _with(row.socket, unix)
    typing = [_step(_IF_EQUAL, _TIOCSTI, 1, 0), _step(_IF_EQUAL, _TIOCLINUX, 0, 1), refuse]
    program += _with(row.ioctl, [_load(1), *typing])
    set_ids = [_step(_IF_ANY_BIT, _SET_IDS, 0, 1), refuse]
    for number, mode in row.modes:
        program += _with(number, [_load(mode), *set_ids])
    for number, flags in row.opening:
        creates = [_load(flags), _step(_IF_ANY_BIT, _CREATES, 0, 1 + len(set_ids))]
        program += _with(number, [*creates, _load(flags + 1), *set_ids])
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _with(number: int, checks: Sequence[bytes]) -> list[bytes]:
    """Return checks of the arguments of one system call; all others skip them."""
    return [_step(_IF_EQUAL, number, 0, len(checks) + 1), *checks, _step(_LOAD, _NUMBER)]


def _load(argument: int) -> bytes:
    """Return the step that looks at the low half of an argument; all that is checked fits in it."""
    return _step(_LOAD, _ARGUMENTS + _ARGUMENT_BYTES * argument)


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
