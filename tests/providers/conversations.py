"""Conversations for tests, whole and broken, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from victor.providers.history import HistoryRules, Prepared, prepared
from victor.types import Attachment, Message, ToolCall

__all__ = ["ANY", "CAT", "DOG", "HELLO", "HI", "NINE", "SYSTEM", "ask", "fit", "short", "tell"]

ANY = HistoryRules("w")
NINE = HistoryRules("w", re.compile(r"[a-zA-Z0-9]{9}"), 9)
CAT = Attachment(media_type="image/png", data=b"cat")
DOG = Attachment(media_type="image/png", data=b"dog")
SYSTEM = Message(role="system", content="Be brief.")
HI = Message(role="user", content="Hi")
HELLO = Message(role="assistant", content="Hello")


def ask(*calls: tuple[str, str], text: str = "", **fields: Any) -> Message:
    made = [ToolCall(id="x", name=name).model_copy(update={"id": id_}) for id_, name in calls]
    return Message(role="assistant", content=text, tool_calls=made, **fields)


def tell(call_id: str | None, text: str, name: str | None = "f", **fields: Any) -> Message:
    return Message(role="tool", content=text, tool_call_id=call_id, name=name, **fields)


def fit(messages: Sequence[Message], rules: HistoryRules = ANY) -> Prepared:
    return prepared(messages, rules, provider="p")


def short(messages: Sequence[Message]) -> list[Any]:
    """Roles and texts; calls as ids, results as (id, text)."""
    found: list[Any] = []
    for message in messages:
        if message.role == "tool":
            found.append((message.tool_call_id, message.content))
        elif message.tool_calls:
            found.append([call.id for call in message.tool_calls])
        else:
            found.append(f"{message.role}: {message.content}")
    return found
