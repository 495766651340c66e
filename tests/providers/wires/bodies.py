from __future__ import annotations

import json
from typing import Any

from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.types import CompletionResponse, StreamChunk, ToolCall

__all__ = ["Json", "brief", "calls_of", "event", "fragment", "fragments", "stream", "whole"]

Json = dict[str, Any]


def whole(message: Json | None = None, finish: object = "stop", **more: Any) -> CompletionResponse:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"choices": [choice], **more}
    return decode(json.dumps(body).encode(), provider="acme", model="asked")


def event(delta: Json | None = None, finish: object = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return json.dumps({"choices": [choice], **more}).encode()


def stream(*events: bytes | Json, done: bool = True) -> tuple[list[StreamChunk], StreamChunk]:
    """Feed events (a mapping is the delta of one) and return the chunks and the final one."""
    stream = ChatStream(provider="acme", model="asked")
    raw = [one if isinstance(one, bytes) else event(one) for one in events]
    chunks = [chunk for data in raw if (chunk := stream.feed(data)) is not None]
    if done:
        assert stream.feed(b"[DONE]") is None
        assert stream.done
    return chunks, stream.finish()


def calls_of(*deltas: Json) -> list[ToolCall]:
    _, final = stream(*deltas, event(finish="tool_calls"))
    return final.tool_calls or []


def fragments(*fragments: Json) -> Json:
    return {"tool_calls": list(fragments)}


def fragment(name: object = None, arguments: object = None, **more: object) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"function": {key: one for key, one in function.items() if one is not None}, **more}


def brief(calls: list[ToolCall]) -> list[tuple[str, Json]]:
    assert all(call.error is None and call.raw_arguments is None for call in calls)
    return [(call.name, call.arguments) for call in calls]
