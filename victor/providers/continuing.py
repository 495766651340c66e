"""Answers in several parts: a server paused its turn and goes on when it is sent back.

Puts the parts together as one answer. Pure; knows no protocol. Source:
https://docs.anthropic.com/en/api/handling-stop-reasons
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from victor.providers.request import PAUSED, ChatRequest
from victor.types import CompletionResponse, JsonObject, Message, StreamChunk, Usage

__all__ = ["MAX_PARTS", "Parts"]

MAX_PARTS = 10
"""How many parts one answer may have; the last one then ends it with the stop reason `other`."""


class Parts:
    """What has come of an answer in parts.

    Args:
        request: what was asked.
    """

    def __init__(self, request: ChatRequest) -> None:
        self._asked = request
        self._messages: list[Message] = []
        self._state: JsonObject | None = None
        self._usage: Usage | None = None
        self._count = 0

    def next_request(self, message: Message, usage: Usage | None) -> ChatRequest:
        """Take a paused part; return the request that makes it go on."""
        self._count += 1
        self._messages.append(message)
        self._state = _joined(self._state, message.provider_state)
        self._usage = _sum(self._usage, usage)
        return replace(self._asked, messages=[*self._asked.messages, *self._messages])

    @property
    def full(self) -> bool:
        """Whether no further part is asked for."""
        return self._count >= MAX_PARTS - 1

    def last(self, chunk: StreamChunk) -> StreamChunk:
        """Make the final chunk of the last part that of the whole answer."""
        if self._count:
            chunk.provider_state = _joined(self._state, chunk.provider_state)
            chunk.usage = _sum(self._usage, chunk.usage)
        if chunk.stop_reason == PAUSED:
            chunk.stop_reason = "other"
        return chunk

    def whole(self, response: CompletionResponse) -> CompletionResponse:
        """Make the last part the whole answer."""
        earlier = self._messages
        thoughts: Sequence[str | None] = [*(one.reasoning for one in earlier), response.reasoning]
        stop = response.stop_reason
        return response.model_copy(
            update={
                "content": "".join(one.content for one in earlier) + response.content,
                "reasoning": "".join(one for one in thoughts if one) or None,
                "provider_state": _joined(self._state, response.provider_state),
                "usage": _sum(self._usage, response.usage),
                "stop_reason": "other" if stop == PAUSED else stop,
            }
        )


def _sum(first: Usage | None, second: Usage | None) -> Usage | None:
    if first is None or second is None:
        return first or second
    return first + second


def _joined(first: JsonObject | None, second: JsonObject | None) -> JsonObject | None:
    """Put a wire's states of two parts together: its lists one after the other."""
    if first is None or second is None:
        return first or second
    joined = dict(first)
    for wire, state in second.items():
        joined[wire] = {**joined.get(wire, {}), **state}
        for name, value in state.items():
            before = first.get(wire, {}).get(name)
            if isinstance(value, list) and isinstance(before, list):
                joined[wire][name] = before + value
    return joined
