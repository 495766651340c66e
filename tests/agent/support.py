"""What the agent's tests share: providers that do as they are told, and the rule for histories."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from victor.agent.agent import Agent
from victor.agent.events import (
    AgentEvent,
    AttemptFailed,
    AttemptStarted,
    RunFinished,
    RunResult,
)
from victor.providers.base import BaseProvider
from victor.tools.base import Tool, tool
from victor.types import CompletionResponse, Message, StreamChunk, ToolCall, ToolDefinition, Usage

__all__ = [
    "FULL",
    "INTERRUPTED",
    "Chunks",
    "answers_of",
    "call",
    "change",
    "counting",
    "final",
    "look",
    "looking",
    "quiet",
    "result_in",
    "said",
    "stream_of",
    "text",
    "valid",
]

INTERRUPTED = "Error: interrupted before it finished; whether it had an effect is unknown."

Step: TypeAlias = StreamChunk | BaseException | asyncio.Event


class Chunks(BaseProvider):
    """Streams one list of steps per request: chunks, errors to raise, events to wait for."""

    default_model = "chunks"

    def __init__(self, *scripts: Sequence[Step], **options: Any) -> None:
        super().__init__(**{"max_retries": 0, **options})
        self.scripts = list(scripts)
        self.requests: list[tuple[Message, ...]] = []
        self.waiting = asyncio.Event()
        """Set while a step is waited for."""
        self.open = 0
        """Streams that have begun and are not closed."""

    @property
    def name(self) -> str:
        return "chunks"

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        raise NotImplementedError

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float = 0.7,
        max_tokens: int = 4096,
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        script = self.scripts[len(self.requests) % len(self.scripts)]
        self.requests.append(tuple(messages))
        self.open += 1
        try:
            for step in script:
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, asyncio.Event):
                    self.waiting.set()
                    await step.wait()
                else:
                    yield step
        finally:
            await asyncio.sleep(0)  # closing a connection takes a moment
            self.open -= 1

    async def close(self) -> None:
        pass


def call(name: str, call_id: str = "c1", **arguments: Any) -> ToolCall:
    return ToolCall(id=call_id, name=name, arguments=arguments)


def text(content: str) -> StreamChunk:
    return StreamChunk(content)


def final(*calls: ToolCall, stop_reason: str | None = None) -> StreamChunk:
    stop = stop_reason or ("tool_calls" if calls else "stop")
    return StreamChunk(tool_calls=list(calls) or None, stop_reason=stop, is_final=True)


def valid(messages: Sequence[Message]) -> bool:
    """Tell whether every call has exactly one result, right after its message, and its own id."""
    seen: set[str] = set()
    due: list[str] = []
    for message in messages:
        if message.role == "tool":
            if message.tool_call_id not in due:
                return False
            due.remove(message.tool_call_id)
            continue
        ids = [one.id for one in message.tool_calls or ()]
        if due or not all(ids) or len(set(ids)) != len(ids) or seen & set(ids):
            return False
        seen |= set(ids)
        due = ids
    return not due


@tool(effect="read")
def look(path: str) -> str:
    """Look at something."""
    return f"saw {path}"


@tool(effect="edit")
def change(path: str) -> str:
    """Change something."""
    return f"changed {path}"


def looking(*paths: str) -> list[ToolCall]:
    return [call("look", f"look-{path}", path=path) for path in paths]


async def stream_of(agent: Agent, prompt: str = "hi") -> list[AgentEvent]:
    return [event async for event in agent.stream(prompt)]


def result_in(events: Sequence[AgentEvent]) -> RunResult:
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last.result


def said(messages: Sequence[Message]) -> list[tuple[str, str]]:
    return [(one.role, one.content) for one in messages]


def answers_of(agent: Agent) -> list[str]:
    return [one.content for one in agent.messages if one.role == "tool"]


def counting() -> tuple[Tool, list[str]]:
    ran: list[str] = []

    async def look(path: str) -> str:
        ran.append(path)
        return f"saw {path}"

    return tool(look, effect="read"), ran


FULL = CompletionResponse(
    content="let me see",
    tool_calls=looking("a", "b"),
    stop_reason="tool_calls",
    usage=Usage(prompt_tokens=7, completion_tokens=1, cached_tokens=2),
    model="m-2",
    reasoning="hm",
)
"""An answer with everything in it."""


async def quiet(events: AsyncGenerator[AgentEvent, None]) -> AsyncGenerator[AgentEvent, None]:
    """Pass events on, all but those of single attempts."""
    async with aclosing(events):
        async for event in events:
            if not isinstance(event, AttemptStarted | AttemptFailed):
                yield event
