"""Requests of OpenAI Responses, written and parsed again."""

from __future__ import annotations

import json
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_responses.wire import OpenAIResponses
from victor.types import Message, ToolCall, ToolDefinition

__all__ = [
    "ADD",
    "AZURE",
    "CALL",
    "OPENAI",
    "PLAIN",
    "Json",
    "body_of",
    "items_of",
    "options_of",
    "system",
    "user",
]

Json = dict[str, Any]
PLAIN = Vendor("test", "http://test/v1")
OPENAI = Vendor("openai", "https://api.openai.com/v1")
AZURE = Vendor("azure", None, azure=True)
CALL = ToolCall(id="c1", name="add", arguments={"a": 1, "b": [2, None, "ü"]})
ADD = ToolDefinition(
    name="add",
    description="Adds.",
    parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
)


def body_of(*messages: Message, vendor: Vendor = PLAIN, **request: Any) -> Json:
    asked = ChatRequest(messages or [user()], **{"model": "m", **request})
    call = OpenAIResponses(vendor).encode(asked)
    assert call.path == "/responses"
    body: Json = json.loads(call.body)
    return body


def options_of(vendor: Vendor = PLAIN, **options: Any) -> Json:
    return body_of(vendor=vendor, options=options)


def items_of(*messages: Message, vendor: Vendor = PLAIN) -> list[Json]:
    found: list[Json] = body_of(*messages, vendor=vendor)["input"]
    return found


def user(text: str = "Hi", **fields: Any) -> Message:
    return Message(role="user", content=text, **fields)


def system(text: str, **fields: Any) -> Message:
    return Message(role="system", content=text, **fields)
