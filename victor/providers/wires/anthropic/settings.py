"""Anthropic Messages, the request: everything in the body that is not the conversation.

Spec: https://docs.anthropic.com/en/api/messages
Knows nothing about messages, and of thinking only what it rules out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from victor.errors import ProviderInvalidRequestError, UnsupportedFeatureError
from victor.providers.options import OutputSchema, StandardOptions, leave_out
from victor.providers.request import ChatRequest
from victor.providers.schemas import enforceable
from victor.providers.wires.anthropic.thinking import (
    effort_for,
    max_tokens,
    thinking_for,
    thinks,
)
from victor.types import JsonObject, ToolDefinition

__all__ = ["settings", "tool_settings"]

_CHOICES: Mapping[str, str] = MappingProxyType({"auto": "auto", "none": "none", "required": "any"})


def settings(
    request: ChatRequest,
    asked: StandardOptions,
    *,
    provider: str,
    lost_thinking: bool,
    notes: list[str],
) -> JsonObject:
    """Return the settings of a request, without what the caller spelled themselves.

    Args:
        request: what is asked.
        asked: its options.
        provider: the vendor's name.
        lost_thinking: whether the turn under way began without thinking of this vendor's.
        notes: gets a sentence for each thing that had to be left out.

    Raises:
        UnsupportedFeatureError: the answer could not be held to the format asked for.
        ProviderInvalidRequestError: an option cannot be understood.
    """
    leave_out(
        provider,
        seed=asked.seed,
        frequency_penalty=asked.frequency_penalty,
        presence_penalty=asked.presence_penalty,
    )
    thinking = thinking_for(request, asked, lost=lost_thinking, notes=notes)
    body: JsonObject = {"model": request.model, "max_tokens": max_tokens(request, thinking)}
    if thinking is not None and "thinking" not in asked.extra:
        body["thinking"] = thinking
    body |= _sampling(request, asked, thinking=thinks(thinking), notes=notes)
    output: JsonObject = {}
    if effort := effort_for(request, asked, thinking):
        output["effort"] = effort
    if asked.output is not None:
        output["format"] = _format(request, asked.output)
    if output:
        body["output_config"] = output
    stops = [stop for stop in asked.stop if stop.strip()]
    if stops:
        body["stop_sequences"] = stops
    if len(stops) < len(asked.stop):
        notes.append("Stop sequences of white space alone are left out: Anthropic takes none.")
    if request.stream:
        body["stream"] = True
    return body


def tool_settings(tools: Sequence[ToolDefinition], asked: StandardOptions) -> JsonObject:
    """Return the tools, those that the server runs first, and which of them to choose.

    Raises:
        ProviderInvalidRequestError: a call is required and there is no tool, or `server_tools` is
            no list of tools.
    """
    of_server = asked.extra.get("server_tools") or []
    if not isinstance(of_server, list) or not all(isinstance(one, Mapping) for one in of_server):
        raise ProviderInvalidRequestError(
            'server_tools is a list of tools as the API spells them, such as {"type":'
            ' "web_search_20250305", "name": "web_search"}'
        )
    if not of_server and not tools:
        if asked.tool_choice == "required":
            raise ProviderInvalidRequestError("tool_choice demands a call, but there are no tools")
        return {}
    found: JsonObject = {"tools": [*of_server, *map(_tool, tools)]}
    if asked.tool_choice is not None or asked.parallel_tool_calls is False:
        found["tool_choice"] = _choice(asked)
    return found


def _choice(asked: StandardOptions) -> JsonObject:
    choice: JsonObject = {"type": _CHOICES[asked.tool_choice or "auto"]}
    if asked.tool_name:
        choice = {"type": "tool", "name": asked.tool_name}
    if asked.parallel_tool_calls is False and choice["type"] != "none":
        choice["disable_parallel_tool_use"] = True
    return choice


def _tool(tool: ToolDefinition) -> JsonObject:
    about = {"description": tool.description} if tool.description else {}
    return {"name": tool.name, **about, "input_schema": {"type": "object", **tool.parameters}}


def _sampling(
    request: ChatRequest, asked: StandardOptions, *, thinking: bool, notes: list[str]
) -> JsonObject:
    given = {"top_p": asked.top_p, "top_k": asked.top_k}
    chosen: JsonObject = {name: value for name, value in given.items() if value is not None}
    if thinking or request.model_data.sampling is False:
        why = "a model that thinks" if thinking else request.model
        notes.extend(f"{name} is left out: {why} does not take it." for name in chosen)
        return {}
    # Newer models refuse both; the temperature has a default, so top_p is the one that was meant.
    if request.temperature is not None and asked.top_p is None:
        chosen["temperature"] = min(request.temperature, 1.0)
    return chosen


def _format(request: ChatRequest, output: OutputSchema | str) -> JsonObject:
    if not isinstance(output, OutputSchema):
        raise UnsupportedFeatureError(
            "Anthropic Messages have no JSON mode without a schema: pass the schema of the answer"
            " as response_format."
        )
    if request.model_data.json_schema is False:
        raise UnsupportedFeatureError(
            f"{request.model} cannot be held to a schema: choose a newer model, or give it a tool"
            f" with this schema and force it with tool_choice."
        )
    return {"type": "json_schema", "schema": enforceable(output.schema)}
