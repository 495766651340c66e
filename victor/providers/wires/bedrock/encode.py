"""Amazon Bedrock's Converse, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
Knows nothing about HTTP, signatures or retries.

Options that are no standard ones: those with the name of a field of Converse (`guardrailConfig`,
`serviceTier`, …) go there, all others into `additionalModelRequestFields`, which is where Bedrock
expects what only one model takes. `cache=False` leaves out the marks for the prompt cache that
Claude and Nova get; `cache=True` sets them for a model that cannot be told by its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any
from urllib.parse import quote

from victor.config.catalog import Vendor
from victor.errors import UnsupportedFeatureError
from victor.providers.history import HistoryRules, prepared
from victor.providers.options import OutputSchema, StandardOptions, standard_options
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.schemas import enforceable
from victor.providers.wires.bedrock.content import CACHE_POINT, Conversation
from victor.providers.wires.bedrock.decode import STATE_NAME
from victor.providers.wires.bedrock.families import family_of
from victor.providers.wires.bedrock.parameters import Parameters
from victor.providers.writing import merged, to_bytes
from victor.types import JsonObject, Message, ToolDefinition

__all__ = ["encode"]

_FIELDS = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    }
)
_STILL_OFFERED = (
    "Bedrock cannot forbid tool calls in a conversation that has some: the model may call again."
)


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/model/{id}/converse` or `/converse-stream`.

    The same history always gives the same bytes, so that the prompt cache can hit.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind Converse cannot carry or fetch, JSON
            was demanded without a schema, or an option is no JSON value.
    """
    family = family_of(request.model)
    options = standard_options(request.options)
    rules = HistoryRules(STATE_NAME, call_id=family.call_id)
    ready = prepared(request.messages, rules, provider=vendor.name)
    leading: Sequence[Message] = ()
    if request.model_data.system_role != "user":
        leading = list(takewhile(lambda message: message.role == "system", ready.messages))
    talk = Conversation(
        ready.messages[len(leading) :],
        provider=vendor.name,
        model=request.model,
    )
    # What is unknown caches only when told so.
    asked = options.extra.get("cache")
    marked = family.caches if asked is None else bool(asked)
    parameters = Parameters(request, options, family, vendor.name)
    settings = parameters.written
    if system := _system(leading, marked=marked):
        settings["system"] = system
    tools, notes = _tool_config(request, options, ready.messages)
    if tools:
        if marked and (family.caches_tools or asked):
            tools["tools"].append(CACHE_POINT)
        settings["toolConfig"] = tools
    if options.output is not None:
        settings["outputConfig"] = {"textFormat": _text_format(options.output, request)}
    _add_extra(settings, options)
    parts = (b'{"messages":', talk.written(marked=marked))
    rest = b"," + to_bytes(settings)[1:] if settings else b"}"
    return HTTPCall(
        f"/model/{quote(request.model, safe='')}/converse{'-stream' if request.stream else ''}",
        b"".join((*parts, rest)),
        notes=(*ready.notes, *talk.notes, *notes, *parameters.notes),
    )


def _system(messages: Sequence[Message], *, marked: bool) -> list[JsonObject]:
    blocks: list[JsonObject] = [
        {"text": message.content} for message in messages if message.content.strip()
    ]
    return [*blocks, CACHE_POINT] if blocks and marked else blocks


def _tool_config(
    request: ChatRequest, options: StandardOptions, messages: Sequence[Message]
) -> tuple[JsonObject | None, tuple[str, ...]]:
    """Return the tools; those of the conversation, where it has calls and none are offered.

    Converse refuses a conversation with calls without `toolConfig`, and knows no choice `none`.
    """
    tools = list(request.tools or ())
    notes: tuple[str, ...] = ()
    if not tools or options.tool_choice == "none":
        called = {call.name: None for message in messages for call in message.tool_calls or ()}
        if not called:
            return None, ()
        notes = (_STILL_OFFERED,)
        tools = tools or [
            ToolDefinition(name=name, description="Not available any more.") for name in called
        ]
    config: JsonObject = {"tools": [_tool(tool) for tool in tools]}
    if options.tool_name:
        config["toolChoice"] = {"tool": {"name": options.tool_name}}
    elif options.tool_choice == "required":
        config["toolChoice"] = {"any": {}}
    # `auto` is the default, and some models refuse to hear it.
    return config, notes


def _tool(tool: ToolDefinition) -> JsonObject:
    spec: JsonObject = {"name": tool.name}
    if tool.description.strip():
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": {"type": "object", **tool.parameters}}
    return {"toolSpec": spec}


def _text_format(output: OutputSchema | str, request: ChatRequest) -> JsonObject:
    if not isinstance(output, OutputSchema):
        raise UnsupportedFeatureError(
            "Bedrock has no JSON answers without a schema: pass response_format with a JSON Schema "
            "or a pydantic model class."
        )
    if request.model_data.json_schema is False:
        raise UnsupportedFeatureError(
            f"{request.model} cannot be held to a schema: leave out response_format, or give it a "
            "tool with these parameters and tool_choice with the tool's name."
        )
    schema = to_bytes(enforceable(output.schema, whose="Bedrock's")).decode()
    definition = {"name": output.name, "schema": schema}
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


def _add_extra(settings: JsonObject, options: StandardOptions) -> None:
    fields: dict[str, Any] = {}
    others: dict[str, Any] = {}
    for name, value in options.extra.items():
        if name != "cache":
            (fields if name in _FIELDS else others)[name] = value
    if others:
        given = settings.get("additionalModelRequestFields") or {}
        settings["additionalModelRequestFields"] = merged(dict(given), others)
    merged(settings, fields)
