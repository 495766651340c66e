"""From a tool call to its result: check it, ask for permission, run it.

Whatever is wrong with a call comes back to the model as a result that says what to do. Knows
nothing about models or the conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import time
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, TypeAlias

from victor.agent.events import ToolFinished, ToolProgress, ToolStarted
from victor.agent.permissions import Permissions, decide
from victor.agent.verdicts import Verdict
from victor.config.settings import Mode
from victor.tools.base import Tool, ToolContext, Toolset
from victor.tools.read import read
from victor.tools.spill import MOST_CHARACTERS, spilled
from victor.tools.threads import call_in_thread
from victor.types import ToolCall

__all__ = ["Approve", "ToolRunner"]

Approve: TypeAlias = Callable[[ToolCall, Tool], Awaitable[bool | str]]
"""Asks a person: True runs the call; False, or a text with the reason, refuses it."""

_MOST_WAITING = 1_000
"""About so many words of progress wait for a slow reader; more are dropped."""


@dataclass(slots=True)
class ToolRunner:
    """Runs the calls of one agent."""

    tools: Toolset
    mode: Mode
    approve: Approve | None
    permissions: Permissions | None = None
    """The rules that come before the mode."""
    invalid: int = 0
    """How many messages in a row had no call that could be run as it was sent."""

    async def run(
        self, calls: Sequence[ToolCall], context: ToolContext
    ) -> AsyncGenerator[ToolStarted | ToolProgress | ToolFinished, None]:
        """Run the calls of one message, in order; neighbours that only read run side by side."""
        wrong = [(call, self._wrong(call)) for call in calls]
        self.invalid = 0 if any(why is None for _, why in wrong) else self.invalid + 1
        for batch in self._batches(wrong):
            checked = [(call, *await self._checked(call, why)) for call, why in batch]
            for call, _, refusal in checked:
                if refusal is None:
                    yield ToolStarted(call)
            said = _Said()
            runs = (self._run(*each, said.heard_by(each[0], context)) for each in checked)
            async with contextlib.aclosing(said.until_done(_all(runs))) as events:
                async for event in events:
                    yield event

    def _batches(
        self, calls: Iterable[tuple[ToolCall, str | None]]
    ) -> Iterator[list[tuple[ToolCall, str | None]]]:
        """Split calls into what may run side by side: neighbours that only read, or one call."""
        for only_reads, group in groupby(calls, lambda each: self._only_reads(each[0])):
            if only_reads:
                yield list(group)
            else:
                yield from ([each] for each in group)

    def _only_reads(self, call: ToolCall) -> bool:
        tool = self.tools.get(call.name)
        return tool is not None and tool.effect == "read"

    async def _run(
        self, call: ToolCall, tool: Tool | None, refusal: str | None, context: ToolContext
    ) -> ToolFinished:
        if tool is None or refusal is not None:
            return ToolFinished(call, refusal or "", is_error=True, seconds=0.0)
        started = time.perf_counter()
        result = await tool.run(call.arguments, context)
        content = f"Error: {result.content}" if result.is_error else result.content
        return ToolFinished(
            call,
            await self._shown(content, context),
            result.is_error,
            time.perf_counter() - started,
            result.attachments,
        )

    async def _shown(self, content: str, context: ToolContext) -> str:
        """Return a result as the model gets it: a long one in part, with where the rest is."""
        readable = self.tools.get(read.name) is read
        if len(content) <= MOST_CHARACTERS:
            return spilled(content, context.memory, readable=readable)
        return await call_in_thread(lambda: spilled(content, context.memory, readable=readable))

    def _wrong(self, call: ToolCall) -> str | None:
        """Say why a call cannot be run as it was sent."""
        tool = self.tools.get(call.name)
        if tool is None:
            return _unknown(call.name, [one.name for one in self.tools])
        if call.error is not None:
            return f"Error: the call was not run, as {call.error}. Send it again, complete."
        problem = tool.problem(call.arguments)
        return None if problem is None else f"Error: {problem}"

    async def _checked(self, call: ToolCall, wrong: str | None) -> tuple[Tool | None, str | None]:
        """Return the tool of a call that may run, or why it may not."""
        tool = self.tools.get(call.name)
        if tool is None or wrong is not None:
            return tool, wrong  # nobody is asked about what cannot run
        meant, its = tool.meant(call)
        verdict = self._judged(meant, its)
        if verdict.decision == "deny":
            return tool, f"Error: {meant.name} is not allowed{verdict.why}."
        if verdict.decision == "allow":
            return tool, None
        if self.approve is None:
            return tool, f"Error: {meant.name} needs the user's approval, and nobody can be asked."
        answer = await self.approve(meant, its)
        if answer is True:
            return tool, None
        if isinstance(answer, str) and answer:
            return tool, f"Error: this call was refused: {answer}"
        return tool, "Error: the user refused this call."

    def _judged(self, call: ToolCall, tool: Tool) -> Verdict:
        if self.permissions is not None:
            verdict = self.permissions.judge(call, tool, self.mode)
            return replace(verdict, why=f": {verdict.why}")
        return Verdict(decide(self.mode, tool.effect), f" in {self.mode} mode, which only reads")


class _Said:
    """What the tools of a batch say while they run, and their results at its end."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[ToolProgress | None] = asyncio.Queue()
        self._unheard = 0

    def heard_by(self, call: ToolCall, context: ToolContext) -> ToolContext:
        """Return the context of one call, whose progress is heard here."""

        def report(text: str) -> None:
            if self._unheard >= _MOST_WAITING:
                return
            self._unheard += 1
            with contextlib.suppress(RuntimeError):  # a thread outlived the loop
                self._loop.call_soon_threadsafe(self._waiting.put_nowait, ToolProgress(call, text))

        return replace(context, call_id=call.id, report=report)

    async def until_done(
        self, running: Coroutine[Any, Any, list[ToolFinished]]
    ) -> AsyncGenerator[ToolProgress | ToolFinished, None]:
        """Yield what is said, then the results."""
        work = self._loop.create_task(running)
        work.add_done_callback(lambda _: self._waiting.put_nowait(None))
        try:
            while (progress := await self._waiting.get()) is not None:
                self._unheard -= 1
                yield progress
            for finished in work.result():
                yield finished
        finally:
            if work.cancel():
                await asyncio.wait([work])


async def _all(runs: Iterable[Coroutine[Any, Any, ToolFinished]]) -> list[ToolFinished]:
    first, *others = runs
    if not others:  # the usual case needs no task
        return [await first]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(run) for run in (first, *others)]
    return [task.result() for task in tasks]


def _unknown(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    offered = ", ".join(names) or "none"
    return f"Error: there is no tool {name!r}.{hint} The tools are: {offered}."
