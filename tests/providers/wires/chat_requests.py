"""Requests of OpenAI chat completions, written and parsed again."""

from __future__ import annotations

import json
from typing import Any

from victor.config.catalog import Vendor
from victor.providers.request import ChatRequest
from victor.providers.wires.openai_chat.encode import encode
from victor.types import Message, ToolCall

__all__ = ["MISTRAL", "PLAIN", "body_of", "called", "message_of", "messages_of", "result", "user"]

PLAIN = Vendor("test", "http://test")
MISTRAL = Vendor("test", "http://test", mistral=True)


def body_of(*messages: Message, vendor: Vendor = PLAIN, **request: Any) -> dict[str, Any]:
    call = encode(ChatRequest(messages, **{"model": "m", **request}), vendor)
    assert call.path == "/chat/completions"
    body: dict[str, Any] = json.loads(call.body)
    return body


def messages_of(*messages: Message, vendor: Vendor = PLAIN, **request: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(*messages, vendor=vendor, **request)["messages"]
    return found


def message_of(message: Message, **request: Any) -> dict[str, Any]:
    return messages_of(message, **request)[0]


def user(text: str = "Hi", **fields: Any) -> Message:
    return Message(role="user", content=text, **fields)


def called(*ids: str, **fields: Any) -> Message:
    calls = [ToolCall(id=one, name="look") for one in ids]
    return Message(role="assistant", tool_calls=calls, **fields)


def result(call_id: str, text: str = "seen", **fields: Any) -> Message:
    return Message(role="tool", tool_call_id=call_id, content=text, **fields)
