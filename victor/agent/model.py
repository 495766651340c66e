"""One turn of the model: ask it, streaming or not, and say what comes as events.

Knows nothing about tools or the conversation's rules.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from victor.agent.events import AgentEvent, ReasoningDelta, RetryScheduled, TextDelta
from victor.providers.base import BaseProvider
from victor.resilience import pipeline
from victor.types import (
    CompletionResponse,
    JsonObject,
    Message,
    StreamChunk,
    ToolCall,
    Usage,
)

__all__ = ["Turn"]


@dataclass(slots=True)
class Turn:
    """A turn under way; after `ask` or `stream` is exhausted it holds the whole answer."""

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
    _calls: list[ToolCall] | None = None
    _state: JsonObject | None = None

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
        retries: deque[RetryScheduled] = deque()
        news = asyncio.Event()

        def heard(event: object) -> None:
            if isinstance(event, pipeline.RetryScheduled):
                self._calls = None  # those of the try that failed
                retries.append(RetryScheduled(_line(event.error), event.wait_s, event.attempt))
                news.set()

        chunks = self.provider.stream(messages, **self.options, on_event=heard)
        waiting: asyncio.Future[StreamChunk | None] | None = None
        begun = False
        try:
            # Retries happen before the first content only: until then listen for both.
            while not begun:
                waiting = _awaited(anext(chunks, None), news)
                while not waiting.done():
                    await news.wait()
                    news.clear()
                    while retries:
                        yield retries.popleft()
                chunk = waiting.result()
                if chunk is None:
                    break
                begun = bool(chunk.content or chunk.reasoning or chunk.tool_call_delta)
                for event in self._take(chunk):
                    yield event
            while begun and (chunk := await anext(chunks, None)) is not None:
                for event in self._take(chunk):
                    yield event
            self.message = self._whole()
        finally:
            await _stop(waiting, chunks)

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
        if chunk.tool_calls:
            self._calls = chunk.tool_calls
        if chunk.is_final or chunk.stop_reason is not None:
            # Some send the reason first and the final chunk, without it, later.
            self.stop_reason = chunk.stop_reason or self.stop_reason
            self.model = chunk.model or self.model
            self._state = chunk.provider_state or self._state
        return events

    def _whole(self) -> Message:
        return Message(
            role="assistant",
            content=self.partial,
            tool_calls=self._calls,
            reasoning="".join(self._reasoning) or None,
            provider_state=self._state,
        )


def _awaited(
    coming: Awaitable[StreamChunk | None], news: asyncio.Event
) -> asyncio.Future[StreamChunk | None]:
    """Start to wait for something; `news` is set once it is there."""

    def there(done: asyncio.Future[StreamChunk | None]) -> None:
        news.set()
        if not done.cancelled():
            done.exception()  # it has been looked at, even where nobody waits any more

    future = asyncio.ensure_future(coming)
    future.add_done_callback(there)
    return future


async def _stop(
    waiting: asyncio.Future[StreamChunk | None] | None, chunks: AsyncIterator[StreamChunk]
) -> None:
    """Close a stream, also one that is being waited for."""
    if waiting is not None and not waiting.done():
        # Cancelled, or the consumer is gone: the source must stand still to be closed.
        waiting.cancel()
        await asyncio.wait({waiting})
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
