"""OpenAI chat completions, what a request says beside its messages: tools, options, limits.

Spec: https://platform.openai.com/docs/api-reference/chat/create
Translates the vocabulary of `providers/options.py`; which vendor spells what differently is data on
its row of the catalog, which parameters a model takes is in its `ModelData`. Knows no messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.options import (
    OutputSchema,
    StandardOptions,
    leave_out,
    nearest_effort,
    standard_options,
)
from victor.providers.request import ChatRequest
from victor.providers.schemas import is_strict, strict_form
from victor.providers.writing import merged
from victor.types import JsonObject, ToolDefinition

__all__ = ["settings"]

_GRADED = ("low", "medium", "high")
_SAMPLING = ("top_p", "top_k", "frequency_penalty", "presence_penalty")
_NOT_IN_SCHEMA_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


def settings(request: ChatRequest, vendor: Vendor) -> JsonObject:
    """Return what stands in the body beside model and messages.

    Raises:
        ProviderInvalidRequestError: an option cannot be understood.
        UnsupportedFeatureError: an output schema is asked for and the model takes none.
    """
    asked = standard_options(request.options)
    body: JsonObject = {}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    _add_sampling(body, request, asked, vendor)
    _add_limit(body, request, vendor, asked.extra)
    if request.stream:
        body["stream"] = True
        # None says not to: that is how a server that refuses it is asked again.
        if vendor.stream_options and request.options.get("stream_options", {}) is not None:
            body["stream_options"] = {"include_usage": True}
    if not request.options:
        return body
    if asked.stop:
        body["stop"] = list(asked.stop)
    if asked.output is not None:
        body["response_format"] = _response_format(asked.output, request, vendor)
    if asked.reasoning_effort is not None:
        body.update(_effort(asked.reasoning_effort, vendor, request.model_data))
    _add_tool_choice(body, asked, vendor)
    return merged(body, asked.extra)


def _tool(tool: ToolDefinition) -> JsonObject:
    return {
        "type": "function",
        "function": {
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.parameters,
        },
    }


def _add_sampling(
    body: JsonObject, request: ChatRequest, asked: StandardOptions, vendor: Vendor
) -> None:
    samples = request.model_data.sampling is not False
    if request.temperature is not None and samples and "temperature" not in vendor.lacks:
        body["temperature"] = request.temperature
    for name in (*_SAMPLING, "seed"):
        value = getattr(asked, name)
        if value is None:
            continue
        if name in vendor.lacks or (not samples and name != "seed"):
            leave_out(vendor.name, **{name: value})
        else:
            body["random_seed" if name == "seed" and vendor.mistral else name] = value


def _add_limit(
    body: JsonObject, request: ChatRequest, vendor: Vendor, extra: Mapping[str, Any]
) -> None:
    if request.max_tokens is None or "max_completion_tokens" in extra or "max_tokens" in extra:
        return
    most = request.model_data.max_output_tokens
    wanted = request.max_tokens if most is None else min(request.max_tokens, most)
    body[request.model_data.max_tokens_name or vendor.max_tokens_name] = wanted


def _add_tool_choice(body: JsonObject, asked: StandardOptions, vendor: Vendor) -> None:
    parallel = asked.parallel_tool_calls
    if "tools" not in body and "tools" not in asked.extra:
        # Refused by servers, and nothing is there to be chosen from.
        if asked.tool_choice == "required":
            leave_out(vendor.name, tool_choice=asked.tool_choice)
        return
    if asked.tool_name:
        body["tool_choice"] = {"type": "function", "function": {"name": asked.tool_name}}
    elif asked.tool_choice:
        required = "any" if vendor.mistral else "required"
        body["tool_choice"] = required if asked.tool_choice == "required" else asked.tool_choice
    if parallel is not None:
        if "parallel_tool_calls" in vendor.lacks:
            leave_out(vendor.name, parallel_tool_calls=parallel)
        else:
            body["parallel_tool_calls"] = parallel


# ---------------------------------------------------------------------------- reasoning effort


def _effort(wanted: str, vendor: Vendor, known: ModelData) -> JsonObject:
    efforts = () if known.reasoning is False else known.efforts
    if efforts == () and vendor.effort in ("reasoning_effort", "reasoning"):
        if wanted != "none":
            leave_out(vendor.name, reasoning_effort=wanted)
        return {}
    grade = nearest_effort(wanted, efforts or ())
    thinks = wanted != "none"
    match vendor.effort:
        case "reasoning_effort":
            return {"reasoning_effort": grade}
        case "reasoning":
            return {"reasoning": {"effort": grade}}
        case "enable_thinking":
            return {"enable_thinking": thinks}
        case "thinking":
            # DeepSeek and Z.ai take the grade beside it, for the models that have grades.
            found: JsonObject = {"thinking": {"type": "enabled" if thinks else "disabled"}}
            return found | ({"reasoning_effort": grade} if thinks and efforts else {})
        case "chat_template_kwargs":
            # vLLM and llama.cpp: a switch of Qwen's and GLM's templates, a grade for gpt-oss.
            found = {"chat_template_kwargs": {"enable_thinking": thinks}}
            return found | ({"reasoning_effort": grade} if grade in _GRADED else {})


# ---------------------------------------------------------------------------- output schemas


def _response_format(
    output: OutputSchema | str, request: ChatRequest, vendor: Vendor
) -> JsonObject:
    if not isinstance(output, OutputSchema):
        return {"type": "json_object"}
    if request.model_data.json_schema is False:
        raise UnsupportedFeatureError(
            f"{request.model} of {vendor.name} cannot be held to a JSON schema: pass "
            f'response_format={{"type": "json_object"}} and describe the schema in the prompt',
            provider=vendor.name,
            model=request.model,
        )
    name = _NOT_IN_SCHEMA_NAMES.sub("_", output.name)[:64]
    takes_strict = "strict" not in vendor.lacks
    schema = strict_form(output.schema) if output.is_class and takes_strict else output.schema
    wanted: JsonObject = {"name": name or "answer", "schema": schema}
    if output.description:
        wanted["description"] = output.description
    if output.strict is not None:
        wanted["strict"] = output.strict
    elif takes_strict and is_strict(schema):
        wanted["strict"] = True
    return {"type": "json_schema", "json_schema": wanted}
