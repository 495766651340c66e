"""OpenAI chat completions, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://platform.openai.com/docs/api-reference/chat/create
Knows nothing about HTTP, keys or retries. Messages are frozen, so each is encoded once and its
bytes are kept on it: a long conversation costs the same per turn as a short one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from victor.config.catalog import Vendor
from victor.errors import UnsupportedFeatureError
from victor.providers.request import RESERVED_OPTIONS, ChatRequest, HTTPCall
from victor.providers.writing import base64_text, data_uri, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message, ToolCall, ToolDefinition

__all__ = ["encode"]

_CACHE_KEY = "_openai_chat"
# From the registered names of media types to what the API calls them.
_AUDIO_FORMATS: Mapping[str, str] = MappingProxyType(
    {"mpeg": "mp3", "wave": "wav", "x-wav": "wav", "vnd.wave": "wav"}
)


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/chat/completions`.

    The same history always gives the same bytes, so that the vendor's prompt cache can hit.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry, or an option
            is no JSON value.
    """
    parts: list[bytes] = [b'{"model":', to_bytes(request.model), b',"messages":[']
    parts.append(b",".join([_message(message) for message in request.messages]))
    parts.append(b"]")
    settings = _settings(request, vendor)
    if settings:
        parts += (b",", to_bytes(settings)[1:])
    else:
        parts.append(b"}")
    return HTTPCall("/chat/completions", b"".join(parts))


def _settings(request: ChatRequest, vendor: Vendor) -> JsonObject:
    settings: JsonObject = {}
    if request.tools:
        settings["tools"] = [_tool(tool) for tool in request.tools]
    known = request.model_data
    if request.temperature is not None and known.sampling is not False:
        settings["temperature"] = request.temperature
    if request.max_tokens is not None:
        settings[known.max_tokens_name or vendor.max_tokens_name] = request.max_tokens
    if request.stream:
        settings["stream"] = True
        if vendor.stream_options:
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
        kept = message.__dict__[_CACHE_KEY] = to_bytes(_plain(message))
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
            "function": {
                "name": call.name,
                "arguments": to_bytes(replayable_arguments(call)).decode(),
            },
        }
        for call in calls
    ]


def _content(message: Message) -> Any:
    if not message.attachments:
        return message.content
    parts = [{"type": "text", "text": message.content}] if message.content else []
    return parts + [_attachment(attachment) for attachment in message.attachments]


def _attachment(attachment: Attachment) -> JsonObject:
    kind, _, subtype = attachment.media_type.partition("/")
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": attachment.url or data_uri(attachment)}}
    if attachment.data is None:
        raise UnsupportedFeatureError(
            f"OpenAI chat completions take {attachment.media_type} by its bytes only; "
            f"read the file and pass data."
        )
    if kind == "audio":
        data = base64_text(attachment)
        format_ = _AUDIO_FORMATS.get(subtype, subtype)
        return {"type": "input_audio", "input_audio": {"data": data, "format": format_}}
    if attachment.media_type == "application/pdf":
        file = {"filename": attachment.name or "file.pdf", "file_data": data_uri(attachment)}
        return {"type": "file", "file": file}
    raise UnsupportedFeatureError(
        f"OpenAI chat completions cannot carry {attachment.media_type}: put its text in a message."
    )
