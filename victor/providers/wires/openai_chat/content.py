"""OpenAI chat completions, one message of a request: text, attachments, calls, earlier reasoning.

Spec: https://platform.openai.com/docs/api-reference/chat/create
A message is frozen, so its bytes are kept on it: a long conversation costs the same per turn as a
short one. Knows nothing about a conversation's order, nor about the options of a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.history import own_state
from victor.providers.writing import base64_text, data_uri, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message, Role, ToolCall

__all__ = ["WIRE", "Style", "style_for", "written"]

WIRE = "openai-chat"
"""The key of this wire in `Message.provider_state`."""

# From the registered names of media types to what the API calls them.
_AUDIO_FORMATS: Mapping[str, str] = MappingProxyType(
    {"mpeg": "mp3", "wave": "wav", "x-wav": "wav", "vnd.wave": "wav"}
)
# What is text although its media type does not begin so.
_TEXT_TYPES = frozenset(
    f"application/{name}"
    for name in (
        "ecmascript",
        "javascript",
        "json",
        "sql",
        "toml",
        "typescript",
        "x-ndjson",
        "x-python",
        "x-sh",
        "x-yaml",
        "xml",
        "yaml",
    )
)
# https://platform.openai.com/docs/api-reference/chat/create: names with others are refused.
_NOT_IN_NAMES = re.compile(r"[\s<|\\/>]+")


@dataclass(frozen=True, slots=True)
class Style:
    """What the writing of a message depends on, beside the message."""

    provider: str
    system_role: Literal["system", "developer", "user"]
    strict: bool
    """Whether unknown fields are refused."""
    mistral: bool
    echo: bool
    """Whether earlier reasoning is sent back."""
    reasoning_name: str
    keys: Mapping[Role, str]
    """Where the bytes are kept on a message, by its role: different bytes under different keys."""


def style_for(vendor: Vendor, known: ModelData) -> Style:
    """Return how messages are written for a vendor's model."""
    strict, mistral = vendor.strict_fields, vendor.mistral
    echo = known.echo_reasoning is True
    system = known.system_role or "system"
    name = f"_openai_chat{'-strict' * strict}{'-mistral' * mistral}"
    thought = f"-{vendor.reasoning_name}" * echo
    keys: dict[Role, str] = {
        "user": name,
        "tool": name,
        "system": f"{name}-{system}",
        "assistant": f"{name}{thought}-{vendor.name}",
    }
    return Style(vendor.name, system, strict, mistral, echo, vendor.reasoning_name, keys)


def written(message: Message, style: Style) -> bytes:
    """Write a message, and keep the bytes on it.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry.
    """
    # In the instance's dict, where pydantic's own fields are, as cached_property does; copies made
    # by model_copy() start without it.
    made = to_bytes(_plain(message, style))
    message.__dict__[style.keys[message.role]] = made
    return made


def _plain(message: Message, style: Style) -> JsonObject:
    role = message.role
    plain: JsonObject = {
        "role": style.system_role if role == "system" else role,
        "content": _content(message, style),
    }
    if message.name and not style.strict:
        named = message.name if role == "tool" else _NOT_IN_NAMES.sub("_", message.name)
        plain["name"] = named
    if role == "tool":
        plain["tool_call_id"] = message.tool_call_id or ""
    elif role == "assistant":
        _add_answer(plain, message, style)
    return plain


def _add_answer(plain: JsonObject, message: Message, style: Style) -> None:
    """Add what only an assistant's message has: calls, and the reasoning that led to them."""
    state = own_state(message, wire=WIRE, provider=style.provider) or {}
    if message.tool_calls:
        plain["tool_calls"] = _calls(message.tool_calls, state.get("calls"))
        if not message.content:
            plain["content"] = None
    if style.echo and style.mistral:
        if message.reasoning:
            plain["content"] = [_thinking(message.reasoning), *_text_part(message.content)]
    elif style.echo:
        # DeepSeek and Kimi refuse calls without the field, also those of another provider, which
        # came with no reasoning; and a blank one counts as missing.
        thought = message.reasoning or (" " if message.tool_calls else "")
        if thought:
            plain[style.reasoning_name] = thought
    for name in ("reasoning_details", "extra_content"):
        if state.get(name):
            plain[name] = state[name]


def _calls(calls: Sequence[ToolCall], extras: Any) -> list[JsonObject]:
    found: list[JsonObject] = [
        {
            "id": call.id,
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": to_bytes(replayable_arguments(call)).decode(),
            },
        }
        for call in calls
    ]
    # Google's thought signatures; by position, as ids may have been mapped since.
    if isinstance(extras, list) and len(extras) == len(found):
        for call, extra in zip(found, extras, strict=True):
            if extra:
                call["extra_content"] = extra
    return found


def _thinking(reasoning: str) -> JsonObject:
    # https://docs.mistral.ai/capabilities/reasoning
    return {"type": "thinking", "thinking": _text_part(reasoning)}


def _text_part(text: str) -> list[JsonObject]:
    return [{"type": "text", "text": text}] if text else []


def _content(message: Message, style: Style) -> Any:
    if not message.attachments:
        return message.content
    attached = [_attachment(one, style) for one in message.attachments]
    return _text_part(message.content) + attached


def _attachment(attachment: Attachment, style: Style) -> JsonObject:
    media_type = attachment.media_type.partition(";")[0].strip().lower()
    kind, _, subtype = media_type.partition("/")
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": attachment.url or data_uri(attachment)}}
    if media_type == "application/pdf" and style.mistral:
        return {"type": "document_url", "document_url": attachment.url or data_uri(attachment)}
    is_text = kind == "text" or media_type in _TEXT_TYPES or subtype.endswith(("+json", "+xml"))
    if kind != "audio" and media_type != "application/pdf" and not is_text:
        raise UnsupportedFeatureError(
            f"OpenAI chat completions cannot carry {media_type}: put its text in a message",
            provider=style.provider,
        )
    if attachment.data is None:
        raise UnsupportedFeatureError(
            f"OpenAI chat completions take {media_type} by its bytes only: pass data, as "
            f"`await fetched(attachment)` of victor.providers.attachments reads it",
            provider=style.provider,
        )
    if kind == "audio":
        data = base64_text(attachment)
        format_ = _AUDIO_FORMATS.get(subtype, subtype)
        return {"type": "input_audio", "input_audio": {"data": data, "format": format_}}
    if is_text:
        head = f"File {attachment.name or 'without a name'} ({media_type}):\n"
        return {"type": "text", "text": head + attachment.data.decode("utf-8", "replace")}
    file = {"filename": attachment.name or "file.pdf", "file_data": data_uri(attachment)}
    return {"type": "file", "file": file}
