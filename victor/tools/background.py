"""The tools for commands in the background: start one, read, type into it, stop it.

How they live is in `victor.tools.sessions`. Knows nothing about permission rules; a command that
nothing can confine has to be agreed to, as in `victor.tools.shell`.
"""

from __future__ import annotations

import signal
from typing import Annotated

from pydantic import Field

from victor.config.settings import SandboxMode
from victor.sandbox.hints import hint
from victor.sandbox.policy import NO_REACH, Policy, Reach
from victor.tools.base import Tool, ToolContext, ToolResult, tool
from victor.tools.sessions import Session, Sessions

# The same rules and the same question as for a command in the foreground.
from victor.tools.shell import Consent, agreed, confinement
from victor.tools.spill import Spill
from victor.tools.threads import call_in_thread

__all__ = ["background_tools"]

_Wait = Annotated[float, Field(ge=0, le=300)]
_Name = Annotated[str, Field(coerce_numbers_to_str=True)]
"""It is a number, and many models write it as one."""


class _Confined(dict[str, Policy]):
    """What holds the sessions of a conversation that a sandbox confines, by their names."""


def background_tools(
    sandbox: SandboxMode = "auto", *, reach: Reach = NO_REACH, consent: Consent | None = None
) -> list[Tool]:
    """Make the tools for background commands.

    Args:
        sandbox: as for `shell_tool`.
        reach: as for `shell_tool`.
        consent: as for `shell_tool`.
    """

    @tool(effect="execute")
    async def shell_start(context: ToolContext, command: str, wait_s: _Wait = 1) -> ToolResult:
        """Start a bash command that goes on in the background, such as a server or a REPL.

        Args:
            context: the workspace.
            command: The command; it gets a terminal.
            wait_s: Seconds to wait at most for its first output.
        """
        chosen, policy = await call_in_thread(
            lambda: confinement(sandbox, context.workspace, reach)
        )
        if chosen is None and sandbox != "off":
            await agreed(consent, command, context)
        sessions = context.memory.of(Sessions)
        session = sessions.new(command, context.memory.of(Spill))
        try:
            await session.start(policy, chosen)
        except BaseException:
            sessions.forget(session)
            raise
        if chosen is not None:
            context.memory.of(_Confined)[session.name] = policy
        return await _said(session, context, wait_s)

    return [shell_start, _shell_read, _shell_write, _shell_stop]


async def _read(context: ToolContext, session: _Name, wait_s: _Wait = 5) -> ToolResult:
    """Return what a background command has printed since the last time.

    Args:
        context: the conversation.
        session: Its number.
        wait_s: Seconds to wait at most for output.
    """
    return await _said(context.memory.of(Sessions).get(session), context, wait_s)


async def _write(context: ToolContext, session: _Name, text: str, wait_s: _Wait = 1) -> ToolResult:
    r"""Type into the terminal of a background command, and return what it prints.

    Args:
        context: the conversation.
        session: Its number.
        text: What to type; end a line with \n, \u0003 is Ctrl-C, \u0004 is Ctrl-D.
        wait_s: Seconds to wait at most for output.
    """
    found = context.memory.of(Sessions).get(session)
    await found.write(text)
    return await _said(found, context, wait_s)


async def _stop(context: ToolContext, session: _Name) -> ToolResult:
    """Stop a background command and all that it started.

    Args:
        context: the conversation.
        session: Its number.
    """
    found = context.memory.of(Sessions).get(session)
    await found.stop()
    return await _said(found, context, 0)


_shell_read = Tool(_read, name="shell_read", effect="read")
_shell_write = Tool(_write, name="shell_write", effect="execute")
# It takes away only what the model itself has started.
_shell_stop = Tool(_stop, name="shell_stop", effect="read")


async def _said(session: Session, context: ToolContext, wait_s: float) -> ToolResult:
    text = await session.output(wait_s)
    text += "" if not text or text.endswith("\n") else "\n"
    confined = context.memory.of(_Confined)
    policy = confined.get(session.name)
    known = hint(text, policy) if policy else ""
    state = "; ".join(filter(None, (_state(session), known)))
    if session.ended:
        context.memory.of(Sessions).forget(session)
        confined.pop(session.name, None)
    return ToolResult(f"{text}[session {session.name} {state}]")


def _state(session: Session) -> str:
    if not session.ended:
        return "is running"
    if session.broken:
        return f"was {session.broken}"
    if session.code is None:
        return "was stopped"
    number = -session.code if session.code < 0 else session.code - 128
    try:
        return f"has ended: killed by {signal.Signals(number).name}"
    except ValueError:
        return f"has ended with exit code {session.code}"
