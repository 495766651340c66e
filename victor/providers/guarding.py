"""The guard put round an author's methods: what `BaseProvider.__init_subclass__` wraps them in.

Work that is guarded already passes through, so that nothing counts twice. Knows a provider only by
its pipeline; what the pipeline does is `resilience.pipeline`'s.
"""

from __future__ import annotations

import contextvars
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeVar

from victor.resilience.pipeline import Deadlines, Observer, Pipeline
from victor.types import Attempt, CompletionResponse, StreamChunk, Usage

__all__ = ["GUARDED", "Gate", "deadlines_of", "guards_itself", "is_inside", "observer"]


class Gate(Protocol):
    """What stands before the attempts of one call, ahead of breaker and deadline."""

    async def wait(self, observe: Observer | None = None) -> None:
        """Wait until an attempt may begin.

        Args:
            observe: is told if that takes time.

        Raises:
            ProviderError: it may not, or not soon enough.
        """

    def used(self, usage: Usage | None) -> None:
        """Take what the call really used."""


class _Provider(Protocol):
    _never_nests: bool

    @property
    def _guard(self) -> Pipeline: ...
    def _gate(
        self, args: tuple[Any, ...], options: dict[str, Any], deadlines: Deadlines | None
    ) -> Gate | None: ...


_running: contextvars.ContextVar[tuple[object, Observer | None]] = contextvars.ContextVar(
    "victor_guarded_call", default=(None, None)
)
"""The provider whose guarded code is running (guarded work inside guarded work is one attempt), and
who observes the call."""

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])


def is_inside(provider: object) -> bool:
    """Tell whether a provider's guarded code is what is running."""
    return _running.get()[0] is provider


def observer() -> Observer | None:
    """Return the `on_event` of the guarded call that is running; of a stream, while it starts."""
    return _running.get()[1]


def guards_itself(method: _F) -> _F:
    """Leave a method of ours unwrapped: it passes each of its requests to the guard."""
    method._guards_itself = True  # type: ignore[attr-defined] # read by __init_subclass__
    return method


def deadlines_of(
    timeout: float | None, total_timeout: float | None = None, max_wait: float | None = None
) -> Deadlines:
    """Return the limits that a provider's two numbers of seconds stand for.

    Args:
        timeout: for a try of a call, a stream's first content, and the pause between two pieces.
        total_timeout: for a whole stream; None is no limit.
        max_wait: before another try; None is no limit.
    """
    return Deadlines(timeout, timeout, timeout, total_timeout, max_wait)


def _call_options(
    provider: _Provider, kwargs: dict[str, Any]
) -> tuple[Deadlines | None, Observer | None]:
    on_event = kwargs.pop("on_event", None)
    timeout, total = kwargs.pop("timeout", None), kwargs.pop("total_timeout", None)
    wait = kwargs.pop("max_wait", None)
    if timeout is None and total is None and wait is None:
        return None, on_event
    usual = provider._guard.deadlines
    return deadlines_of(
        usual.call_s if timeout is None else timeout,
        usual.total_s if total is None else total,
        wait,
    ), on_event


def _guarded_call(
    method: Callable[..., Awaitable[_T]],
) -> Callable[..., Awaitable[_T]]:
    @functools.wraps(method)
    async def guarded(self: _Provider, *args: Any, **kwargs: Any) -> _T:
        deadlines, on_event = _call_options(self, kwargs)
        running, watch = _running.get()
        if running is self:
            return await method(self, *args, **kwargs)
        gate = self._gate(args, kwargs, deadlines)
        token = _running.set((self, watch if on_event is None else on_event))
        records: list[Attempt] = []
        try:
            value = await self._guard.call(
                lambda: method(self, *args, **kwargs),
                part=kwargs.get("model"),
                records=records,
                deadlines=deadlines,
                on_event=on_event,
                before=None if gate is None else gate.wait,
            )
        finally:
            _running.reset(token)
        if isinstance(value, CompletionResponse):
            if gate is not None:
                gate.used(value.usage)
            # A copy: an author may return the same object twice.
            return value.model_copy(update={"attempts": tuple(records)})
        return value

    guarded._is_guarded = True  # type: ignore[attr-defined] # read by __init_subclass__
    return guarded


def _guarded_stream(
    stream: Callable[..., AsyncIterator[StreamChunk]],
) -> Callable[..., AsyncIterator[StreamChunk]]:
    @functools.wraps(stream)
    def guarded(self: _Provider, *args: Any, **kwargs: Any) -> AsyncIterator[StreamChunk]:
        deadlines, on_event = _call_options(self, kwargs)
        running, watch = _running.get()
        if running is self:
            return stream(self, *args, **kwargs)
        gate = self._gate(args, kwargs, deadlines)
        mark = (self, watch if on_event is None else on_event)

        def attempt() -> AsyncIterator[StreamChunk]:
            token = _running.set(mark)
            try:
                chunks = stream(self, *args, **kwargs)
            finally:
                _running.reset(token)
            return _later(chunks) if inspect.isawaitable(chunks) else chunks

        return self._guard.stream(
            attempt,
            content_of=_content_of,
            is_final=_is_final,
            # Its own code is marked between two chunks, too, and its consumer's never.
            mark=None if self._never_nests else (_running, mark),
            finish=_finish if gate is None else functools.partial(_finish_at, gate),
            part=kwargs.get("model"),
            deadlines=deadlines,
            on_event=on_event,
            before=None if gate is None else gate.wait,
        )

    guarded._is_guarded = True  # type: ignore[attr-defined] # read by __init_subclass__
    return guarded


GUARDED: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("chat", _guarded_call),
    ("stream", _guarded_stream),
    ("embed", _guarded_call),
)
"""The methods that are wrapped, and in what."""


async def _later(
    coming: Awaitable[AsyncIterator[StreamChunk]],
) -> AsyncIterator[StreamChunk]:
    """Pass on the stream of an `async def stream(...)` that returns an iterator."""
    chunks = await coming
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _content_of(chunk: StreamChunk) -> str | None:
    return chunk.content or ("" if chunk.reasoning or chunk.tool_call_delta else None)


def _is_final(chunk: StreamChunk) -> bool:
    return chunk.is_final or chunk.stop_reason is not None


def _finish(chunk: StreamChunk, attempts: tuple[Attempt, ...]) -> None:
    if chunk.is_final:
        chunk.attempts = attempts


def _finish_at(gate: Gate, chunk: StreamChunk, attempts: tuple[Attempt, ...]) -> None:
    _finish(chunk, attempts)
    gate.used(chunk.usage)
