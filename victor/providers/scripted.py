"""MockLLM: a provider that plays a script, for tests without a network.

It is a real `BaseProvider`: its calls pass the same guard as any vendor's. Knows nothing about
HTTP.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from victor.providers.base import BaseProvider
from victor.types import (
    CompletionResponse,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
    Usage,
)

__all__ = ["Call", "MockLLM", "Reply"]

Reply: TypeAlias = (
    str
    | ToolCall
    | Sequence[ToolCall]
    | CompletionResponse
    | BaseException
    | Callable[[Sequence[Message]], "Reply"]
)
"""Text, tool calls, a whole response, an error to raise, or a function of the messages."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that a `MockLLM` was sent."""

    messages: tuple[Message, ...]
    model: str
    tools: tuple[ToolDefinition, ...] = ()
    stream: bool = False
    options: dict[str, Any] = field(default_factory=dict)


class MockLLM(BaseProvider):
    """Answers with the given replies, in turn and from the start again after the last one.

    Args:
        responses: the replies; one text by default.
        **kwargs: see `BaseProvider`. `max_retries` is 0 unless given, so that a scripted error
            reaches the test at once.
    """

    default_model = "mock"

    def __init__(self, responses: Sequence[Reply] | None = None, **kwargs: Any) -> None:
        super().__init__(**{"max_retries": 0, **kwargs})
        self.responses: list[Reply] = list(responses or ["Mock response"])
        self.calls: list[Call] = []
        """Every request so far, failed ones included."""

    @property
    def name(self) -> str:
        return "mock"

    @property
    def call_count(self) -> int:
        """How many requests have come."""
        return len(self.calls)

    def reset(self) -> None:
        """Forget all requests and begin the script again."""
        self.calls.clear()

    def supports_tools(self) -> bool:
        return True

    def supports_streaming(self) -> bool:
        return True

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str = "mock",
        temperature: float = 0.7,  # noqa: ARG002 - a script has no temperature
        max_tokens: int = 4096,  # noqa: ARG002 - and no length
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        return self._answer(Call(tuple(messages), model, tuple(tools or ()), options=kwargs))

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str = "mock",
        temperature: float = 0.7,  # noqa: ARG002 - as in chat
        max_tokens: int = 4096,  # noqa: ARG002 - as in chat
        tools: list[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        call = Call(tuple(messages), model, tuple(tools or ()), stream=True, options=kwargs)
        answer = self._answer(call)
        # Words with the white space after them: joined, they are the text to the letter.
        for word in re.findall(r"\s*\S+\s*|\s+", answer.content):
            yield StreamChunk(word)
        yield StreamChunk(
            reasoning=answer.reasoning or "",
            tool_calls=answer.tool_calls,
            stop_reason=answer.stop_reason,
            usage=answer.usage,
            is_final=True,
            provider_state=answer.provider_state,
            model=answer.model,
        )

    async def close(self) -> None:
        """Nothing to close."""

    def _answer(self, call: Call) -> CompletionResponse:
        reply = self.responses[len(self.calls) % len(self.responses)]
        self.calls.append(call)
        if callable(reply) and not isinstance(reply, BaseException):
            reply = reply(call.messages)
        if isinstance(reply, BaseException):
            raise reply
        if isinstance(reply, CompletionResponse):
            return reply
        if callable(reply):
            raise TypeError("a scripted function has to return a reply, not another function")
        calls = [] if isinstance(reply, str) else reply
        calls = [calls] if isinstance(calls, ToolCall) else list(calls)
        return CompletionResponse(
            content=reply if isinstance(reply, str) else "",
            tool_calls=calls or None,
            stop_reason="tool_calls" if calls else "stop",
            usage=Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15),
            model=call.model,
        )
