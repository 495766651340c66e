"""Answers of a server of the OpenAI chat protocol on loopback, and a provider that asks it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from victor.config.catalog import VENDORS, Vendor
from victor.providers.http import HTTPProvider
from victor.testing.faults import (
    Answer,
    FaultServer,
    Request,
    json_answer,
    sse_answer,
)
from victor.types import Message, ToolDefinition

__all__ = [
    "ADD",
    "CHAT",
    "CONSTRAINED",
    "DOWN",
    "HI",
    "KEY",
    "ROW",
    "STREAM",
    "USAGE",
    "all_events",
    "ask",
    "connect",
    "either",
    "failures",
    "good",
    "kept_open",
    "sse_body",
    "text_events",
    "whole_body",
]

KEY = "sk-very-secret"
HI = [Message(role="user", content="Hi")]
ROW = VENDORS["openai-compatible"]
CONSTRAINED = replace(ROW, tool_mode="constrained")
ADD = ToolDefinition(
    name="add",
    description="Add.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    },
)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def whole_body(text: str | None = "Hello", **message: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return {"model": "m-1", "choices": [choice], "usage": USAGE}


def text_events(*texts: str) -> list[object]:
    return [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]


def all_events(*texts: str) -> list[object]:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*text_events(*texts), end, {"choices": [], "usage": USAGE}]


CHAT = json_answer(whole_body())
STREAM = sse_answer(all_events("Hel", "lo"))
DOWN = json_answer({"error": {"message": "down"}}, 500)


def kept_open(body: bytes, kind: str = "text/event-stream") -> Answer:
    """Answer in chunks, so that the connection can be used again."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    return Answer(head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), "keep")


def sse_body(events: Sequence[object]) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def good(request: Request) -> Answer:
    return kept_open(sse_body(all_events("Hel", "lo"))) if request.json().get("stream") else CHAT


def connect(server: FaultServer | str, vendor: Vendor = ROW, **options: Any) -> HTTPProvider:
    url = server if isinstance(server, str) else server.url
    defaults = {"api_key": KEY, "max_retries": 0, "retry_delay": 0.001, "timeout": 5}
    return HTTPProvider(vendor, base_url=url, **{**defaults, **options})


async def ask(provider: HTTPProvider, how: str, **options: Any) -> str:
    if how == "chat":
        return (await provider.chat(HI, model="m", **options)).content
    chunks = [chunk async for chunk in provider.stream(HI, model="m", **options)]
    assert [chunk.is_final for chunk in chunks].index(True) == len(chunks) - 1
    return "".join(chunk.content for chunk in chunks)


def failures(provider: HTTPProvider) -> int:
    assert provider.breaker is not None
    return provider.breaker.snapshot().failures


either = pytest.mark.parametrize("how", ["chat", "stream"])
