"""Ollama's own API, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
Knows nothing about HTTP, keys or retries. Messages are frozen, so each is encoded once and its
bytes are kept on it: a long conversation costs the same per turn as a short one.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.history import HistoryRules, prepared
from victor.providers.options import OutputSchema, StandardOptions, leave_out, standard_options
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.ollama.show import context_to_ask_for
from victor.providers.writing import base64_text, merged, replayable_arguments, to_bytes
from victor.types import Attachment, JsonObject, Message, ToolDefinition

__all__ = ["RUNTIME_OPTIONS", "WIRE", "encode"]

WIRE = "ollama"
"""The key in `Message.provider_state`, which this wire never needs."""

RUNTIME_OPTIONS = frozenset(
    {
        "draft_num_predict",
        "main_gpu",
        "min_p",
        "mirostat",
        "mirostat_eta",
        "mirostat_tau",
        "num_batch",
        "num_ctx",
        "num_gpu",
        "num_keep",
        "num_predict",
        "num_thread",
        "repeat_last_n",
        "repeat_penalty",
        "typical_p",
        "use_mmap",
    }
)
"""What a caller may pass by name and the API wants under `options`."""

_RULES = HistoryRules(wire=WIRE)
_LEVELS: Mapping[str, str] = MappingProxyType(
    {
        "minimal": "low",
        "low": "low",
        "medium": "medium",
        "high": "high",
        "xhigh": "high",
        "max": "max",
    }
)


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/api/chat`.

    The context is loaded as `num_ctx` says, else as `context_to_ask_for` does; a conversation that
    does not fit is an error (`truncate`), where the server by itself would forget its beginning.

    Raises:
        UnsupportedFeatureError: an attachment or a demand is of a kind this protocol cannot carry,
            or an option is no JSON value.
        ProviderInvalidRequestError: an option cannot be understood.
    """
    ready = prepared(request.messages, _RULES, provider=vendor.name)
    thinks = request.model_data.echo_reasoning is not False
    messages = b",".join([_message(message, thinks) for message in ready.messages])
    settings = to_bytes(_settings(request, vendor))
    body = b"".join(
        (b'{"model":', to_bytes(request.model), b',"messages":[', messages, b"],", settings[1:])
    )
    return HTTPCall("/api/chat", body, notes=ready.notes)


def _settings(request: ChatRequest, vendor: Vendor) -> JsonObject:
    options = standard_options(request.options)
    if options.tool_choice == "required":
        raise UnsupportedFeatureError(
            "Ollama's API cannot force a tool call: leave tool_choice out and ask for the call in "
            "the prompt, or pass response_format to hold the answer to a schema",
            provider=vendor.name,
        )
    settings: JsonObject = {"stream": request.stream, "truncate": False}
    if request.tools and options.tool_choice != "none":
        settings["tools"] = [_tool(tool) for tool in request.tools]
    if options.output is not None:
        output = options.output
        settings["format"] = output.schema if isinstance(output, OutputSchema) else output
    think = _think(options.reasoning_effort, request.model_data, vendor)
    if think is not None:
        settings["think"] = think
    leave_out(vendor.name, parallel_tool_calls=options.parallel_tool_calls)
    named = {name: value for name, value in options.extra.items() if name in RUNTIME_OPTIONS}
    runtime = _runtime(request, options, vendor) | named
    if runtime:
        settings["options"] = runtime
    rest = {name: value for name, value in options.extra.items() if name not in named}
    return merged(settings, rest)


def _runtime(request: ChatRequest, options: StandardOptions, vendor: Vendor) -> JsonObject:
    hints = {
        "top_p": options.top_p,
        "top_k": options.top_k,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
    }
    found: JsonObject = {
        "num_ctx": context_to_ask_for(request.model, request.model_data.context_window),
        "num_predict": request.max_tokens,
        "stop": list(options.stop) or None,
        "seed": options.seed,
    }
    if request.model_data.sampling is False:
        leave_out(vendor.name, **hints)
    else:
        found |= {"temperature": request.temperature, **hints}
    return {name: value for name, value in found.items() if value is not None}


def _think(effort: str | None, known: ModelData, vendor: Vendor) -> bool | str | None:
    if effort is None:
        return None
    if effort == "none":
        return False
    if known.reasoning is False:  # the server would refuse the request
        leave_out(vendor.name, reasoning_effort=effort)
        return None
    return True if known.efforts == () else _LEVELS.get(effort, effort)


def _tool(tool: ToolDefinition) -> JsonObject:
    parameters = tool.parameters
    if "$defs" in parameters or "definitions" in parameters:
        parameters = _References(parameters).inlined()
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


class _References:
    """Puts what a schema refers to in the places of the references: the server keeps none.

    A recursive one becomes any object at its second turn, as do all that come after the first 200.
    """

    def __init__(self, schema: JsonObject) -> None:
        self._schema = schema
        self._left = 200

    def inlined(self) -> JsonObject:
        rest = {
            name: value
            for name, value in self._schema.items()
            if name not in ("$defs", "definitions")
        }
        return dict(self._replace(rest, frozenset()))

    def _replace(self, schema: Any, above: frozenset[str]) -> Any:
        if isinstance(schema, list):
            return [self._replace(one, above) for one in schema]
        if not isinstance(schema, Mapping):
            return schema
        name = schema.get("$ref")
        if not isinstance(name, str):
            return {key: self._replace(value, above) for key, value in schema.items()}
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        self._left -= 1
        if name in above or self._left < 0:
            return {"type": "object", **beside}
        return {**self._replace(self._target(name), above | {name}), **beside}

    def _target(self, name: str) -> JsonObject:
        found: Any = self._schema
        for part in name.removeprefix("#/").split("/"):
            found = found.get(part) if isinstance(found, Mapping) else None
        return dict(found) if isinstance(found, Mapping) else {}


def _message(message: Message, thinks: bool) -> bytes:  # noqa: FBT001 - private, one caller
    # Kept in the instance's dict, where pydantic's own fields are, as cached_property does; copies
    # made by model_copy() start without it.
    key = "_ollama_thinking" if thinks else "_ollama"
    kept: bytes | None = message.__dict__.get(key)
    if kept is None:
        kept = message.__dict__[key] = to_bytes(_plain(message, thinks))
    return kept


def _plain(message: Message, thinks: bool) -> JsonObject:  # noqa: FBT001 - private, one caller
    plain: JsonObject = {"role": message.role, "content": message.content}
    if message.attachments:
        plain["images"] = [_image(attachment) for attachment in message.attachments]
    if message.role == "tool":
        plain["tool_name"] = message.name or ""
        plain["tool_call_id"] = message.tool_call_id or ""
    if message.reasoning and thinks:
        plain["thinking"] = message.reasoning
    if message.tool_calls:
        plain["tool_calls"] = [
            {
                "id": call.id,
                "function": {
                    "index": index,
                    "name": call.name,
                    "arguments": replayable_arguments(call),
                },
            }
            for index, call in enumerate(message.tool_calls)
        ]
    return plain


def _image(attachment: Attachment) -> str:
    if not attachment.media_type.startswith("image/"):
        raise UnsupportedFeatureError(
            f"Ollama cannot carry {attachment.media_type}: put its text into the message"
        )
    if attachment.data is None:
        raise UnsupportedFeatureError(
            f"Ollama does not fetch {attachment.media_type} from addresses: pass its bytes; "
            f"`await fetched(attachment)` from victor.providers.attachments gets them"
        )
    return base64_text(attachment)
