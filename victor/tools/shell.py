"""The tool that runs a shell command in the workspace, confined where that is possible.

The command gets no terminal, no input, no file of ours and few of our variables; its output is
bounded in memory; it and all it started are gone when the call ends. Knows nothing about permission
rules; a command that nothing can confine has to be agreed to, whatever they say.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox.policy import Command, Policy, Sandbox, child_environment, policy_for
from victor.sandbox.run import best_sandbox, end_command, prepared
from victor.tools.base import Tool, ToolContext, ToolError, ToolResult
from victor.tools.threads import call_in_thread

__all__ = [
    "Consent",
    "agreed",
    "confinement",
    "running",
    "shell",
    "shell_tool",
]

_HEAD = 10_000
_TAIL = 20_000
"""Bytes of output that are kept from its start and its end."""

_DRAIN_S = 1.0
"""How long output may still come when everything has ended."""

_GRACE_S = 2.0
"""Between asking processes to end and killing them."""

_GRACE_CANCELLED_S = 0.1
"""The same where a person waits for the interruption."""

Consent: TypeAlias = Callable[[str, ToolContext], Awaitable[bool]]
"""Asked before a command runs that nothing confines."""


def shell_tool(sandbox: SandboxMode = "auto", *, consent: Consent | None = None) -> Tool:
    """Make the tool that runs commands.

    Args:
        sandbox: `"auto"` confines commands where that is possible; elsewhere each needs consent.
            `"required"` refuses there. `"off"` runs commands with all the user's rights.
        consent: asked for it; None refuses.
    """

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
        # The first look for a sandbox tries what there is: not on the event loop.
        chosen, policy = await call_in_thread(lambda: confinement(sandbox, context.workspace))
        if chosen is None and sandbox != "off":
            await agreed(consent, command, context)
        return await running(command, policy, sandbox=chosen, timeout_s=timeout_s)

    return Tool(shell, effect="execute")


shell = shell_tool()


def confinement(mode: SandboxMode, workspace: Path) -> tuple[Sandbox | None, Policy]:
    """Return what commands in a workspace are run in, and by which rules; None for nothing.

    Raises:
        ConfigError: a sandbox is required, and there is none or it cannot hold this place.
        FileNotFoundError: there is no such directory.
    """
    sandbox = best_sandbox(mode)
    try:
        if sandbox is not None:
            return sandbox, policy_for(workspace)
    except ConfigError:
        if mode == "required":
            raise
    return None, Policy(workspace=workspace, environment=child_environment(os.environ))


async def agreed(consent: Consent | None, command: str, context: ToolContext) -> None:
    """Ask whether a command may run that nothing confines.

    Raises:
        ToolError: it may not, or nobody can be asked.
    """
    if consent is None:
        raise ToolError(
            "The command was not run: nothing on this machine can confine it, and nobody can be "
            "asked. `victor doctor` says what is missing."
        )
    if not await consent(command, context):
        raise ToolError("The user refused to run this command without a sandbox.")


async def running(
    command: str, policy: Policy, *, sandbox: Sandbox | None, timeout_s: float
) -> ToolResult:
    """Run a command to its end, or stop it and everything it started.

    Args:
        command: for `bash -c`, or `sh -c` where there is no bash.
        policy: its rules; it starts in the workspace.
        sandbox: what holds it to them; None for nothing but the environment.
        timeout_s: seconds until it is stopped.

    Raises:
        OSError: it could not be started.
        ValueError: the command contains a NUL byte.
    """
    if "\0" in command:
        raise ValueError("a command cannot contain a NUL byte")
    output = _Output()
    loop = asyncio.get_running_loop()
    bash = shutil.which("bash") or "/bin/sh"
    with prepared(sandbox, [bash, "-c", command], policy) as ready:
        # A pipe of our own: asyncio's wait() would also wait for whoever else holds it open.
        reader, writer = os.pipe()
        try:
            try:
                process = await _started(ready, writer)
            finally:
                os.close(writer)
            os.set_blocking(reader, False)
            loop.add_reader(reader, output.read, reader)
            return await _finish(process, output, timeout_s)
        finally:
            loop.remove_reader(reader)
            os.close(reader)


async def _started(ready: Command, output: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *ready.argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ready.directory,
        env=dict(ready.environment),
        pass_fds=ready.descriptors,
        start_new_session=True,
    )


async def _finish(
    process: asyncio.subprocess.Process, output: _Output, timeout_s: float
) -> ToolResult:
    note = ""
    grace_s = _GRACE_CANCELLED_S
    try:
        async with asyncio.timeout(timeout_s):
            code = await process.wait()
    except TimeoutError:
        code = -1
        grace_s = _GRACE_S
        note = f"stopped: it took longer than {timeout_s:g} s"
    finally:
        await end_command(process, grace_s)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_DRAIN_S):
            await output.ended.wait()
    note = note or (_meaning(code) if code or not output.total else "")
    text = output.text()
    text += "\n" if text and note and not text.endswith("\n") else ""
    return ToolResult(text + (f"[{note}]" if note else ""), is_error=code != 0)


def _meaning(code: int) -> str:
    # Shells and sandboxes pass a signal on as 128 and its number.
    number = -code if code < 0 else code - 128
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"exit code {code}"


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
