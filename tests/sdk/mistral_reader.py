"""Mistral's SDK."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["MistralReader"]

_FINISH = {
    "stop": "stop",
    "length": "length",
    "model_length": "length",
    "error": "error",
    "tool_calls": "tool_calls",
}


class MistralReader:
    """Chat; the SDK has no helper for streams, their parts are joined here."""

    def __init__(self, url: str) -> None:
        sdk = pytest.importorskip("mistralai.client")
        self._client = sdk.Mistral(api_key="key", server_url=url)

    async def read(self, model: str, *, stream: bool) -> Reading:
        messages = [{"role": "user", "content": QUESTION}]
        if not stream:
            answer = await self._client.chat.complete_async(model=model, messages=messages)
            choice = answer.choices[0]
            return _joined([choice.message], choice.finish_reason, answer.usage)
        deltas, reason, usage = [], None, None
        async with await self._client.chat.stream_async(model=model, messages=messages) as events:
            async for event in events:
                usage = event.data.usage or usage
                for choice in event.data.choices:
                    deltas.append(choice.delta)
                    reason = choice.finish_reason or reason
        return _joined(deltas, reason, usage)

    async def close(self) -> None:
        await self._client.__aexit__(None, None, None)


def _joined(messages: list[Any], reason: Any, usage: Any) -> Reading:
    made: list[tuple[str, Any]] = []
    for message in messages:
        for call in message.tool_calls or ():
            name, given = call.function.name, call.function.arguments
            if name or not made:
                made.append((name, given))
            else:  # the rest of the arguments
                made[-1] = (made[-1][0], made[-1][1] + given)
    calls = tuple((name, arguments(given)) for name, given in made)
    return Reading(
        text="".join(_text(message.content) for message in messages),
        calls=calls,
        stop=stop_of(reason, _FINISH, calls=bool(calls)),
        prompt=usage and usage.prompt_tokens,
        completion=usage and usage.completion_tokens,
    )


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content if part.type == "text")
    return content if isinstance(content, str) else ""
