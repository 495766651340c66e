"""Ollama's SDK."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["OllamaReader"]

_DONE = {"stop": "stop", "length": "length"}


class OllamaReader:
    """Chat; the SDK has no helper for streams, their parts are joined here."""

    def __init__(self, url: str) -> None:
        self._client = pytest.importorskip("ollama").AsyncClient(host=url)

    async def read(self, model: str, *, stream: bool) -> Reading:
        messages = [{"role": "user", "content": QUESTION}]
        found = await self._client.chat(model=model, messages=messages, stream=stream)
        parts = [part async for part in found] if stream else [found]
        calls = tuple(
            (call.function.name, arguments(call.function.arguments))
            for part in parts
            for call in part.message.tool_calls or ()
        )
        last: Any = parts[-1]
        return Reading(
            text="".join(part.message.content or "" for part in parts),
            calls=calls,
            stop=stop_of(last.done_reason, _DONE, calls=bool(calls)),
            prompt=last.prompt_eval_count,
            completion=last.eval_count,
        )

    async def close(self) -> None:
        await self._client.close()
