"""From a tool call to its result: check it, ask for permission, run it.

Whatever is wrong with a call comes back to the model as a result that says what to do. Knows
nothing about models or the conversation.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from victor.agent.events import ToolFinished, ToolStarted
from victor.agent.permissions import decide
from victor.config.settings import Mode
from victor.tools.base import Tool, ToolContext, ToolResult, Toolset
from victor.types import ToolCall

__all__ = ["Approve", "ToolRunner"]

Approve: TypeAlias = Callable[[ToolCall, Tool], Awaitable[bool | str]]
"""Asks a person: True runs the call; False, or a text with the reason, refuses it."""


@dataclass(slots=True)
class ToolRunner:
    """Runs the calls of one agent."""

    tools: Toolset
    mode: Mode
    approve: Approve | None

    async def run(
        self, calls: Sequence[ToolCall], context: ToolContext
    ) -> AsyncGenerator[ToolStarted | ToolFinished, None]:
        """Run the calls of one message; those that only read run side by side."""
        tools = [self.tools.get(call.name) for call in calls]
        if len(calls) > 1 and all(tool is not None and tool.effect == "read" for tool in tools):
            async for event in self._side_by_side(calls, context):
                yield event
            return
        for call in calls:
            tool, refusal = await self._checked(call)
            started = time.perf_counter()
            if tool is None or refusal is not None:
                yield ToolFinished(call, refusal or "", is_error=True, seconds=0.0)
                continue
            yield ToolStarted(call)
            result = await tool.run(call.arguments, replace(context, call_id=call.id))
            yield _finished(call, result, started)

    async def _side_by_side(
        self, calls: Sequence[ToolCall], context: ToolContext
    ) -> AsyncGenerator[ToolStarted | ToolFinished, None]:
        async def one(call: ToolCall) -> ToolFinished:
            started = time.perf_counter()
            tool, refusal = await self._checked(call)
            if tool is None or refusal is not None:
                return ToolFinished(call, refusal or "", is_error=True, seconds=0.0)
            result = await tool.run(call.arguments, replace(context, call_id=call.id))
            return _finished(call, result, started)

        for call in calls:
            yield ToolStarted(call)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
        for task in tasks:
            yield task.result()

    async def _checked(self, call: ToolCall) -> tuple[Tool | None, str | None]:
        """Return the tool of a call that may run, or why it may not."""
        tool = self.tools.get(call.name)
        if tool is None:
            return None, _unknown(call.name, [one.name for one in self.tools])
        if call.error is not None:
            return tool, f"Error: the call was not run, as {call.error}. Send it again, complete."
        decision = decide(self.mode, tool.effect)
        if decision == "deny":
            return tool, f"Error: {call.name} is not allowed in {self.mode} mode, which only reads."
        if decision == "allow":
            return tool, None
        if self.approve is None:
            return tool, f"Error: {call.name} needs the user's approval, and nobody can be asked."
        answer = await self.approve(call, tool)
        if answer is True:
            return tool, None
        reason = f": {answer}" if isinstance(answer, str) and answer else "."
        return tool, f"Error: the user refused this call{reason}"


def _finished(call: ToolCall, result: ToolResult, started: float) -> ToolFinished:
    content = f"Error: {result.content}" if result.is_error else result.content
    return ToolFinished(call, content, result.is_error, time.perf_counter() - started)


def _unknown(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    offered = ", ".join(names) or "none"
    return f"Error: there is no tool {name!r}.{hint} The tools are: {offered}."
