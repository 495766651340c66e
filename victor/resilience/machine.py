"""Which boot of the machine this is, and which process: what makes times and leases comparable.

A monotonic clock counts from a boot, for all processes alike. Reads the system when asked; knows
nothing about what the answers are for.
Spec: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html (state, starttime)
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

__all__ = ["boot_id", "is_gone", "new_owner"]

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PROCESSES = Path("/proc")


def boot_id(
    path: Path = _BOOT_ID,
    *,
    wall: Callable[[], float] = time.time,
    clock: Callable[[], float] = time.monotonic,
) -> str:
    """Return what is the same for all processes until the machine restarts.

    Args:
        path: where the kernel tells it.
        wall: seconds since 1970; used with `clock` where the kernel does not tell.
        clock: monotonic seconds.
    """
    with suppress(OSError, ValueError):
        if told := path.read_text("ascii").strip():
            return told
    if sys.platform == "darwin":  # pragma: no cover - the other system's branch
        import subprocess

        with suppress(OSError, subprocess.SubprocessError):
            # The difference below would change with every sleep of the machine.
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            told = subprocess.run(command, capture_output=True, check=True, timeout=2, text=True)
            return told.stdout.strip()
    return f"minute {round((wall() - clock()) / 60)}"


def new_owner() -> str:
    """Return a name for this process that `is_gone` understands; a new one with each call."""
    pid = os.getpid()
    return f"{_namespace()} {pid} {_start_of(pid) or '-'} {os.urandom(4).hex()}"


def is_gone(owner: str) -> bool:
    """Tell whether the process that made this name is dead for certain.

    A process of another container cannot be seen, so nothing is certain about it.
    """
    try:
        namespace, number, start, _ = owner.split(" ")
        pid = int(number)
    except ValueError:
        return False
    if namespace != _namespace():
        return False
    if start != "-":
        return _start_of(pid) != start
    return _is_unknown(pid)


if sys.platform == "win32":  # pragma: no cover - the other system's branch

    def _is_unknown(_pid: int) -> bool:
        return False  # signal 0 would not ask there, but interrupt

else:

    def _is_unknown(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            return False
        return False


def _namespace() -> str:
    try:
        return str((_PROCESSES / "self" / "ns" / "pid").readlink())
    except OSError:
        return "-"


def _start_of(pid: int) -> str | None:
    """Return when a process started; None if it is dead or the system does not tell."""
    try:
        line = (_PROCESSES / str(pid) / "stat").read_text("ascii", "replace")
    except OSError:
        return None
    # The name, in parentheses, may hold anything.
    fields = line.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]
