"""Finds the best sandbox of this machine, makes commands ready for it, and ends them whole.

Knows nothing about which command is run or who allowed it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox.bubblewrap import Bubblewrap, find_bubblewrap
from victor.sandbox.landlock import Landlock, landlock_version, launched
from victor.sandbox.limits import size
from victor.sandbox.policy import Command, Policy, Sandbox
from victor.sandbox.seatbelt import SANDBOX_EXEC, Seatbelt

__all__ = [
    "SandboxStatus",
    "best_sandbox",
    "end_command",
    "prepared",
    "sandbox_status",
    "sandbox_trouble",
]

_PROBE_TIMEOUT_S = 20
_KILL_WAIT_S = 2.0


@dataclass(frozen=True, slots=True)
class SandboxStatus:
    """Whether commands are confined, in words for people."""

    confined: bool
    text: str
    next: str | None = None
    """What to do about it."""


def best_sandbox(mode: SandboxMode) -> Sandbox | None:
    """Return what commands are to be run in; None where nothing may or can confine them.

    The first call of a process tries what there is.

    Args:
        mode: `"off"` is always None; `"auto"` is None where there is no sandbox.

    Raises:
        ConfigError: a sandbox is required and there is none.
    """
    if mode == "off":
        return None
    sandbox, troubles = _found()
    if sandbox is None and mode == "required":
        raise ConfigError(
            f"a sandbox is required and there is none: {troubles}. {_advice().capitalize()}, or "
            'set sandbox = "auto", with which every command asks first'
        )
    return sandbox


def sandbox_status(mode: SandboxMode, *, network: bool = False) -> SandboxStatus:
    """Return what a person should know about how commands run.

    Args:
        mode: the setting.
        network: whether confined commands may use it.
    """
    if mode == "off":
        return SandboxStatus(confined=False, text="off: commands run with all your rights")
    sandbox, troubles = _found()
    if sandbox is None:
        effect = "no command runs" if mode == "required" else "every command asks first"
        return SandboxStatus(confined=False, text=f"none, so {effect}: {troubles}", next=_advice())
    reached = "the network" if network else "no network"
    text = f"{sandbox.name}: commands change the workspace alone and have {reached}"
    if _system() == "linux":
        policy = Policy(workspace=Path("/"))
        most = f"{size(policy.memory)} of memory or {policy.processes:,} processes"
        text += f"; one that takes more than {most} is stopped"
    if not sandbox.limits:
        return SandboxStatus(confined=True, text=text)
    step = _advice() if troubles else None
    return SandboxStatus(confined=True, text=f"{text} ({sandbox.limits})", next=step)


def _system() -> str:
    return sys.platform


def _advice() -> str:
    if _system() == "linux" and find_bubblewrap() is None:
        return "install bubblewrap (apt-get install bubblewrap)"
    if _system() == "linux":
        return "allow user namespaces for bubblewrap (see docs/reference/sandbox.md)"
    return "run victor on Linux or macOS"


@functools.cache
def _found() -> tuple[Sandbox | None, str]:
    """Return the first sandbox that works, and what is wrong with those before it."""
    troubles: list[str] = []
    for sandbox in _candidates(troubles):
        trouble = sandbox_trouble(sandbox)
        if not trouble:
            return sandbox, "; ".join(troubles)
        troubles.append(f"{sandbox.name}: {trouble}")
    return None, "; ".join(troubles) or f"victor knows no sandbox on {_system()}"


def _candidates(troubles: list[str]) -> Iterator[Sandbox]:
    if _system() == "darwin" and SANDBOX_EXEC.exists():
        yield Seatbelt()
    if _system() != "linux":
        return
    if program := find_bubblewrap():
        yield Bubblewrap(program)
        if "disable-userns" in "".join(troubles):
            yield Bubblewrap(program, nested=True)
    else:
        troubles.append("bubblewrap is not installed")
    yield Landlock(landlock_version())


def sandbox_trouble(sandbox: Sandbox) -> str:
    """Run `true` in a sandbox; return why that did not work, or an empty text."""
    with tempfile.TemporaryDirectory(prefix="victor-") as workspace:
        policy = Policy(
            workspace=Path(os.path.realpath(workspace)), environment={"PATH": os.defpath}
        )
        try:
            with sandbox.confined(["/bin/sh", "-c", "true"], policy) as command:
                done = subprocess.run(
                    command.argv,
                    env=dict(command.environment),
                    cwd=command.directory,
                    pass_fds=command.descriptors,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    timeout=_PROBE_TIMEOUT_S,
                    check=False,
                )
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return "" if done.returncode == 0 else (said or [f"exit code {done.returncode}"])[-1]


@contextmanager
def prepared(sandbox: Sandbox | None, argv: Sequence[str], policy: Policy) -> Iterator[Command]:
    """Make a command ready to be started; it has to have ended before the block does.

    Args:
        sandbox: what confines it; None runs it with all rights and the policy's environment.
        argv: the command.
        policy: its rules.

    Raises:
        OSError: something could not be made ready.
    """
    if sandbox is None:
        # The launcher ends what the command leaves behind; it needs Linux.
        linux = _system() == "linux"
        whole = launched(argv, processes=policy.processes) if linux else tuple(argv)
        yield Command(whole, policy.environment, policy.workspace)
        return
    with sandbox.confined(argv, policy) as command:
        yield command


async def end_command(process: asyncio.subprocess.Process, grace_s: float) -> None:
    """End a command that `prepared` made ready, and all that it started; returns when it is gone.

    Args:
        process: as it was started, with `start_new_session=True`.
        grace_s: seconds between asking the processes to end and ending them.
    """
    try:
        if process.returncode is None and grace_s > 0:
            for pid in _below(process.pid):
                _signalled(pid, signal.SIGTERM)
            await _at_most(process.wait(), grace_s)
    finally:
        if _system() != "linux":
            _group_killed(process.pid)
        elif process.returncode is None:
            # bubblewrap and the launcher take everything below them along.
            _signalled(process.pid, signal.SIGTERM)
    await _at_most(process.wait(), _KILL_WAIT_S)
    _group_killed(process.pid)
    await _at_most(process.wait(), _KILL_WAIT_S)


def _group_killed(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


async def _at_most(event: Awaitable[object], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event


def _below(process: int) -> list[int]:
    """Return the processes a command consists of, without the one that holds them together."""
    from victor.sandbox.launcher import descendants

    return descendants(process) if _system() == "linux" else [process]


def _signalled(process: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(process, number)
