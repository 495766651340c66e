"""OpenAI Responses, the conversation: messages become the items of a request's `input`.

Spec: https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
Messages are frozen, so each is encoded once and its bytes are kept on it. Knows nothing about the
rest of a request, and expects a conversation that `history.prepared` has seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from victor.config.catalog import Vendor
from victor.errors import UnsupportedFeatureError
from victor.providers.history import own_state
from victor.providers.reading import word
from victor.providers.wires.openai_responses.items import (
    WIRE,
    call_positions,
    open_positions,
    texts_of,
)
from victor.providers.writing import data_uri, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message, ToolCall, parse_arguments

__all__ = ["encoded_input", "is_openai"]

# Documents that are more than text, and their usual endings; the API goes by these.
# https://developers.openai.com/api/docs/guides/file-inputs
_DOCUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "application/json": "json",
        "application/msword": "doc",
        "application/pdf": "pdf",
        "application/rtf": "rtf",
        "application/vnd.ms-excel": "xls",
        "application/vnd.ms-powerpoint": "ppt",
        "application/vnd.oasis.opendocument.text": "odt",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "application/xml": "xml",
    }
)
_CUSTOM = "custom_tool_call"
_HAVE_IDS = frozenset({"message", "function_call", _CUSTOM})


def is_openai(vendor: Vendor) -> bool:
    """Tell whether it is OpenAI's own API, with all that others have not copied."""
    return vendor.azure or "api.openai.com" in (vendor.base_url or "")


def encoded_input(messages: Sequence[Message], vendor: Vendor, *, system_role: str) -> bytes:
    """Return the `input` of a request, as JSON.

    Args:
        messages: those that are not in the instructions.
        vendor: who gets it; its own items are replayed.
        system_role: the role of system messages among them.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry.
    """
    parts: list[bytes] = []
    custom: set[str] = set()
    key = f"_openai_responses_by_{vendor.name}_{is_openai(vendor)}"
    for message in messages:
        if message.role == "assistant":
            encoded, own = _assistant(message, vendor, key)
            custom |= own
        elif message.role == "tool":
            encoded = _result(message, is_custom=message.tool_call_id in custom)
        else:
            role = system_role if message.role == "system" else "user"
            encoded = _said(message, role)
        if encoded:
            parts.append(encoded)
    return b"[" + b",".join(parts) + b"]"


def _said(message: Message, role: str) -> bytes:
    # Kept in the instance's dict, where pydantic's own fields are, as cached_property does; copies
    # made by model_copy() start without it.
    key = f"_openai_responses_{role}"
    kept: bytes | None = message.__dict__.get(key)
    if kept is None:
        content = _parts(message) if message.attachments else message.content
        kept = message.__dict__[key] = to_bytes({"role": role, "content": content})
    return kept


def _result(message: Message, *, is_custom: bool) -> bytes:
    key = f"_openai_responses_{is_custom}"
    kept: bytes | None = message.__dict__.get(key)
    if kept is None:
        item = {
            "type": f"{_CUSTOM}_output" if is_custom else "function_call_output",
            "call_id": message.tool_call_id or "",
            "output": _parts(message) if message.attachments else message.content,
        }
        kept = message.__dict__[key] = to_bytes(item)
    return kept


def _assistant(message: Message, vendor: Vendor, key: str) -> tuple[bytes, frozenset[str]]:
    """Return the items of an answer, without brackets, and the ids of its custom calls."""
    kept: tuple[bytes, frozenset[str]] | None = message.__dict__.get(key)
    if kept is None:
        items = _replayed(message, vendor) or _plain(message)
        custom = frozenset(word(item.get("call_id")) for item in items if item["type"] == _CUSTOM)
        kept = (b",".join([to_bytes(item) for item in items]), custom)
        message.__dict__[key] = kept
    return kept


def _plain(message: Message) -> list[JsonObject]:
    items: list[JsonObject] = []
    if message.content:
        # As a string: vLLM takes `output_text` only with an id, llama.cpp strings only with a type.
        items.append({"type": "message", "role": "assistant", "content": message.content})
    for call in message.tool_calls or ():
        arguments = to_bytes(replayable_arguments(call)).decode()
        ours = {"type": "function_call", "call_id": call.id, "name": call.name}
        items.append({**ours, "arguments": arguments})
    return items


