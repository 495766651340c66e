"""Answers of Gemini, ways to read them, and the request that sends one back."""

from __future__ import annotations

import json
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest
from victor.providers.wires.gemini.wire import GeminiGenerate
from victor.types import CompletionResponse, Message, StreamChunk

__all__ = [
    "COUNTS",
    "SIGNED",
    "WIRE",
    "Json",
    "brief_of",
    "decode",
    "read",
    "replayed",
    "stream",
    "value_of",
]

WIRE = GeminiGenerate(Vendor("google", None, wire="gemini", auth="x-goog-api-key"))
COUNTS = {"promptTokenCount": 7, "candidatesTokenCount": 2, "totalTokenCount": 9}
SIGNED = {"functionCall": {"name": "add", "args": {"a": 1}}, "thoughtSignature": "AAA="}
Json = dict[str, Any]


def value_of(*parts: Any, finish: Any = "STOP", **more: Any) -> Json:
    candidate: Json = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **more}


def decode(value: Any) -> CompletionResponse:
    return WIRE.decode(json.dumps(value).encode(), model="asked")


def read(*parts: Any, **more: Any) -> CompletionResponse:
    return decode(value_of(*parts, **more))


def stream(*values: Any) -> tuple[list[StreamChunk], StreamChunk]:
    decoder = WIRE.stream_decoder(model="asked")
    events = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in values]
    chunks = [chunk for event in events if (chunk := decoder.feed(event)) is not None]
    return chunks, decoder.finish()


def brief_of(answer: CompletionResponse | StreamChunk) -> list[tuple[str, Json, bool]]:
    return [(call.name, call.arguments, call.error is None) for call in answer.tool_calls or []]


def replayed(answer: CompletionResponse | Message) -> list[Json]:
    message = answer if isinstance(answer, Message) else answer.to_message()
    stored = Message.model_validate_json(message.model_dump_json())
    question = Message(role="user", content="?")
    results = [
        Message(role="tool", tool_call_id=call.id, name=call.name, content="1")
        for call in stored.tool_calls or []
    ]
    call = WIRE.encode(ChatRequest([question, stored, *results], "gemini-3-pro-preview"))
    parts: list[Json] = json.loads(call.body)["contents"][1]["parts"]
    return parts
