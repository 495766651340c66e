"""Bodies and events of OpenAI Responses, and ways to read them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.providers.wires.openai_responses.wire import OpenAIResponses
from victor.types import CompletionResponse, StreamChunk

__all__ = [
    "ITEMS",
    "JSON",
    "Json",
    "call",
    "event",
    "read_stream",
    "read_whole",
    "response",
    "said",
    "thought",
    "wire",
]

Json = dict[str, Any]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
KINDS = ["message", "reasoning", "function_call", "custom_tool_call", "tool_search_call", "x_call"]
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(KINDS) | JSON},
    optional={
        **dict.fromkeys(("id", "call_id", "summary", "result", "encrypted_content"), JSON),
        "arguments": JSON | st.just('{"tool_uses":[{"recipient_name":"f"}]}'),
        "name": JSON | st.just("multi_tool_use.parallel") | st.just("f"),
        "content": JSON | st.lists(st.fixed_dictionaries({"text": JSON, "refusal": JSON})),
    },
)


def wire(**row: Any) -> OpenAIResponses:
    return OpenAIResponses(Vendor("acme", "https://acme.test/v1", **row))


def said(text: str, **more: Any) -> Json:
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": parts, **more}


def thought(*summary: str, **more: Any) -> Json:
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": "rs_1", "summary": parts, **more}


def call(name: Any = "add", arguments: Any = '{"a":1}', call_id: Any = "c1", **more: Any) -> Json:
    mine = {"type": "function_call", "id": "fc_1", "call_id": call_id}
    return {**mine, "name": name, "arguments": arguments, **more}


def response(*output: Any, status: Any = "completed", **more: Any) -> Json:
    return {"object": "response", "status": status, "error": None, "output": [*output], **more}


def read_whole(*output: Any, **more: Any) -> CompletionResponse:
    body = json.dumps(response(*output, **more)).encode()
    return wire().decode(body, model="asked")


def event(kind: str, **fields: Any) -> bytes:
    return json.dumps({"type": f"response.{kind}", **fields}).encode()


def read_stream(*events: bytes) -> tuple[list[StreamChunk], StreamChunk]:
    """Feed events; return the chunks and the final one."""
    stream = wire().stream_decoder(model="asked")
    chunks = [chunk for data in events if (chunk := stream.feed(data)) is not None]
    return chunks, stream.finish()
