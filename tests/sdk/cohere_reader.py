"""Cohere's SDK, its second version of chat."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["CohereReader"]

_FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR": "error",
    "TIMEOUT": "error",
}


class CohereReader:
    """Chat v2; the SDK has no helper for streams, their parts are joined here."""

    def __init__(self, url: str) -> None:
        sdk = pytest.importorskip("cohere")
        self._client = sdk.AsyncClientV2(api_key="key", base_url=url, max_retries=0)

    async def read(self, model: str, *, stream: bool) -> Reading:
        messages = [{"role": "user", "content": QUESTION}]
        if not stream:
            return _answer(await self._client.chat(model=model, messages=messages))
        return await _joined(self._client.chat_stream(model=model, messages=messages))

    async def close(self) -> None:
        await self._client._client_wrapper.httpx_client.httpx_client.aclose()


def _answer(answer: Any) -> Reading:
    message = answer.message
    text = "".join(part.text for part in message.content or () if part.type == "text")
    calls = tuple(
        (call.function.name, call.function.arguments) for call in message.tool_calls or ()
    )
    return _reading(text, calls, answer.finish_reason, answer.usage)


async def _joined(events: Any) -> Reading:
    texts: list[str] = []
    calls: dict[int, list[str]] = {}
    end: Any = None
    async for event in events:
        match event.type:
            case "content-delta":
                texts.append(event.delta.message.content.text or "")
            case "tool-call-start":
                function = event.delta.message.tool_calls.function
                calls[event.index] = [function.name, function.arguments or ""]
            case "tool-call-delta":
                calls[event.index][1] += event.delta.message.tool_calls.function.arguments
            case "message-end":
                end = event.delta
            case _:
                pass
    if end is None:
        raise ValueError("the stream ended before the answer did")
    made = tuple((name, given) for name, given in calls.values())
    return _reading("".join(texts), made, end.finish_reason, end.usage)


def _reading(text: str, calls: tuple[tuple[str, str], ...], reason: Any, usage: Any) -> Reading:
    tokens = usage and usage.tokens
    return Reading(
        text=text,
        calls=tuple((name, arguments(given)) for name, given in calls),
        stop=stop_of(reason, _FINISH, calls=bool(calls)),
        prompt=_whole(tokens and tokens.input_tokens),
        completion=_whole(tokens and tokens.output_tokens),
    )


def _whole(count: float | None) -> int | None:
    return None if count is None else int(count)
