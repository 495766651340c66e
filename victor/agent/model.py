"""One turn of the model: ask it, streaming or not, and say what comes as events.

Knows nothing about tools or the conversation's rules.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from victor.agent.events import AgentEvent, ReasoningDelta, RetryScheduled, TextDelta
from victor.providers.base import BaseProvider
from victor.resilience import pipeline
from victor.types import CompletionResponse, Message, StreamChunk, ToolCall, Usage

__all__ = ["Turn"]


@dataclass(slots=True)
class Turn:
    """A turn under way; after `events` is exhausted it holds the whole answer."""

    provider: BaseProvider
    options: Mapping[str, Any]
    """Arguments of `chat` and `stream` other than the messages."""
    usage: Usage | None = None
    stop_reason: str | None = None
    model: str | None = None
    message: Message | None = None
    """The whole message; None while it is not whole."""
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)

    @property
    def partial(self) -> str:
        """The text so far."""
        return "".join(self._text)

    async def ask(self, messages: Sequence[Message]) -> AsyncGenerator[AgentEvent, None]:
        """Ask for the whole answer at once."""
        response: CompletionResponse = await self.provider.chat(messages, **self.options)
        if response.reasoning:
            yield ReasoningDelta(response.reasoning)
        if response.content:
            yield TextDelta(response.content)
        self.usage, self.stop_reason = response.usage, response.stop_reason
        self.model = response.model
        self.message = response.to_message()

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[AgentEvent, None]:
        """Ask for the answer piece by piece."""
        retries: asyncio.Queue[RetryScheduled] = asyncio.Queue()

        def heard(event: object) -> None:
            if isinstance(event, pipeline.RetryScheduled):
                retries.put_nowait(RetryScheduled(_line(event.error), event.wait_s, event.attempt))

        chunks = self.provider.stream(messages, **self.options, on_event=heard)
        try:
            # Retries happen before the first piece only: until then listen for both.
            first = asyncio.ensure_future(anext(chunks, None))
            try:
                async for retry in _until(first, retries):
                    yield retry
            finally:
                if not first.done():
                    # Cancelled, or the consumer is gone: the source must stand still to be closed.
                    first.cancel()
                    await asyncio.wait({first})
            chunk = await first
            while chunk is not None:
                for event in self._take(chunk):
                    yield event
                chunk = await anext(chunks, None)
        finally:
            close = getattr(chunks, "aclose", None)
            if close is not None:
                await close()

    def _take(self, chunk: StreamChunk) -> list[AgentEvent]:
        events: list[AgentEvent] = []
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
            events.append(ReasoningDelta(chunk.reasoning))
        if chunk.content:
            self._text.append(chunk.content)
            events.append(TextDelta(chunk.content))
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.is_final or chunk.stop_reason is not None:
            self._finish(chunk)
        return events

    def _finish(self, chunk: StreamChunk) -> None:
        self.stop_reason = chunk.stop_reason
        self.model = chunk.model
        calls: list[ToolCall] | None = chunk.tool_calls or None
        self.message = Message(
            role="assistant",
            content=self.partial,
            tool_calls=calls,
            reasoning="".join(self._reasoning) or None,
            provider_state=chunk.provider_state,
        )


async def _until(
    first: asyncio.Future[StreamChunk | None], retries: asyncio.Queue[RetryScheduled]
) -> AsyncGenerator[RetryScheduled, None]:
    while True:
        heard = asyncio.ensure_future(retries.get())
        either: set[asyncio.Future[Any]] = {first, heard}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not heard.done():
                return
            yield heard.result()
        finally:
            heard.cancel()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
