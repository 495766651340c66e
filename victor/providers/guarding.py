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
from victor.types import Attempt, CompletionResponse, StreamChunk

__all__ = ["GUARDED", "deadlines_of", "guards_itself", "is_inside"]


class _Provider(Protocol):
    _never_nests: bool

    @property
    def _guard(self) -> Pipeline: ...


_inside: contextvars.ContextVar[object] = contextvars.ContextVar(
    "victor_guarded_provider", default=None
)
"""The provider whose guarded code is running: guarded work inside guarded work is one attempt."""

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])


def is_inside(provider: object) -> bool:
    """Tell whether a provider's guarded code is what is running."""
    return _inside.get() is provider


def guards_itself(method: _F) -> _F:
    """Leave a method of ours unwrapped: it passes each of its requests to the guard."""
    method._guards_itself = True  # type: ignore[attr-defined] # read by __init_subclass__
    return method


def deadlines_of(timeout: float | None) -> Deadlines:
    """Return the limits that one number of seconds stands for."""
    return Deadlines(call_s=timeout, first_content_s=timeout, idle_s=timeout)


def _call_options(kwargs: dict[str, Any]) -> tuple[Deadlines | None, Observer | None]:
    timeout = kwargs.pop("timeout", None)
    return (None if timeout is None else deadlines_of(timeout)), kwargs.pop("on_event", None)


def _guarded_call(
    method: Callable[..., Awaitable[_T]],
) -> Callable[..., Awaitable[_T]]:
    @functools.wraps(method)
    async def guarded(self: _Provider, *args: Any, **kwargs: Any) -> _T:
        deadlines, on_event = _call_options(kwargs)
        if _inside.get() is self:
            return await method(self, *args, **kwargs)
        token = _inside.set(self)
        records: list[Attempt] = []
        try:
            value = await self._guard.call(
                lambda: method(self, *args, **kwargs),
                part=kwargs.get("model"),
                records=records,
                deadlines=deadlines,
                on_event=on_event,
            )
        finally:
            _inside.reset(token)
        if isinstance(value, CompletionResponse):
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
        deadlines, on_event = _call_options(kwargs)
        if _inside.get() is self:
            return stream(self, *args, **kwargs)

        def attempt() -> AsyncIterator[StreamChunk]:
            if self._never_nests:
                return stream(self, *args, **kwargs)
            return _marked(self, lambda: stream(self, *args, **kwargs))

        return self._guard.stream(
            attempt,
            has_content=_has_content,
            is_final=_is_final,
            text_of=_text_of,
            finish=_finish,
            part=kwargs.get("model"),
            deadlines=deadlines,
            on_event=on_event,
        )

    guarded._is_guarded = True  # type: ignore[attr-defined] # read by __init_subclass__
    return guarded


GUARDED: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("chat", _guarded_call),
    ("stream", _guarded_stream),
    ("embed", _guarded_call),
)
"""The methods that are wrapped, and in what."""


async def _marked(provider: object, start: Callable[[], Any]) -> AsyncIterator[StreamChunk]:
    """Mark the provider as guarded while its own code runs, and not while its consumer's does."""
    token = _inside.set(provider)
    try:
        chunks = start()
        if inspect.isawaitable(chunks):  # `async def stream(...)` that returns an iterator
            chunks = await chunks
    finally:
        _inside.reset(token)
    advance = aiter(chunks).__anext__
    try:
        while True:
            token = _inside.set(provider)
            try:
                chunk = await advance()
            except StopAsyncIteration:
                return
            finally:
                _inside.reset(token)
            yield chunk
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()


def _has_content(chunk: StreamChunk) -> bool:
    return bool(chunk.content or chunk.reasoning or chunk.tool_call_delta)


def _is_final(chunk: StreamChunk) -> bool:
    return chunk.is_final or chunk.stop_reason is not None


def _finish(chunk: StreamChunk, attempts: tuple[Attempt, ...]) -> None:
    if chunk.is_final:
        chunk.attempts = attempts


def _text_of(chunk: StreamChunk) -> str:
    return chunk.content
