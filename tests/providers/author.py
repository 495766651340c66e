"""A provider as somebody may write it, and ways to ask it, for the tests of the guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from victor.providers.base import (
    BaseProvider,
    CompletionResponse,
    Message,
    ProviderServerError,
    StreamChunk,
)
from victor.resilience.breaker import BreakerSnapshot

__all__ = [
    "ANSWER",
    "FINAL",
    "HI",
    "Author",
    "Step",
    "as_script",
    "ask_chat",
    "ask_stream",
    "by_either",
    "down",
    "either",
    "votes_of",
]

HI = [Message(role="user", content="Hi")]
Step = StreamChunk | BaseException | None
"""What an author's stream does next; None waits for ever."""


class Author(BaseProvider):
    """Somebody's provider: it plays what the test says and keeps what it was asked."""

    def __init__(self, script: Sequence[Any] = (), **kwargs: Any) -> None:
        super().__init__(**{"retry_delay": 0.0, "max_retries": 0, **kwargs})
        self.script = list(script)
        self.asked: list[dict[str, Any]] = []
        self.closed_streams = 0
        self.closed = 0

    @property
    def name(self) -> str:
        return "author"

    def _next(self, **asked: Any) -> Any:
        self.asked.append(asked)
        return self.script[min(len(self.asked), len(self.script)) - 1]

    async def chat(
        self, messages: Sequence[Message], *, model: str, **kwargs: Any
    ) -> CompletionResponse:
        step = self._next(model=model, **kwargs)
        if isinstance(step, BaseException):
            raise step
        if step is None:
            await asyncio.Event().wait()
        return CompletionResponse(content=str(step), stop_reason="stop")

    async def stream(
        self, messages: Sequence[Message], *, model: str, **kwargs: Any
    ) -> AsyncIterator[StreamChunk]:
        try:
            for step in self._next(model=model, **kwargs):
                if isinstance(step, BaseException):
                    raise step
                if step is None:
                    await asyncio.Event().wait()
                else:
                    yield step
        finally:
            self.closed_streams += 1

    async def close(self) -> None:
        self.closed += 1


FINAL = StreamChunk(stop_reason="stop", is_final=True)
ANSWER: tuple[Step, ...] = (StreamChunk("Hel"), StreamChunk("lo"), FINAL)


def down() -> ProviderServerError:
    return ProviderServerError("it is down", status_code=500)


async def ask_chat(provider: BaseProvider, **options: Any) -> str:
    return (await provider.chat(HI, model="m", **options)).content


async def ask_stream(provider: BaseProvider, **options: Any) -> str:
    chunks = [chunk async for chunk in provider.stream(HI, model="m", **options)]
    assert chunks[-1].is_final
    return "".join(chunk.content for chunk in chunks)


async def by_either(provider: BaseProvider, how: str) -> str:
    return await (ask_chat(provider) if how == "chat" else ask_stream(provider))


def votes_of(provider: BaseProvider) -> BreakerSnapshot:
    assert provider.breaker is not None
    return provider.breaker.snapshot()


def as_script(how: str, step: Any) -> Any:
    return step if how == "chat" else (step,)


either = pytest.mark.parametrize("how", ["chat", "stream"])
