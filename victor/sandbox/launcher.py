"""The parent of a command that has no process namespace: nothing the command starts outlives it.

Run from its file, by any Python, with one argument, an object in JSON:

    {"argv": [...], "parent": PID, "processes": MOST, "rules": [[path, access], ...],
     "handled": [files, network, scopes] or null, "filter": "hexadecimal" or null}

It applies the Landlock rules (https://docs.kernel.org/userspace-api/landlock.html) and the filter
to the command, not to itself. It becomes the parent of all orphans below it, also of those in a
session of their own, and ends them when the command has ended, on SIGTERM, and when its own parent
dies. Knows nothing about what the rules are for; imports nothing of victor.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

__all__ = ["descendants", "main"]

_LINGER_S = 1.0
_FILE_BYTES = 32 << 30
_CANNOT = 125
"""The exit code where the command was not started."""

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITIES = 64
_CAPABILITY_VERSION_3 = 0x20080522

# linux/landlock.h; the numbers are the same on all architectures.
_CREATE_RULESET = 444
_ADD_RULE = 445
_RESTRICT_SELF = 446
_PATH_BENEATH = 1

_SIGNALS = {signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP}


def main() -> int:
    """Run the command and return its exit code, 128 and the signal's number where one ended it."""
    order = json.loads(sys.argv[1])
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    libc = ctypes.CDLL(None, use_errno=True)
    _call(libc.prctl, _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _call(libc.prctl, _PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != order["parent"]:
        return _CANNOT  # it died before the kernel would have told
    with contextlib.suppress(OSError):
        # Root, for whom Linux counts no processes, must not wait for its turn among thousands.
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    child = os.fork()
    if child == 0:
        try:
            _become(libc, order)
        except OSError as error:
            sys.stderr.write(f"victor: the command was not started: {error}\n")
            sys.stderr.flush()
        os._exit(_CANNOT)
    return _supervise(child)


def _supervise(child: int) -> int:
    code = 128 + signal.SIGTERM
    end = float("inf")
    while (now := time.monotonic()) < end:
        got = signal.sigtimedwait(_SIGNALS, min(end - now, 60.0))
        if got is not None and got.si_signo != signal.SIGCHLD:
            break
        for pid, status in _reaped():
            if pid == child:
                ended = os.waitstatus_to_exitcode(status)
                code = ended if ended >= 0 else 128 - ended
                end = time.monotonic() + _LINGER_S
        if end < float("inf") and not descendants(os.getpid()):
            return code
    else:
        sys.stderr.write("[what it left in the background was stopped]")
        sys.stderr.flush()
    _end_all()
    return code


def _reaped() -> list[tuple[int, int]]:
    found = []
    with contextlib.suppress(ChildProcessError):
        while (one := os.waitpid(-1, os.WNOHANG))[0]:
            found.append(one)
    return found


def _end_all() -> None:
    """End every process below this one; first all are halted, or they would breed meanwhile."""
    for _ in range(200):
        for number in (signal.SIGSTOP, signal.SIGSTOP, signal.SIGKILL):
            for pid in descendants(os.getpid()):
                with contextlib.suppress(OSError):
                    os.kill(pid, number)
        _reaped()
        if not descendants(os.getpid()):
            return
        time.sleep(0.005)


def descendants(process: int) -> list[int]:
    """Return the living processes below one, its children, their children and so on."""
    children: dict[int, list[int]] = {}
    dead = set()
    for entry in os.listdir("/proc"):  # noqa: PTH208 - names are all that is needed
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            # "pid (name) state parent ...": https://man7.org/linux/man-pages/man5/proc.5.html
            text = Path("/proc", entry, "stat").read_bytes().rpartition(b")")[2].split()
            children.setdefault(int(text[1]), []).append(int(entry))
            if text[0] in b"ZX":
                dead.add(int(entry))
    found: list[int] = []
    waiting = [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += below
        found += [pid for pid in below if pid not in dead]
    return found


def _become(libc: ctypes.CDLL, order: dict[str, Any]) -> None:
    """Give up all rights and become the command.

    Raises:
        OSError: a step failed; nothing must be run then.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    with contextlib.suppress(OSError, ValueError):
        # Linux counts all that the user runs, and for root nothing.
        there = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2])
        most = there + int(order["processes"])
        resource.setrlimit(resource.RLIMIT_NPROC, (most, most))
    with contextlib.suppress(OSError):
        # Where memory runs out, the kernel ends the command rather than victor.
        Path("/proc/self/oom_score_adj").write_text("1000")
    _call(libc.prctl, _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if order["handled"] is not None:
        _call(libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _landlock(libc, order["rules"], order["handled"])
        _drop_capabilities(libc)
        _load_filter(libc, bytes.fromhex(order["filter"]))
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores the last two
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.execvp(order["argv"][0], order["argv"])  # noqa: S606 - a shell is up to the caller


def _landlock(libc: ctypes.CDLL, rules: list[tuple[str, int]], handled: list[int]) -> None:
    attributes = struct.pack("=QQQ", *handled)
    # Older kernels take a longer structure as long as what they do not know is zero.
    ruleset = _call(libc.syscall, _CREATE_RULESET, attributes, len(attributes), 0)
    for path, access in rules:
        try:
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # one right less
        try:
            _call(
                libc.syscall,
                _ADD_RULE,
                ruleset,
                _PATH_BENEATH,
                struct.pack("=Qi", access, place),
                0,
            )
        finally:
            os.close(place)
    _call(libc.syscall, _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for number in range(_CAPABILITIES):
        # Fails for numbers the kernel does not have, and for whoever may not, who has none.
        libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _call(libc.capset, header, bytes(24))


def _load_filter(libc: ctypes.CDLL, program: bytes) -> None:
    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    steps = Program(len(program) // 8, program)
    _call(libc.prctl, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(steps), 0, 0)


def _call(function: Any, *arguments: Any) -> int:
    """Make a system call.

    Raises:
        OSError: it failed.
    """
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(function(*given))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


if __name__ == "__main__":
    sys.exit(main())
