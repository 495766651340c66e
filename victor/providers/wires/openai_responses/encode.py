"""OpenAI Responses, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://platform.openai.com/docs/api-reference/responses/create
Keeps no conversation on the server: each request brings all of it, with the reasoning encrypted.
Knows nothing about HTTP, keys or retries; the conversation itself is in `content.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.providers.history import HistoryRules, prepared
from victor.providers.options import (
    OutputSchema,
    StandardOptions,
    leave_out,
    nearest_effort,
    standard_options,
)
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.schemas import is_strict, strict_form
from victor.providers.wires.openai_responses.content import encoded_input, is_openai
from victor.providers.wires.openai_responses.items import WIRE
from victor.providers.writing import merged, to_bytes
from victor.types import JsonObject, Message, ToolDefinition

__all__ = ["encode"]

_RULES = HistoryRules(WIRE, call_id=re.compile(r"[!-~]{1,64}"))
_REASONING = "reasoning.encrypted_content"
_LEAST_OUTPUT = 16
"""Tokens; OpenAI refuses less."""
_NO_SCHEMA_NAME = re.compile(r"[^a-zA-Z0-9_-]")


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `/responses`.

    The same history always gives the same bytes, so that the vendor's prompt cache can hit.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind this protocol cannot carry, or an option
            is no JSON value.
        ProviderInvalidRequestError: an option cannot be understood.
    """
    ready = prepared(request.messages, _RULES, provider=vendor.name)
    role = request.model_data.system_role or ("developer" if is_openai(vendor) else "system")
    instructions, rest = _split(ready.messages, role)
    body: JsonObject = {"instructions": instructions} if instructions else {}
    options = standard_options(request.options)
    body |= _settings(request, vendor, options)
    included = body.get("include") or []
    body = merged(body, options.extra)
    if isinstance(body.get("include"), list) and body["include"]:
        # Ours stays beside the caller's: without it, reasoning cannot be sent back.
        body["include"] = included + [one for one in body["include"] if one not in included]
    parts = [b'{"model":', to_bytes(request.model)]
    if "input" not in body:
        parts += (b',"input":', encoded_input(rest, vendor, system_role=role))
    parts += (b",", to_bytes(body)[1:]) if body else (b"}",)
    return HTTPCall("/responses", b"".join(parts), notes=ready.notes)


def _split(messages: Sequence[Message], role: str) -> tuple[str, Sequence[Message]]:
    """Return the instructions, and the messages that remain."""
    if role == "user":
        return "", messages  # the model takes no system prompt
    count = 0
    while count < len(messages) and messages[count].role == "system":
        if messages[count].attachments:
            break
        count += 1
    if count == len(messages):
        return "", messages  # an input of nothing is refused
    return "\n\n".join([message.content for message in messages[:count]]), messages[count:]


def _settings(request: ChatRequest, vendor: Vendor, options: StandardOptions) -> JsonObject:
    known = request.model_data
    found: JsonObject = {}
    if request.tools:
        found["tools"] = [_tool(tool) for tool in request.tools]
    found |= _choice(options, has_tools=bool(request.tools))
    if known.sampling is not False:
        sampling = {"temperature": request.temperature, "top_p": options.top_p}
        found |= {name: value for name, value in sampling.items() if value is not None}
    if request.max_tokens is not None:
        found["max_output_tokens"] = _output_limit(request.max_tokens, known, vendor)
    if is_openai(vendor):
        found["store"] = False
        if known.reasoning is not False:
            found["include"] = [_REASONING]
    if reasoning := _reasoning(options.reasoning_effort, known, vendor):
        found["reasoning"] = reasoning
    if options.output is not None:
        found["text"] = {"format": _format(options.output)}
    if request.stream:
        found["stream"] = True
    leave_out(
        vendor.name,
        stop=options.stop,
        seed=options.seed,
        top_k=options.top_k,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
    )
    return found


def _tool(tool: ToolDefinition) -> JsonObject:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        # Left out, it is true here, and schemas with optional parameters are refused.
        "strict": is_strict(tool.parameters),
    }


def _choice(options: StandardOptions, *, has_tools: bool) -> JsonObject:
    found: JsonObject = {}
    if options.tool_name is not None:
        found["tool_choice"] = {"type": "function", "name": options.tool_name}
    elif options.tool_choice == "required" or (options.tool_choice and has_tools):
        found["tool_choice"] = options.tool_choice
    if options.parallel_tool_calls is not None and has_tools:
        found["parallel_tool_calls"] = options.parallel_tool_calls
    return found


def _output_limit(wanted: int, known: ModelData, vendor: Vendor) -> int:
    if known.max_output_tokens is not None:
        wanted = min(wanted, known.max_output_tokens)
    return max(wanted, _LEAST_OUTPUT) if is_openai(vendor) else wanted


def _reasoning(effort: str | None, known: ModelData, vendor: Vendor) -> JsonObject | None:
    if effort is None:
        return None
    if known.reasoning is False or known.efforts == ():
        leave_out(vendor.name, reasoning_effort=effort)
        return None
    effort = nearest_effort(effort, known.efforts or ())
    # Without being asked, OpenAI shows nothing of what a model thought.
    shown = is_openai(vendor) and effort != "none"
    return {"effort": effort, "summary": "auto"} if shown else {"effort": effort}


def _format(output: OutputSchema | str) -> JsonObject:
    if not isinstance(output, OutputSchema):
        return {"type": "json_object"}
    schema = strict_form(output.schema) if output.is_class else output.schema
    strict = is_strict(schema) if output.strict is None else output.strict
    said = {"description": output.description} if output.description else {}
    return {
        "type": "json_schema",
        "name": _NO_SCHEMA_NAME.sub("_", output.name)[:64],
        "schema": schema,
        "strict": strict,
        **said,
    }
