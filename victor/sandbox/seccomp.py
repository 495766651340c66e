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
_FIRST_ARGUMENT = 16
_SECOND_ARGUMENT = 24

_ALLOW = 0x7FFF0000
_ERROR = 0x00050000
_X32 = 0x40000000
_CLONE_NEWUSER = 0x10000000
_TIOCSTI = 0x5412
_TIOCLINUX = 0x541C


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


_IO_URING = (425, 426, 427)
_CLONE3 = 435
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
        ),
        "aarch64": _Machine(
            0xC00000B7,
            (217, 218, 219, 280, 241, 282, *_IO_URING),
            clone=220,
            unshare=97,
            ioctl=29,
            socket=198,
            properties=(*range(5, 8), *range(14, 17), *range(52, 56), *_NEWER),
        ),
    }
)


def seccomp_program(
    *, sockets: bool = True, files: bool = True, machine: str | None = None
) -> bytes | None:
    """Return the filter; None for an architecture whose numbers are not known.

    Args:
        sockets: whether a command may open any.
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
    # Its flags are in memory, where a filter cannot look; without it the C library takes clone.
    program += [_step(_IF_EQUAL, _CLONE3, 0, 1), _step(_RETURN, _ERROR | errno.ENOSYS)]
    for number in (row.clone, row.unshare):
        new_user = [_step(_IF_ANY_BIT, _CLONE_NEWUSER, 0, 1), refuse]
        program += _with_argument(number, _FIRST_ARGUMENT, new_user)
    typing = [_step(_IF_EQUAL, _TIOCSTI, 1, 0), _step(_IF_EQUAL, _TIOCLINUX, 0, 1), refuse]
    program += _with_argument(row.ioctl, _SECOND_ARGUMENT, typing)
    return b"".join([*program, _step(_RETURN, _ALLOW)])


def _with_argument(number: int, offset: int, checks: Sequence[bytes]) -> list[bytes]:
    """Return checks of an argument's low half, for one system call; all others skip them."""
    load, reload = _step(_LOAD, offset), _step(_LOAD, _NUMBER)
    return [_step(_IF_EQUAL, number, 0, len(checks) + 2), load, *checks, reload]


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
