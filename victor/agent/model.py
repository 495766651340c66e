"""One turn of the model: ask it, streaming or not, and say what comes as events.

A stream that breaks after its first content is discarded and asked for once more; no call in it
was run. Knows nothing about tools or the conversation's rules.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    AttemptFailed,
    AttemptStarted,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
    FailedOver,
    Held,
    KeySwitched,
    ReasoningDelta,
    RetryScheduled,
    TextDelta,
)
from victor.errors import StreamInterruptedError
from victor.providers.base import BaseProvider
from victor.resilience import events as guard
from victor.resilience.votes import judge
from victor.types import (
    CompletionResponse,
    JsonObject,
    Message,
    StreamChunk,
    ToolCall,
    Usage,
)

__all__ = ["Turn"]

_CUT_SHORT = frozenset({"length", "content_filter"})
"""Stop reasons of answers that may end in the middle of a call."""


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
    _paid: Usage | None = None
    """The usage of an answer that was discarded."""
    _told: list[AgentEvent] = field(default_factory=list)

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
        self.message = _doubting(response.to_message(), self.stop_reason)

    async def stream(self, messages: Sequence[Message]) -> AsyncGenerator[AgentEvent, None]:
        """Ask for the answer piece by piece; if it breaks off, once more from the start.

        Raises:
            StreamInterruptedError: it broke twice, or for a reason that will not pass.
        """
        for may_restart in (True, False):
            try:
                async with aclosing(self._sample(messages)) as events:
                    async for event in events:
                        yield event
            except StreamInterruptedError as error:
                for event in self._news():
                    yield event
                if not (may_restart and _may_pass(error)):
                    raise
                broken = AnswerRestarted(self.partial, _line(error))
            else:
                for event in self._news():
                    yield event
                return
            self._discard()
            yield broken

    async def _sample(self, messages: Sequence[Message]) -> AsyncGenerator[AgentEvent, None]:
        news = asyncio.Event()
        heard = self._listener(news)
        chunks = self.provider.stream(messages, **self.options, on_event=heard)
        waiting: asyncio.Future[StreamChunk | None] | None = None
        begun = False
        try:
            # What happens before the first content is told at once, the rest with what comes.
            while not begun:
                waiting = _awaited(anext(chunks, None), news)
                while not waiting.done():
                    await news.wait()
                    news.clear()
                    for event in self._news():
                        yield event
                chunk = waiting.result()
                if chunk is None:
                    break
                begun = bool(chunk.content or chunk.reasoning or chunk.tool_call_delta)
                for event in self._take(chunk):
                    yield event
            while begun and (chunk := await anext(chunks, None)) is not None:
                for event in self._take(chunk):
                    yield event
            self.message = _doubting(self._whole(), self.stop_reason)
        finally:
            await _stop(waiting, chunks)

    def _listener(self, news: asyncio.Event) -> Callable[[object], None]:
        def heard(event: object) -> None:
            if isinstance(event, guard.RetryScheduled):
                self._calls = None  # those of the try that failed
            if (shown := _shown(event)) is not None:
                self._told.append(shown)
                news.set()

        return heard

    def _news(self) -> list[AgentEvent]:
        """Return what the guard has told since the last time."""
        told, self._told = self._told, []
        return told

    def _discard(self) -> None:
        """Forget the answer so far, but not what it cost."""
        self._paid = self.usage
        self.stop_reason = self.model = self._calls = self._state = None
        self._text, self._reasoning = [], []

    def _take(self, chunk: StreamChunk) -> list[AgentEvent]:
        events = self._news()
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning)
            events.append(ReasoningDelta(chunk.reasoning))
        if chunk.content:
            self._text.append(chunk.content)
            events.append(TextDelta(chunk.content))
        if chunk.usage is not None:
            self.usage = chunk.usage if self._paid is None else self._paid + chunk.usage
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


def _doubting(message: Message, stop_reason: str | None) -> Message:
    """Return a message whose last call is not run if the answer was cut short.

    What came of its arguments may look whole, and be the first half of them; some servers send
    what they have as an object, and nothing as an empty one.
    """
    if stop_reason not in _CUT_SHORT or not message.tool_calls:
        return message
    *others, last = message.tool_calls
    why = "the answer was cut short, perhaps within it" + (
        " (it reached the limit of its length: send less at once)"
        if stop_reason == "length"
        else ""
    )
    cut = last.model_copy(update={"error": why})
    return message.model_copy(update={"tool_calls": [*others, cut]})


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


def _may_pass(error: StreamInterruptedError) -> bool:
    """Tell whether the same request may bring a whole answer: a refusal would come again."""
    cause = error.raw_error
    return not isinstance(cause, BaseException) or judge(cause).retryable


def _shown(event: object) -> AgentEvent | None:
    """Return what the guard says as an event of the agent: errors as lines, names as they are."""
    match event:
        case guard.AttemptStarted(attempt=attempt, owner=owner, part=part):
            return AttemptStarted(attempt, owner, part)
        case guard.AttemptFailed(error=error, attempt=attempt, seconds=seconds):
            return AttemptFailed(_line(error), attempt, seconds)
        case guard.Held(reason=reason, wait_s=wait_s):
            return Held(reason, wait_s)
        case guard.RetryScheduled(error=error, wait_s=wait_s, attempt=attempt):
            return RetryScheduled(_line(error), wait_s, attempt)
        case guard.KeySwitched(old=old, new=new, error=error):
            return KeySwitched(old, new, _line(error))
        case guard.FailedOver(old=old, new=new, error=error, notes=notes):
            return FailedOver(old, new, _line(error), notes)
        case guard.BreakerOpened() | guard.BreakerHalfOpened() | guard.BreakerClosed():
            return _of_breaker(event)
        case _:
            return None


def _of_breaker(event: guard.BreakerEvent) -> AgentEvent:
    match event:
        case guard.BreakerOpened(name=name, error=error, open_s=open_s):
            why = "" if error is None else _line(error)
            return BreakerOpened(name, why, open_s if math.isfinite(open_s) else None)
        case guard.BreakerHalfOpened(name=name):
            return BreakerHalfOpened(name)
        case guard.BreakerClosed(name=name):
            return BreakerClosed(name)


def _line(error: BaseException) -> str:
    if isinstance(error, StreamInterruptedError) and isinstance(error.raw_error, Exception):
        error = error.raw_error  # how far it came is seen anyway
    return " ".join(str(error).split()) or type(error).__name__
