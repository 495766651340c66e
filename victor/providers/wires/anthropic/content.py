"""Anthropic Messages, the request: what is in one message, as content blocks.

Spec: https://docs.anthropic.com/en/api/messages
Answers of this vendor go back as they came: signed thinking, blocks of server tools, citations, in
their order. Knows nothing about other messages, markers for the cache or settings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from victor.errors import UnsupportedFeatureError
from victor.providers.history import own_state
from victor.providers.reading import mapping, word
from victor.providers.writing import base64_text, replayable_arguments
from victor.types import Attachment, JsonObject, Message, ToolCall

__all__ = ["WIRE", "blocks_of", "has_thinking"]

WIRE = "anthropic"
_THINKING = frozenset({"thinking", "redacted_thinking"})
_IMAGES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
_TEXTS = frozenset(
    {"application/json", "application/toml", "application/xml", "application/yaml"}
)  # fmt: skip


def blocks_of(message: Message, *, provider: str, unsigned: bool) -> list[JsonObject]:
    """Return the blocks of a message; none if there is nothing in it that the API takes.

    Args:
        message: any message; that of the system is text like any other here.
        provider: the vendor that is asked: answers of others are sent without their thinking.
        unsigned: whether thinking without a signature goes back, too. Anthropic refuses it; some
            vendors of the same protocol sign nothing and want theirs back.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry.
    """
    if message.role == "assistant":
        state = own_state(message, wire=WIRE, provider=provider)
        blocks = _plain(message) if state is None else _replayed(message, state)
        blocks = [block for block in blocks if unsigned or not _is_unsigned(block)]
        while blocks and blocks[-1]["type"] in _THINKING:
            blocks.pop()  # no turn may end in it
        return blocks
    if message.role == "tool":
        return [_result(message)]
    # The vendor advises to put what is asked about before the question.
    return [*map(_attachment, message.attachments), *_text(message.content)]


def has_thinking(message: Message, *, provider: str) -> bool:
    """Tell whether an answer has thinking that this vendor signed."""
    stored = _blocks(own_state(message, wire=WIRE, provider=provider) or {})
    return any(block["type"] in _THINKING and not _is_unsigned(block) for block in stored)


def _blocks(state: Mapping[str, Any]) -> list[JsonObject]:
    found = state.get("blocks")
    rows = found if isinstance(found, list) else []
    return [row for row in rows if isinstance(row, dict) and word(row.get("type"))]


def _text(text: str) -> list[JsonObject]:
    # Blank text is refused.
    return [{"type": "text", "text": text}] if text.strip() else []


def _plain(message: Message) -> list[JsonObject]:
    return [*_text(message.content), *map(_call, message.tool_calls or ())]


def _call(call: ToolCall, more: Mapping[str, Any] | None = None) -> JsonObject:
    own = {"id": call.id, "name": call.name, "input": replayable_arguments(call)}
    return {"type": "tool_use", **(more or {}), **own}


def _replayed(message: Message, state: Mapping[str, Any]) -> list[JsonObject]:
    """Return the blocks of an answer as they came, with the text and the calls of the message.

    The message counts: where somebody changed its text or took away a call, only the thinking
    stays of what came. What it has beyond the blocks is added after them.
    """
    stored = _blocks(state)
    said = "".join(word(block.get("text")) for block in stored if block["type"] == "text")
    calls = message.tool_calls or []
    asked = sum(block["type"] == "tool_use" for block in stored)
    if not message.content.startswith(said) or asked > len(calls):
        thinking = [block for block in stored if block["type"] in _THINKING]
        return [*thinking, *_plain(message)]
    waiting = iter(calls)
    blocks = [block for one in stored for block in _stored(one, waiting)]
    return [*blocks, *_text(message.content[len(said) :]), *map(_call, waiting)]


def _stored(block: JsonObject, waiting: Iterator[ToolCall]) -> list[JsonObject]:
    match block["type"]:
        case "tool_use":
            return [_call(next(waiting), block)]
        case "text":
            text = _text(word(block.get("text")))
            if text and isinstance(block.get("citations"), list):
                text[0]["citations"] = [_citation(one) for one in block["citations"]]
            return text
        case _:
            return [block]


def _citation(citation: Any) -> JsonObject:
    # Answers have a file's id in it, requests may not.
    return {name: one for name, one in mapping(citation).items() if name != "file_id"}


def _is_unsigned(block: Mapping[str, Any]) -> bool:
    return block["type"] == "thinking" and not block.get("signature")


def _result(message: Message) -> JsonObject:
    result: JsonObject = {"type": "tool_result", "tool_use_id": message.tool_call_id or ""}
    text = _text(message.content)
    if message.attachments:
        result["content"] = [*text, *map(_attachment, message.attachments)]
    elif text:
        result["content"] = message.content
    if message.content.startswith("Error:") and not message.attachments:
        result["is_error"] = True  # may only go with text
    return result


def _attachment(attachment: Attachment) -> JsonObject:
    kind = attachment.media_type.lower().partition(";")[0].strip()
    kind = "image/jpeg" if kind == "image/jpg" else kind
    if kind in _IMAGES:
        return {"type": "image", "source": _source(attachment, kind)}
    if kind == "application/pdf":
        return _document(attachment, _source(attachment, kind))
    if kind.startswith("text/") or kind in _TEXTS or kind.endswith(("+json", "+xml")):
        text = {"type": "text", "media_type": "text/plain", "data": _decoded(attachment)}
        return _document(attachment, text)
    raise UnsupportedFeatureError(
        f"Anthropic Messages cannot carry {attachment.media_type}: images are JPEG, PNG, GIF or"
        f" WebP, documents PDF or text. Convert it, or put its text in a message."
    )


def _document(attachment: Attachment, source: JsonObject) -> JsonObject:
    title = {"title": attachment.name} if attachment.name else {}
    return {"type": "document", "source": source, **title}


def _source(attachment: Attachment, kind: str) -> JsonObject:
    if attachment.url is None:
        return {"type": "base64", "media_type": kind, "data": base64_text(attachment)}
    if attachment.url.lower().startswith("https://"):
        return {"type": "url", "url": attachment.url}
    raise _needs_bytes(attachment, "from https addresses only")


def _decoded(attachment: Attachment) -> str:
    if attachment.data is None:
        raise _needs_bytes(attachment, "by its bytes only")
    try:
        return attachment.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnsupportedFeatureError(
            f"{attachment.name or 'the attachment'} is {attachment.media_type} but not UTF-8:"
            f" {error}. Convert it first."
        ) from error


def _needs_bytes(attachment: Attachment, how: str) -> UnsupportedFeatureError:
    return UnsupportedFeatureError(
        f"Anthropic Messages take {attachment.media_type} {how}: pass its bytes, which"
        f" `await fetched(attachment)` of victor.providers.attachments will get."
    )
