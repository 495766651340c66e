"""Cohere's chat v2, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://docs.cohere.com/reference/chat
Knows nothing about HTTP, keys or retries. Messages are frozen, so each is encoded once and its
bytes are kept on it: a long conversation costs the same per turn as a short one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from victor.config.catalog import Vendor
from victor.errors import ProviderInvalidRequestError, UnsupportedFeatureError
from victor.providers.history import HistoryRules, own_state, prepared
from victor.providers.options import OutputSchema, StandardOptions, leave_out, standard_options
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.writing import data_uri, merged, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message

__all__ = ["WIRE", "encode"]

WIRE = "cohere"
"""The key in `Message.provider_state`."""

_RULES = HistoryRules(wire=WIRE)
# Tokens of thinking; no budget for what is stronger.
_BUDGETS: Mapping[str, int] = MappingProxyType({"minimal": 512, "low": 2_048, "medium": 8_192})
_ROOM_TO_ANSWER = 1_024
_TEXTS = ("application/json", "application/xml", "application/yaml")


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/v2/chat`.

    The same history always gives the same bytes, so that the vendor's prompt cache can hit.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry, or an option
            is no JSON value.
        ProviderInvalidRequestError: an option cannot be understood.
    """
    ready = prepared(request.messages, _RULES, provider=vendor.name)
    messages = b",".join([_message(message, vendor.name) for message in ready.messages])
    settings = to_bytes(_settings(request, vendor))
    body = b"".join(
        (b'{"model":', to_bytes(request.model), b',"messages":[', messages, b"],", settings[1:])
    )
    return HTTPCall("/v2/chat", body, notes=ready.notes)


def _settings(request: ChatRequest, vendor: Vendor) -> JsonObject:
    options = standard_options(request.options)
    settings: JsonObject = {"stream": request.stream}
    settings |= _tools(request, options)
    settings |= _sampling(request, options, vendor)
    if request.max_tokens is not None:
        settings["max_tokens"] = request.max_tokens
    if options.stop:
        settings["stop_sequences"] = list(options.stop)
    if options.seed is not None:
        settings["seed"] = options.seed
    if options.output is not None:
        settings["response_format"] = {"type": "json_object"}
        if isinstance(options.output, OutputSchema):
            settings["response_format"]["json_schema"] = options.output.schema
    thinking = _thinking(request, options.reasoning_effort, vendor)
    if thinking is not None:
        settings["thinking"] = thinking
    leave_out(vendor.name, parallel_tool_calls=options.parallel_tool_calls)
    return merged(settings, options.extra)


def _tools(request: ChatRequest, options: StandardOptions) -> JsonObject:
    offered = list(request.tools or ())
    if options.tool_name is not None:
        # One tool cannot be named; it is forced by offering nothing else.
        offered = [tool for tool in offered if tool.name == options.tool_name]
        if not offered:
            raise ProviderInvalidRequestError(
                f"tool_choice names {options.tool_name!r}, which is not among the tools"
            )
    if not offered:
        return {}
    found: JsonObject = {
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in offered
        ]
    }
    if options.tool_choice in ("required", "none"):
        found["tool_choice"] = options.tool_choice.upper()
    return found


def _sampling(request: ChatRequest, options: StandardOptions, vendor: Vendor) -> JsonObject:
    p, k = options.top_p, options.top_k
    hints = {
        "frequency_penalty": options.frequency_penalty,
        "presence_penalty": options.presence_penalty,
        # What is beyond these bounds is refused, also a plain 1.
        "p": None if p is None else min(max(p, 0.01), 0.99),
        "k": None if k is None else min(k, 500),
    }
    if request.model_data.sampling is False:
        leave_out(vendor.name, **hints)
        return {}
    found = {"temperature": request.temperature, **hints}
    return {name: value for name, value in found.items() if value is not None}


def _thinking(request: ChatRequest, effort: str | None, vendor: Vendor) -> JsonObject | None:
    if effort is None:
        return None
    if request.model_data.reasoning is False:
        leave_out(vendor.name, reasoning_effort=effort)
        return None
    if effort == "none":
        return {"type": "disabled"}
    budget = _BUDGETS.get(effort)
    if request.max_tokens is not None:
        # Thinking counts against max_tokens: without a cap it may leave nothing for the answer.
        most = max(request.max_tokens - _ROOM_TO_ANSWER, request.max_tokens // 2, 1)
        budget = most if budget is None else min(budget, most)
    return {"type": "enabled"} | ({} if budget is None else {"token_budget": budget})


def _message(message: Message, provider: str) -> bytes:
    # Kept in the instance's dict, where pydantic's own fields are, as cached_property does; copies
    # made by model_copy() start without it. What is a message's own depends on the provider.
    key = f"_cohere:{provider}"
    kept: bytes | None = message.__dict__.get(key)
    if kept is None:
        kept = message.__dict__[key] = to_bytes(_plain(message, provider))
    return kept


def _plain(message: Message, provider: str) -> JsonObject:
    match message.role:
        case "assistant":
            return _assistant(message, provider)
        case "tool":
            return {
                "role": "tool",
                "tool_call_id": message.tool_call_id or "",
                "content": _content(message, _document),
            }
        case _:
            return {"role": message.role, "content": _content(message, _image)}


def _assistant(message: Message, provider: str) -> JsonObject:
    plan, thinking = _own_reasoning(message, provider)
    plain: JsonObject = {"role": "assistant"}
    if thinking:
        text = [{"type": "text", "text": message.content}] if message.content else []
        plain["content"] = [{"type": "thinking", "thinking": thinking}, *text]
    elif message.content or not message.tool_calls:
        plain["content"] = message.content
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {
                    "name": call.name,
                    "arguments": to_bytes(replayable_arguments(call)).decode(),
                },
            }
            for call in message.tool_calls
        ]
        if plan:
            plain["tool_plan"] = plan
    return plain


def _own_reasoning(message: Message, provider: str) -> tuple[str, str]:
    """Return the tool plan and the thinking of a message, if this provider wrote them."""
    state = own_state(message, wire=WIRE, provider=provider)
    if state is None or not message.reasoning:
        return "", ""
    plan = state.get("tool_plan")
    if not isinstance(plan, str) or not plan:
        return "", message.reasoning
    return plan, message.reasoning.removesuffix(plan)


def _content(message: Message, block: Any) -> Any:
    if not message.attachments:
        return message.content
    text = [{"type": "text", "text": message.content}] if message.content else []
    return text + [block(attachment) for attachment in message.attachments]


def _image(attachment: Attachment) -> JsonObject:
    if not attachment.media_type.startswith("image/"):
        raise UnsupportedFeatureError(
            f"Cohere cannot carry {attachment.media_type} in a message: put its text in the message"
        )
    return {"type": "image_url", "image_url": {"url": attachment.url or data_uri(attachment)}}


def _document(attachment: Attachment) -> JsonObject:
    kind = attachment.media_type.partition(";")[0]
    if attachment.data is None or not (kind.startswith("text/") or kind in _TEXTS):
        raise UnsupportedFeatureError(
            f"Cohere cannot carry {attachment.media_type} in a tool's result: only text documents, "
            f"by their bytes. Put images into a user's message."
        )
    fields = {"title": attachment.name} if attachment.name else {}
    text = attachment.data.decode("utf-8", "replace")
    return {"type": "document", "document": {"data": {**fields, "text": text}}}