def _replayed(message: Message, vendor: Vendor) -> list[JsonObject]:
    """Return the items of one's own answer as they came; none if they are not this answer."""
    state = own_state(message, wire=WIRE, provider=vendor.name)
    found = state.get("items") if state else None
    if not isinstance(found, list) or not all(
        isinstance(item, dict) and isinstance(item.get("type"), str) for item in found
    ):
        return []
    places = call_positions(found)
    calls = message.tool_calls or []
    names = [found[at].get("name") for at in places]
    if texts_of(found)[0] != message.content or names != [call.name for call in calls]:
        return []  # somebody has edited the message since
    answers = dict(zip(places, calls, strict=True))
    # Nobody will answer these: the API would refuse a conversation that leaves them open.
    left_out = set(open_positions(found))
    unreadable = {at for at, item in enumerate(found) if _is_unreadable(item, vendor)}
    items = [
        _answered(item, answers[at]) if at in answers else item
        for at, item in enumerate(found)
        if at not in left_out and at not in unreadable
    ]
    while items and items[-1]["type"] == "reasoning":
        items.pop()  # it is refused without the item that followed it
    # An id would be looked for together with the reasoning that belongs to it.
    return [_without_id(item) for item in items] if unreadable else items


def _is_unreadable(item: Mapping[str, Any], vendor: Vendor) -> bool:
    """Tell whether this is reasoning that only a server with a memory would find again."""
    if item["type"] != "reasoning" or item.get("encrypted_content"):
        return False
    return is_openai(vendor) or not item.get("content")


def _without_id(item: JsonObject) -> JsonObject:
    if item["type"] not in _HAVE_IDS:
        return item
    return {key: value for key, value in item.items() if key != "id"}


def _answered(item: JsonObject, call: ToolCall) -> JsonObject:
    """Return a call's item with the id of the history, and with arguments that parse."""
    if item["type"] == _CUSTOM:
        return {**item, "call_id": call.id}
    text = item.get("arguments")
    if not text or call.error or parse_arguments(word(text)).get("arguments") != call.arguments:
        text = to_bytes(replayable_arguments(call)).decode()
    return {**item, "call_id": call.id, "arguments": text}


def _parts(message: Message) -> list[JsonObject]:
    text = [{"type": "input_text", "text": message.content}] if message.content else []
    return text + [_attachment(attachment) for attachment in message.attachments]


def _attachment(attachment: Attachment) -> JsonObject:
    media_type, url = attachment.media_type, attachment.url
    if url is not None and not url.lower().startswith(("https://", "http://", "data:")):
        raise UnsupportedFeatureError(
            f"OpenAI Responses cannot fetch {url[:80]!r}: pass the bytes as data"
            f" (victor.providers.attachments.fetched reads an address for you)."
        )
    if media_type.startswith("image/"):
        return {"type": "input_image", "image_url": url or data_uri(attachment), "detail": "auto"}
    if not media_type.startswith("text/") and media_type not in _DOCUMENTS:
        raise UnsupportedFeatureError(
            f"OpenAI Responses cannot carry {media_type}: put what it says into the text."
        )
    if url is not None and not url.lower().startswith("data:"):
        return {"type": "input_file", "file_url": url}
    if media_type.startswith("text/") and (text := _text_of(attachment)) is not None:
        return {"type": "input_text", "text": text}
    name = attachment.name or f"file.{_DOCUMENTS.get(media_type, 'txt')}"
    return {"type": "input_file", "filename": name, "file_data": url or data_uri(attachment)}


def _text_of(attachment: Attachment) -> str | None:
    """Return a text itself, which servers without files take, too; None if it is no UTF-8."""
    if attachment.data is None:
        return None
    try:
        text = attachment.data.decode()
    except ValueError:
        return None
    return f"{attachment.name}:\n{text}" if attachment.name else text
