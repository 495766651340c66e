"""Bodies and events of OpenAI chat completions, and ways to read them."""

from __future__ import annotations

import json
from typing import Any

from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.types import CompletionResponse, StreamChunk, ToolCall

__all__ = [
    "Json",
    "brief",
    "calls_of",
    "event_of",
    "fragments",
    "piece",
    "read_stream",
    "read_whole",
]

Json = dict[str, Any]


def read_whole(
    message: Json | None = None, finish: object = "stop", **more: Any
) -> CompletionResponse:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"choices": [choice], **more}
    return decode(json.dumps(body).encode(), provider="acme", model="asked")


def event_of(delta: Json | None = None, finish: object = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return json.dumps({"choices": [choice], **more}).encode()


def read_stream(*events: bytes | Json, done: bool = True) -> tuple[list[StreamChunk], StreamChunk]:
    """Feed events (a mapping is the delta of one) and return the chunks and the final one."""
    stream = ChatStream(provider="acme", model="asked")
    raw = [one if isinstance(one, bytes) else event_of(one) for one in events]
    chunks = [chunk for data in raw if (chunk := stream.feed(data)) is not None]
    if done:
        assert stream.feed(b"[DONE]") is None
        assert stream.done
    return chunks, stream.finish()


def calls_of(*deltas: Json) -> list[ToolCall]:
    _, final = read_stream(*deltas, event_of(finish="tool_calls"))
    return final.tool_calls or []


def fragments(*fragments: Json) -> Json:
    return {"tool_calls": list(fragments)}


def piece(name: object = None, arguments: object = None, **more: object) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"function": {key: one for key, one in function.items() if one is not None}, **more}


def brief(calls: list[ToolCall]) -> list[tuple[str, Json]]:
    assert all(call.error is None and call.raw_arguments is None for call in calls)
    return [(call.name, call.arguments) for call in calls]
