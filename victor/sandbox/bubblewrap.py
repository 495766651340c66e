"""Confines a command with bubblewrap: namespaces, a file system of its own, no capabilities.

https://github.com/containers/bubblewrap. Root stays root in name only: without a user namespace
and with its capabilities it would simply remount what is read-only. Knows nothing about policies'
reasons.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from victor.sandbox.masks import guarded_names
from victor.sandbox.policy import Command, Policy
from victor.sandbox.seccomp import seccomp_program

__all__ = ["Bubblewrap", "find_bubblewrap"]

_PLACES = ("/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin")
"""Not the PATH: a repository may have put something of its own there."""

_CHOOSE_VICTIM = "/usr/bin/choom"

_EMPTY_FILE = ("--perms", "0444", "--ro-bind-data")
_TEMPORARY_BYTES = 1 << 30
_MORE_PROCESSES = 48
"""The kernel refuses only what the watch in `limits.py` should have ended before."""

_FILE_BLOCKS = 1 << 26
"""Of 512 bytes: no file grows beyond 32 GiB."""

# Stays between the sandbox's first process and the command. What the command left behind gets a
# second (`echo x > >(slow)`), then ends with the namespace; only /proc knows whether there is any.
# It has to outlive the SIGTERM that lets the command clean up.
_KEEPER = f"""\
exec 8>&2 2>/dev/null
trap : TERM INT HUP
ulimit -c 0; ulimit -f {_FILE_BLOCKS}; ulimit -u $0 || ulimit -p $0
(exec "$@" 2>&8 8>&-)
code=$?
left=0
while set -- /proc/[0-9]*; [ $# -gt 2 ]; do
  if [ $left -ge 20 ]; then
    printf '[what it left in the background was stopped]' >&8
    break
  fi
  left=$((left + 1))
  sleep 0.05
done
exit $code
"""


def find_bubblewrap() -> Path | None:
    """Return bubblewrap's path; None where it is not installed."""
    found = (Path(place, "bwrap") for place in _PLACES)
    return next((path for path in found if os.access(path, os.X_OK)), None)


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The sandbox of choice on Linux.

    Args:
        program: bubblewrap's path.
        nested: True for versions before 0.8, which cannot forbid more user namespaces; the
            filter of system calls does it then.
    """

    program: Path
    nested: bool = False
    name: str = "bubblewrap"
    limits: str = ""

    @contextmanager
    def confined(self, argv: Sequence[str], policy: Policy) -> Iterator[Command]:
        with ExitStack() as stack:
            guarded = stack.enter_context(guarded_names(policy.workspace))
            program = stack.enter_context(_filter())
            places = sorted({*policy.protected, *guarded})
            # They take the place of files; each needs a descriptor of its own, which is read.
            empty = [(_nothing(stack), place) for place in places if place.is_socket()]
            places = [place for place in places if not place.is_socket()]
            if self.nested:
                kept = []
                mounts: list[tuple[str, ...]]
                mounts = [("--ro-bind-try", str(place), str(place)) for place in places]
            else:
                kept = _opened(stack, places)
                mounts = [("--ro-bind-fd", str(one), str(place)) for one, place in kept]
            mounts += [(*_EMPTY_FILE, str(one), str(place)) for one, place in empty]
            options = [
                *_namespaces(policy, nested=self.nested),
                *_mounts(policy, [word for mount in mounts for word in mount]),
                *([] if program is None else ["--seccomp", str(program)]),
                *("--chdir", str(policy.workspace)),
            ]
            # Where memory runs out, the kernel ends the command rather than victor.
            victim = [_CHOOSE_VICTIM, "-n", "1000", "--"] if Path(_CHOOSE_VICTIM).exists() else []
            most = str(policy.processes + _MORE_PROCESSES)
            keeper = ["/bin/sh", "-c", _KEEPER, most, *argv]
            yield Command(
                (*victim, str(self.program), *options, "--", *keeper),
                _environment(policy),
                policy.workspace,
                (*(one for one, _ in (*kept, *empty)), *([] if program is None else [program])),
            )


def _environment(policy: Policy) -> Mapping[str, str]:
    return {**policy.environment, "TMPDIR": "/tmp"}  # noqa: S108 - a private one


@contextmanager
def _filter() -> Iterator[int | None]:
    program = seccomp_program()
    if program is None:
        yield None
        return
    descriptor = os.memfd_create("seccomp")
    try:
        os.write(descriptor, program)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _nothing(stack: ExitStack) -> int:
    descriptor = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _namespaces(policy: Policy, *, nested: bool) -> list[str]:
    options = ["--unshare-all", "--unshare-user", "--cap-drop", "ALL", "--die-with-parent"]
    options += [] if nested else ["--disable-userns"]
    options += ["--share-net"] if policy.network else []
    # Without it a command could type into the terminal victor runs on.
    return options + ([] if policy.terminal else ["--new-session"])


def _opened(stack: ExitStack, places: Sequence[Path]) -> list[tuple[int, Path]]:
    """Open what is to be mounted: a command that runs beside may swap a name for a link."""
    found = []
    for place in places:
        try:
            descriptor = os.open(place, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise  # nothing may stay open to change for want of a descriptor
            continue  # gone meanwhile
        stack.callback(os.close, descriptor)
        link = Path("/proc/self/fd", str(descriptor)).readlink()
        if link == place and not stat.S_ISLNK(os.fstat(descriptor).st_mode):
            found.append((descriptor, place))
    return found


def _mounts(policy: Policy, protected: Sequence[str]) -> Iterator[str]:
    """Yield the file system, the outer before the inner: later mounts cover earlier ones."""
    workspace = policy.workspace
    # Root owns what is in /proc/sys, which is the host's, and needs no capability to write there.
    yield from ("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--remount-ro", "/proc")
    yield from _empty(Path("/dev/shm"))  # noqa: S108 - emptied
    for place in sorted(policy.hidden):
        if not place.is_relative_to(workspace):
            yield from _empty(place)
    if policy.network:
        # Often a link into /run, which is hidden.
        names = os.path.realpath("/etc/resolv.conf")
        yield from ("--ro-bind-try", names, names)
    for place in policy.readable:
        yield from ("--ro-bind-try", str(place), str(place))
    yield from ("--bind", str(workspace), str(workspace))
    yield from protected
    for place in sorted(policy.hidden):
        if place.is_relative_to(workspace):
            yield from _empty(place)


def _empty(place: Path) -> tuple[str, ...]:
    if place.is_dir():
        size = str(_TEMPORARY_BYTES)
        return ("--perms", "1777", "--size", size, "--tmpfs", str(place))
    return ("--ro-bind", "/dev/null", str(place))
