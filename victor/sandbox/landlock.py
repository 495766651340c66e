"""Confines a command with Landlock and a filter of system calls, where namespaces are switched off.

https://docs.kernel.org/userspace-api/landlock.html. Rights only add up on the way down a path, so a
read-only directory cannot lie in a writable one: the entries of the workspace are writable, the
workspace itself is not, and no new names can be made directly in it, nor in any directory that
leads to something protected. Knows nothing about processes; `launcher.py` applies what is decided.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from victor.sandbox.masks import guarded_names
from victor.sandbox.policy import Command, Policy
from victor.sandbox.seccomp import seccomp_program

__all__ = ["Landlock", "landlock_version", "launched"]

_LAUNCHER = Path(__file__).with_name("launcher.py")

# linux/landlock.h
_CREATE_RULESET = 444
_ASK_VERSION = 1
_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIRECTORY = 1 << 3
_MAKE_CHARACTER_DEVICE = 1 << 6
_MAKE_BLOCK_DEVICE = 1 << 11
_TRUNCATE = 1 << 14
_DEVICE_IOCTL = 1 << 15
_FILES_OF_VERSION_3 = (1 << 15) - 1
_TCP = 0b11
_SIGNALS_AND_ABSTRACT_SOCKETS = 0b11

_READ = _EXECUTE | _READ_FILE | _READ_DIRECTORY
_WRITE = _FILES_OF_VERSION_3 & ~_MAKE_CHARACTER_DEVICE & ~_MAKE_BLOCK_DEVICE
_WRITE_ONE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE

_LEAST_VERSION = 3
"""The first that keeps a command from emptying files."""

_SCOPED_SINCE = 6

_SYSTEM = ("/bin", "/etc", "/gnu", "/lib", "/lib32", "/lib64", "/libx32", "/nix", "/opt", "/proc")
_SYSTEM_TOO = ("/sbin", "/sys", "/usr", "/var/lib")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_OWN_TERMINAL = "/proc/self/fd/0"
"""What `launcher.py` opens by it, and no other: a rule for a directory would be one for all."""


@functools.cache
def landlock_version() -> int:
    """Return the version of Landlock's interface; 0 where the kernel has none."""
    if sys.platform != "linux":
        return 0
    syscall = ctypes.CDLL(None).syscall
    syscall.restype = ctypes.c_long
    arguments = (ctypes.c_long(_CREATE_RULESET), None, ctypes.c_size_t(0))
    return max(0, int(syscall(*arguments, ctypes.c_uint32(_ASK_VERSION))))


def launched(
    argv: Sequence[str],
    *,
    processes: int,
    rules: Sequence[tuple[str, int]] = (),
    handled: tuple[int, int, int] | None = None,
    program: bytes = b"",
) -> tuple[str, ...]:
    """Return the arguments that run a command below `launcher.py`.

    Args:
        argv: the command.
        processes: how many it may start, about.
        rules: paths and what may be done below them.
        handled: what Landlock is to refuse elsewhere (files, network, scopes); None for nothing.
        program: the filter of system calls.
    """
    order = {
        "argv": list(argv),
        "parent": os.getpid(),
        "processes": processes,
        "rules": list(rules),
        "handled": handled,
        "filter": program.hex(),
    }
    return (sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(order))


@dataclass(frozen=True, slots=True)
class Landlock:
    """The fallback on Linux.

    Args:
        version: of the kernel's interface, at least 3.
    """

    version: int
    name: str = "Landlock"

    @property
    def limits(self) -> str:
        known = "no new names directly in the workspace, no chmod, no local sockets"
        if self.version >= _SCOPED_SINCE:
            return known
        return f"{known}; a command can still end other processes of yours"

    @contextmanager
    def confined(self, argv: Sequence[str], policy: Policy) -> Iterator[Command]:
        # Landlock does not know the sockets of Docker and the like: they are files in /run.
        program = seccomp_program(sockets=policy.network, local=False, files=False)
        if program is None or self.version < _LEAST_VERSION:
            raise OSError("this kernel or processor cannot confine commands with Landlock")
        handled = (
            _FILES_OF_VERSION_3 | (_DEVICE_IOCTL if self.version >= 5 else 0),
            _TCP if self.version >= 4 and not policy.network else 0,
            _SIGNALS_AND_ABSTRACT_SOCKETS if self.version >= _SCOPED_SINCE else 0,
        )
        with (
            tempfile.TemporaryDirectory(prefix="victor-", ignore_cleanup_errors=True) as private,
            guarded_names(policy.workspace, create=False) as guarded,
        ):
            home = Path(private, "home")
            home.mkdir()
            # The kernel refuses a rule with a right that is not handled.
            rules = [(path, right & handled[0]) for path, right in _rules(policy, guarded, private)]
            environment = {**policy.environment, "TMPDIR": private, "HOME": str(home)}
            most = policy.processes
            yield Command(
                launched(argv, processes=most, rules=rules, handled=handled, program=program),
                environment,
                policy.workspace,
            )


def _rules(policy: Policy, guarded: Sequence[Path], private: str) -> Iterator[tuple[str, int]]:
    hidden = set(policy.hidden)
    for system in (*_SYSTEM, *_SYSTEM_TOO):
        yield from _readable(Path(system), hidden)
    for device in _DEVICES:
        yield f"/dev/{device}", _rights(Path("/dev", device), _READ | _WRITE | _DEVICE_IOCTL)
    if policy.terminal:
        yield _OWN_TERMINAL, _WRITE_ONE & ~_EXECUTE | _DEVICE_IOCTL
    for place in policy.readable:
        yield str(place), _rights(place, _READ)
    yield private, _WRITE
    yield from _writable(policy.workspace, {*policy.protected, *guarded}, hidden)


def _readable(place: Path, hidden: set[Path]) -> Iterator[tuple[str, int]]:
    """Grant reading below a place, but not where something in it is hidden."""
    if place in hidden:
        return
    if any(one.is_relative_to(place) for one in hidden):
        for entry in _entries(place):
            yield from _readable(entry, hidden)
    elif os.access(place, os.F_OK):
        yield str(place), _rights(place, _READ)


def _writable(place: Path, protected: set[Path], hidden: set[Path]) -> Iterator[tuple[str, int]]:
    """Grant all below a directory's entries, but not where something in them is protected."""
    yield str(place), _READ_DIRECTORY
    for entry in _entries(place):
        if entry in protected or any(one.is_relative_to(entry) for one in hidden):
            yield from _readable(entry, hidden)
        elif any(one.is_relative_to(entry) for one in protected):
            yield from _writable(entry, protected, hidden)
        elif not entry.is_symlink():
            yield str(entry), _rights(entry, _WRITE)


def _entries(place: Path) -> list[Path]:
    try:
        return sorted(place.iterdir())
    except OSError:
        return []


def _rights(place: Path, wanted: int) -> int:
    """Return of some rights those that a rule for this place may have."""
    try:
        mode = place.stat().st_mode
    except OSError:
        return wanted
    if stat.S_ISDIR(mode):
        return wanted & ~_DEVICE_IOCTL
    return wanted & (_WRITE_ONE | (_DEVICE_IOCTL if stat.S_ISCHR(mode) else 0))
