"""The tool that runs a shell command in the workspace, confined where that is possible.

The command gets no terminal, no input, no file of ours and few of our variables. A long output is
shown in part and kept for the model to page through. The command and all it started are gone when
the call ends. Knows nothing about permission rules; a command that nothing can confine has to be
agreed to, whatever they say.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from victor.config.settings import SandboxMode
from victor.errors import ConfigError
from victor.sandbox.hints import hint
from victor.sandbox.limits import watched
from victor.sandbox.policy import (
    NO_REACH,
    Command,
    Policy,
    Reach,
    Sandbox,
    child_environment,
    policy_for,
)
from victor.sandbox.run import best_sandbox, end_command, prepared
from victor.tools.base import Tool, ToolContext, ToolError, ToolResult
from victor.tools.output import Output, follow
from victor.tools.spill import Spill
from victor.tools.threads import call_in_thread

__all__ = [
    "Consent",
    "agreed",
    "confinement",
    "running",
    "shell",
    "shell_tool",
]

_DRAIN_S = 1.0
"""How long output may still come when everything has ended."""

_GRACE_S = 2.0
"""Between asking processes to end and killing them."""

_GRACE_CANCELLED_S = 0.1
"""The same where a person waits for the interruption."""

Consent: TypeAlias = Callable[[str, ToolContext], Awaitable[bool]]
"""Asked before a command runs that nothing confines."""


def shell_tool(
    sandbox: SandboxMode = "auto", *, reach: Reach = NO_REACH, consent: Consent | None = None
) -> Tool:
    """Make the tool that runs commands.

    Args:
        sandbox: `"auto"` confines commands where that is possible; elsewhere each needs consent.
            `"required"` refuses there. `"off"` runs commands with all the user's rights.
        reach: what the user lets commands have beyond what every command has.
        consent: asked for it; None refuses.
    """

    async def shell(
        context: ToolContext,
        command: str,
        timeout_s: Annotated[float, Field(ge=1, le=3600)] = 120,
    ) -> ToolResult:
        """Run a bash command in the workspace and return what it prints.

        As a rule in a sandbox: no network; .git and all but the workspace and /tmp read-only.

        Args:
            context: the workspace.
            command: The command.
            timeout_s: Seconds until it is stopped.
        """
        # The first look for a sandbox tries what there is: not on the event loop.
        chosen, policy = await call_in_thread(
            lambda: confinement(sandbox, context.workspace, reach)
        )
        if chosen is None and sandbox != "off":
            await agreed(consent, command, context)
        spill = context.memory.of(Spill)
        return await running(command, policy, sandbox=chosen, timeout_s=timeout_s, spill=spill)

    return Tool(shell, effect="execute")


shell = shell_tool()


def confinement(
    mode: SandboxMode, workspace: Path, reach: Reach = NO_REACH
) -> tuple[Sandbox | None, Policy]:
    """Return what commands in a workspace are run in, and by which rules; None for nothing.

    Args:
        mode: as for `shell_tool`.
        workspace: the directory they may change.
        reach: as for `shell_tool`.

    Raises:
        ConfigError: a sandbox is required, and there is none or it cannot hold this place.
        FileNotFoundError: there is no such directory.
    """
    sandbox = best_sandbox(mode)
    try:
        if sandbox is not None:
            return sandbox, policy_for(workspace, network=reach.network, variables=reach.variables)
    except ConfigError:
        if mode == "required":
            raise
    environment = child_environment(os.environ, reach.variables)
    return None, Policy(workspace=workspace, environment=environment)


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
    command: str,
    policy: Policy,
    *,
    sandbox: Sandbox | None,
    timeout_s: float,
    spill: Spill | None = None,
) -> ToolResult:
    """Run a command to its end, or stop it and everything it started.

    Args:
        command: for `bash -c`, or `sh -c` where there is no bash.
        policy: its rules; it starts in the workspace.
        sandbox: what holds it to them; None for nothing but the environment.
        timeout_s: seconds until it is stopped.
        spill: keeps a long output for whoever reads on; None: only its start and end are kept.

    Raises:
        OSError: it could not be started.
        ValueError: the command contains a NUL byte.
    """
    if "\0" in command:
        raise ValueError("a command cannot contain a NUL byte")
    output = Output(spill)
    try:
        note, is_error = await _followed(command, policy, sandbox, timeout_s, output)
        text = await output.text()
    except BaseException:
        await output.drop()
        raise
    known = "" if sandbox is None else hint(text, policy)
    note = "; ".join(filter(None, (note, known))) or ("" if output.total else _meaning(0))
    text += "\n" if text and note and not text.endswith("\n") else ""
    return ToolResult(text + (f"[{note}]" if note else ""), is_error)


async def _followed(
    command: str, policy: Policy, sandbox: Sandbox | None, timeout_s: float, output: Output
) -> tuple[str, bool]:
    """Run a command and take its output; return what is to be said of its end, and if it failed."""
    bash = shutil.which("bash") or "/bin/sh"
    with prepared(sandbox, [bash, "-c", command], policy) as ready:
        # A pipe of our own: asyncio's wait() would also wait for whoever else holds it open.
        reader, writer = os.pipe()
        try:
            process = await _started(ready, writer)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        following = asyncio.create_task(follow(reader, output.take))
        try:
            ended = await _ended(process, policy, timeout_s)
            await asyncio.wait([following], timeout=_DRAIN_S)
            return ended
        finally:
            following.cancel()
            await asyncio.wait([following])


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


async def _ended(
    process: asyncio.subprocess.Process, policy: Policy, timeout_s: float
) -> tuple[str, bool]:
    grace_s = _GRACE_CANCELLED_S
    try:
        with watched(process.pid, policy) as watch:
            async with asyncio.timeout(timeout_s):
                code = await process.wait()
    except TimeoutError:
        grace_s = _GRACE_S
        return f"stopped: it took longer than {timeout_s:g} s", True
    finally:
        await end_command(process, grace_s)
    note = watch.broken or (_meaning(code) if code else "")
    return note, bool(note)


def _meaning(code: int) -> str:
    # Shells and sandboxes pass a signal on as 128 and its number.
    number = -code if code < 0 else code - 128
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"exit code {code}"
