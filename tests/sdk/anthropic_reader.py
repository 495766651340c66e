"""Anthropic's SDK."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["AnthropicReader"]

_STOP = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "other",
}


class AnthropicReader:
    """Messages; streams are put together by the SDK's own helper."""

    def __init__(self, url: str) -> None:
        sdk = pytest.importorskip("anthropic")
        self.client = sdk.AsyncAnthropic(api_key="key", base_url=url, max_retries=0)

    async def read(self, model: str, *, stream: bool) -> Reading:
        asked: dict[str, Any] = {
            "model": model,
            "max_tokens": 100,
            "messages": [{"role": "user", "content": QUESTION}],
        }
        if not stream:
            return _message(await self.client.messages.create(**asked))
        async with self.client.messages.stream(**asked) as events:
            return _message(await events.get_final_message())

    async def close(self) -> None:
        await self.client.close()


def _message(answer: Any) -> Reading:
    calls = tuple(
        (block.name, arguments(block.input)) for block in answer.content if block.type == "tool_use"
    )
    usage = answer.usage
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return Reading(
        text="".join(block.text for block in answer.content if block.type == "text"),
        calls=calls,
        stop=stop_of(answer.stop_reason, _STOP, calls=bool(calls)),
        prompt=usage.input_tokens + cached,
        completion=usage.output_tokens,
    )
