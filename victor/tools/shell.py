"""The tool that runs a shell command in the workspace.

The command gets no terminal, no input, no file of ours and few of our variables; its output is
bounded in memory; it and what it started are gone when the call ends. A process that makes a
session of its own escapes that. Knows nothing about permissions or the sandbox.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from victor.tools.base import ToolContext, ToolResult, tool

__all__ = ["child_environment", "running", "shell"]

_HEAD = 10_000
_TAIL = 20_000
"""Bytes of output that are kept from its start and its end."""

_LINGER_S = 1.0
"""How long what was left in the background may still write when the command has ended."""

_GRACE_S = 2.0
"""Between asking processes to end and killing them."""

_GRACE_CANCELLED_S = 0.1
"""The same where a person waits for the interruption."""

_ALLOWED = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"})
_PROC = Path("/proc")

_SECRET = ("KEY", "TOKEN", "SECRET", "PASS")


@tool(effect="execute")
async def shell(
    context: ToolContext,
    command: str,
    timeout_s: Annotated[float, Field(ge=1, le=3600)] = 120,
) -> ToolResult:
    """Run a bash command in the workspace and return what it prints.

    Args:
        context: the workspace.
        command: The command.
        timeout_s: Seconds until it is stopped.
    """
    return await running(command, context.workspace, timeout_s=timeout_s)


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables a command may see: a short list, so that no key is among them."""
    return {
        name: value
        for name, value in environ.items()
        if (name in _ALLOWED or name.startswith("LC_"))
        and not any(word in name.upper() for word in _SECRET)
    }


async def running(command: str, workspace: Path, *, timeout_s: float) -> ToolResult:
    """Run a command to its end, or stop it and everything in its process group.

    Args:
        command: for `bash -c`, or `sh -c` where there is no bash.
        workspace: the directory it starts in.
        timeout_s: seconds until it is stopped.

    Raises:
        OSError: it could not be started.
        ValueError: the command contains a NUL byte.
    """
    output = _Output()
    # A pipe of our own: asyncio's wait() would also wait for whoever else holds the pipe open.
    reader, writer = os.pipe()
    loop = asyncio.get_running_loop()
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                shutil.which("bash") or "/bin/sh",
                "-c",
                command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=writer,
                stderr=asyncio.subprocess.STDOUT,
                cwd=workspace,
                env=child_environment(os.environ),
                start_new_session=True,
            )
        finally:
            os.close(writer)
        os.set_blocking(reader, False)
        loop.add_reader(reader, output.read, reader)
        return await _finish(process, output, timeout_s)
    finally:
        loop.remove_reader(reader)
        os.close(reader)


async def _finish(
    process: asyncio.subprocess.Process, output: _Output, timeout_s: float
) -> ToolResult:
    notes: list[str] = []
    grace_s = _GRACE_CANCELLED_S
    try:
        async with asyncio.timeout(timeout_s):
            code = await process.wait()
        await _at_most(output.ended.wait(), _LINGER_S)
        await _gone(process.pid, 0.05)
        grace_s = _GRACE_S
    except TimeoutError:
        code = -1
        grace_s = _GRACE_S
        notes.append(f"stopped: it took longer than {timeout_s:g} s")
    finally:
        stopped = await _stop_group(process.pid, grace_s)
        await _at_most(process.wait(), _GRACE_S)
    if stopped:
        await _at_most(output.ended.wait(), _LINGER_S)
    if not notes:
        notes += [_meaning(code)] if code or not output.total else []
        notes += ["what it left in the background was stopped"] if stopped else []
    text = output.text()
    text += "\n" if text and notes and not text.endswith("\n") else ""
    return ToolResult(text + (f"[{'; '.join(notes)}]" if notes else ""), is_error=code != 0)


async def _at_most(event: Awaitable[object], seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event


async def _stop_group(group: int, grace_s: float) -> bool:
    """End all processes of a group and tell whether there were any."""
    if not _is_alive(group):
        return False
    _signalled(group, signal.SIGTERM)
    try:
        await _gone(group, grace_s)
    finally:
        _signalled(group, signal.SIGKILL)
    return True


async def _gone(group: int, seconds: float) -> None:
    """Wait until a group has ended, but not longer than that. No event tells."""
    end = asyncio.get_running_loop().time() + seconds
    while _is_alive(group) and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - as said
        await asyncio.sleep(0.02)


def _is_alive(group: int) -> bool:
    if not _signalled(group, 0):
        return False
    # A dead process still answers until somebody collects it, which in a container may be nobody.
    try:
        processes = [item for item in _PROC.iterdir() if item.name.isdigit()]
    except FileNotFoundError:  # not Linux
        return True
    for process in processes:
        with contextlib.suppress(OSError):
            # "pid (name) state parent group ...": https://man7.org/linux/man-pages/man5/proc.5.html
            state, _, its_group = _stat(process)[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def _stat(process: Path) -> list[str]:
    return (process / "stat").read_text(errors="replace").rpartition(")")[2].split()


def _signalled(group: int, number: int) -> bool:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _meaning(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


@dataclass(slots=True)
class _Output:
    """The start and the end of what a command prints, in bounded memory."""

    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    total: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def read(self, reader: int) -> None:
        """Take what the pipe holds; called whenever it holds something."""
        try:
            piece = os.read(reader, 65_536)
        except BlockingIOError:
            return
        if not piece:
            asyncio.get_running_loop().remove_reader(reader)
            self.ended.set()
            return
        self.total += len(piece)
        room = _HEAD - len(self.head)
        self.head += piece[:room]
        self.tail += piece[room:]
        del self.tail[:-_TAIL]

    def text(self) -> str:
        left_out = self.total - len(self.head) - len(self.tail)
        if not left_out:
            return (self.head + self.tail).decode("utf-8", "replace")
        return (
            self.head.decode("utf-8", "replace")
            + f"\n[... {left_out:,} bytes left out ...]\n"
            + self.tail.decode("utf-8", "replace")
        )
