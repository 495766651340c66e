"""Google's SDK for Gemini."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sdk.reading import QUESTION, Reading, arguments, stop_of

__all__ = ["GoogleReader"]

_BLOCKED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR")
_FINISH = {"STOP": "stop", "MAX_TOKENS": "length", **dict.fromkeys(_BLOCKED, "content_filter")}


class GoogleReader:
    """generateContent; the SDK has no helper for streams, their parts are joined here."""

    def __init__(self, url: str) -> None:
        sdk = pytest.importorskip("google.genai")
        options = {"base_url": url, "api_version": "v1beta"}
        self._client = sdk.Client(api_key="key", http_options=options)
        self._models = self._client.aio.models

    async def read(self, model: str, *, stream: bool) -> Reading:
        if not stream:
            return _joined([await self._models.generate_content(model=model, contents=QUESTION)])
        chunks = await self._models.generate_content_stream(model=model, contents=QUESTION)
        return _joined([chunk async for chunk in chunks])

    async def close(self) -> None:
        await self._client.aio.aclose()
        self._client.close()


def _joined(chunks: list[Any]) -> Reading:
    candidates = [(chunk.candidates or [None])[0] for chunk in chunks]
    parts = [
        part
        for candidate in candidates
        if candidate and candidate.content
        for part in candidate.content.parts or ()
    ]
    calls = tuple(
        (part.function_call.name, arguments(part.function_call.args))
        for part in parts
        if part.function_call
    )
    reasons = [one.finish_reason for one in candidates if one and one.finish_reason]
    usage = next((chunk.usage_metadata for chunk in chunks[::-1] if chunk.usage_metadata), None)
    return Reading(
        text="".join(part.text for part in parts if part.text and not part.thought),
        calls=calls,
        stop=stop_of(reasons[-1] if reasons else None, _FINISH, calls=bool(calls)),
        prompt=usage and _sum(usage.prompt_token_count, usage.tool_use_prompt_token_count),
        completion=usage and _sum(usage.candidates_token_count, usage.thoughts_token_count),
    )


def _sum(*counts: int | None) -> int | None:
    said = [count for count in counts if count is not None]
    return sum(said) if said else None
