"""Ends a command that takes more of the machine than it may: memory, processes, disk.

The sum over all its processes is looked at from outside while it runs. No limit of the kernel's
does that everywhere: RLIMIT_AS and RLIMIT_DATA count what is reserved and not what is used
(sanitizers reserve terabytes) and hold for one process alone, RLIMIT_NPROC does not hold for root,
and a control group needs a writable hierarchy or systemd. Memory is the proportional share of
https://man7.org/linux/man-pages/man5/proc_pid_smaps.5.html, so that what processes share after a
fork counts once. Linux only. Knows nothing about sandboxes.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from victor.sandbox.policy import Policy

__all__ = ["Watch", "size", "watched"]

_EVERY_S = 0.2
_SELDOM_S = 1.0
_AT_REST = 20
"""After a look, the watch rests so many times as long as that took, within the two above."""

_SPARE_FILES = 10_000


@dataclass(slots=True)
class Watch:
    """What came of watching a command."""

    broken: str = ""
    """The limit it broke, in words; it was ended then. Empty while it broke none."""
    over: threading.Event = field(default_factory=threading.Event)
    """Ends the watch."""


@contextmanager
def watched(process: int, policy: Policy) -> Iterator[Watch]:
    """Hold a command to its limits while the block runs, on a thread: an event loop may be blocked.

    Args:
        process: of a command that `prepared` made ready; it takes all below it along.
        policy: what it may take.
    """
    watch = Watch()
    if sys.platform != "linux":
        yield watch
        return
    try:
        # A number may be another process by the time it is used; this cannot.
        descriptor = os.pidfd_open(process)
    except OSError:  # it has ended
        yield watch
        return
    floors = [
        floor
        for place in {policy.workspace, Path(tempfile.gettempdir())}
        for floor in _floors(place, policy.spare_disk)
    ]
    arguments = (watch, process, descriptor, policy, floors)
    thread = threading.Thread(target=_watch, args=arguments, name="victor-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.over.set()
        thread.join()
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Floor:
    """What has to stay free of a disk."""

    place: Path
    free: int
    files: int

    def broken(self) -> str:
        free, files = _free(self.place)
        if free < self.free:
            return f"it left less than {size(self.free)} of the disk"
        if files < self.files:
            return f"it left room for less than {self.files:,} files on the disk"
        return ""


def _floors(place: Path, spare: int) -> Iterator[_Floor]:
    with contextlib.suppress(OSError):
        free, files = _free(place)
        # What the command began with may be little, and is then no reason to end it.
        yield _Floor(place, min(spare, free // 2), min(_SPARE_FILES, files // 2))


def _free(place: Path) -> tuple[int, int]:
    disk = os.statvfs(place)
    return disk.f_bavail * disk.f_frsize, disk.f_favail


def _watch(
    watch: Watch, process: int, descriptor: int, policy: Policy, floors: list[_Floor]
) -> None:
    # Among thousands of busy processes its turn would come after seconds; root may ask for more.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    rest = _EVERY_S
    while not watch.over.wait(rest):
        begun = time.monotonic()
        with contextlib.suppress(OSError):  # out of descriptors, for a moment
            watch.broken = _broken(process, policy, floors)
        if watch.broken:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            return
        rest = min(max(_EVERY_S, _AT_REST * (time.monotonic() - begun)), _SELDOM_S)


def _broken(process: int, policy: Policy, floors: list[_Floor]) -> str:
    from victor.sandbox.launcher import descendants  # it is run as a program as well

    for floor in floors:
        if why := floor.broken():
            return f"stopped: {why}"
    below = descendants(process)
    if len(below) > policy.processes:
        return f"stopped: it started more than {policy.processes:,} processes"
    # The first sum is quick and too large.
    if sum(map(_resident, below)) > policy.memory and sum(map(_share, below)) > policy.memory:
        return f"stopped: it took more than {size(policy.memory)} of memory"
    return ""


def _resident(process: int) -> int:
    try:
        pages = Path(f"/proc/{process}/statm").read_bytes().split()[1]
    except OSError:  # it has ended
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _share(process: int) -> int:
    try:
        lines = _rollup(process).read_bytes().splitlines()
    except OSError:  # not ours to look into, or gone
        return _resident(process)
    return sum(
        int(line.split()[1]) * 1024 for line in lines if line.startswith((b"Pss:", b"SwapPss:"))
    )


def _rollup(process: int) -> Path:
    return Path(f"/proc/{process}/smaps_rollup")


def size(count: int) -> str:
    """Return a number of bytes as people say it."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
