"""OpenAI chat completions, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://platform.openai.com/docs/api-reference/chat/create
Knows nothing about HTTP, keys or retries. Messages are frozen, so each is encoded once and its
bytes are kept on it: a long conversation costs the same per turn as a short one.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from pydantic_core import to_json

from victor.errors import UnsupportedFeatureError
from victor.providers.request import RESERVED_OPTIONS, ChatRequest, HTTPCall
from victor.types import Attachment, JsonObject, Message, ToolCall, ToolDefinition

__all__ = ["Dialect", "encode"]

_CACHE_KEY = "_openai_chat"
# From the registered names of media types to what the API calls them.
_AUDIO_FORMATS: Mapping[str, str] = MappingProxyType(
    {"mpeg": "mp3", "wave": "wav", "x-wav": "wav", "vnd.wave": "wav"}
)


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs between servers that speak this protocol."""

    stream_options: bool = True
    """Ask for the usage of a stream; some hosts answer 400 to it."""
    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    no_sampling: tuple[str, ...] = ()
    """Prefixes of model names that refuse `temperature`."""


def encode(request: ChatRequest, dialect: Dialect) -> HTTPCall:
    """Write a request as the bytes of a POST to `/chat/completions`.

    The same history always gives the same bytes, so that the vendor's prompt cache can hit.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry, or an option
            is no JSON value.
    """
    parts: list[bytes] = [b'{"model":', _json(request.model), b',"messages":[']
    parts.append(b",".join([_message(message) for message in request.messages]))
    parts.append(b"]")
    settings = _settings(request, dialect)
    if settings:
        parts += (b",", _json(settings)[1:])
    else:
        parts.append(b"}")
    return HTTPCall("/chat/completions", b"".join(parts))


def _settings(request: ChatRequest, dialect: Dialect) -> JsonObject:
    settings: JsonObject = {}
    if request.tools:
        settings["tools"] = [_tool(tool) for tool in request.tools]
    if request.temperature is not None and not request.model.startswith(dialect.no_sampling):
        settings["temperature"] = request.temperature
    if request.max_tokens is not None:
        settings[dialect.max_tokens_name] = request.max_tokens
    if request.stream:
        settings["stream"] = True
        if dialect.stream_options:
            settings["stream_options"] = {"include_usage": True}
    for name, value in request.options.items():
        if value is not None and name not in RESERVED_OPTIONS:
            settings[name] = value
    return settings


def _tool(tool: ToolDefinition) -> JsonObject:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _message(message: Message) -> bytes:
    # Kept in the instance's dict, where pydantic's own fields are, as cached_property does; copies
    # made by model_copy() start without it.
    kept: bytes | None = message.__dict__.get(_CACHE_KEY)
    if kept is None:
        kept = message.__dict__[_CACHE_KEY] = _json(_plain(message))
    return kept


def _plain(message: Message) -> JsonObject:
    plain: JsonObject = {"role": message.role, "content": _content(message)}
    if message.name:
        plain["name"] = message.name
    if message.role == "tool":
        plain["tool_call_id"] = message.tool_call_id or ""
    if message.tool_calls:
        plain["tool_calls"] = _calls(message.tool_calls)
        if not message.content:
            plain["content"] = None
    state = (message.provider_state or {}).get("openai-chat")
    if state:
        plain |= state
    return plain


def _calls(calls: Sequence[ToolCall]) -> list[JsonObject]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": _arguments(call)},
        }
        for call in calls
    ]


def _arguments(call: ToolCall) -> str:
    # What did not parse is not sent back: servers parse it again and answer 400 or 500.
    return _json(call.arguments).decode() if call.error is None else "{}"


def _content(message: Message) -> Any:
    if not message.attachments:
        return message.content
    parts = [{"type": "text", "text": message.content}] if message.content else []
    return parts + [_attachment(attachment) for attachment in message.attachments]


def _json(value: Any) -> bytes:
    try:
        return to_json(value, inf_nan_mode="null")
    except ValueError:
        # Lone surrogates, which no UTF-8 body can carry, or no JSON value at all.
        import json
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise UnsupportedFeatureError(f"the request cannot be written as JSON: {error}") from error
    return text.encode("utf-8", "replace")


def _attachment(attachment: Attachment) -> JsonObject:
    kind, _, subtype = attachment.media_type.partition("/")
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": attachment.url or _data_uri(attachment)}}
    if attachment.data is None:
        raise UnsupportedFeatureError(
            f"OpenAI chat completions take {attachment.media_type} by its bytes only; "
            f"read the file and pass data."
        )
    if kind == "audio":
        data = base64.b64encode(attachment.data).decode()
        format_ = _AUDIO_FORMATS.get(subtype, subtype)
        return {"type": "input_audio", "input_audio": {"data": data, "format": format_}}
    if attachment.media_type == "application/pdf":
        file = {"filename": attachment.name or "file.pdf", "file_data": _data_uri(attachment)}
        return {"type": "file", "file": file}
    raise UnsupportedFeatureError(
        f"OpenAI chat completions cannot carry {attachment.media_type}: put its text in a message."
    )


def _data_uri(attachment: Attachment) -> str:
    data = base64.b64encode(attachment.data or b"").decode()
    return f"data:{attachment.media_type};base64,{data}"
