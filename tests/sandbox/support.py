"""What the tests of commands share: the sandboxes of this machine, and processes to look for."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from victor.sandbox.bubblewrap import Bubblewrap, find_bubblewrap
from victor.sandbox.landlock import Landlock, landlock_version
from victor.sandbox.policy import Policy, Sandbox
from victor.sandbox.run import prepared, sandbox_trouble

__all__ = ["CONFINED", "KINDS", "User", "attack", "available", "gone", "sleeper", "user"]

CONFINED = ("bubblewrap", "landlock")
KINDS = (*CONFINED, "none")

_COUNT = itertools.count()


def available(kind: str) -> Sandbox | None:
    """Return the sandbox of that name; skip the test where this machine has none."""
    if kind == "none":
        return None
    program = find_bubblewrap()
    if kind == "bubblewrap" and program is None:
        pytest.skip("bubblewrap is not installed: run `make system` as root")
    sandbox = Landlock(landlock_version()) if program is None else Bubblewrap(program)
    sandbox = Landlock(landlock_version()) if kind == "landlock" else sandbox
    if trouble := sandbox_trouble(sandbox):
        pytest.skip(f"{kind} does not work here: {trouble}")
    return sandbox


def sleeper() -> str:
    """Return a command that sleeps long and that no other test gives in the same words."""
    return f"sleep 1000.{os.getpid()}{next(_COUNT):04}"


async def gone(command: str, within_s: float = 20) -> bool:
    """Wait until no process of that command line is left."""
    words = b"\0".join(os.fsencode(word) for word in command.split()) + b"\0"
    end = time.monotonic() + within_s
    while _runs(words):
        if time.monotonic() >= end:
            return False
        await asyncio.sleep(0.02)
    return True


def _runs(words: bytes) -> bool:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if found == words:
                return True
    return False


@dataclass(frozen=True, slots=True)
class User:
    """Who runs an attack."""

    name: str
    prefix: tuple[str, ...]
    uid: int

    def owns(self, place: Path) -> None:
        """Give a directory and all below it to this user."""
        for path in [place, *place.rglob("*")]:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)


def user(name: str) -> User:
    """Return root or an ordinary user; skip the test where it cannot be that one."""
    if name == "root":
        if os.getuid() != 0:
            pytest.skip("the tests do not run as root")
        return User(name, (), 0)
    if os.getuid() != 0:
        return User(name, (), os.getuid())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv (util-linux) is not installed")
    return User(name, (setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--"), 65534)


def attack(sandbox: Sandbox, who: User, command: str, policy: Policy) -> str:
    """Run a command in a sandbox as somebody, and return what it printed."""
    with prepared(sandbox, ["/bin/bash", "-c", command], policy) as ready:
        argv = list(ready.argv)
        if who.prefix and argv[0] == sys.executable:
            # An ordinary user may not reach the tests' own Python, for example in root's home.
            argv[0] = "/usr/bin/python3"
            who.owns(Path(ready.environment["TMPDIR"]))
        done = subprocess.run(
            [*who.prefix, *argv],
            env=dict(ready.environment),
            cwd=ready.directory,
            pass_fds=ready.descriptors,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            timeout=20,
            check=False,
        )
    return done.stdout.decode("utf-8", "replace")
