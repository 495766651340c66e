"""OpenAI chat completions, what a request says beside its messages: tools, options, limits.

Spec: https://platform.openai.com/docs/api-reference/chat/create
Translates the vocabulary of `providers/options.py`; which vendor spells what differently is data on
its row of the catalog, which parameters a model takes is in its `ModelData`. Knows no messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import UnsupportedFeatureError
from victor.providers.options import OutputSchema, StandardOptions, leave_out, standard_options
from victor.providers.request import ChatRequest
from victor.providers.writing import merged
from victor.types import JsonObject, ToolDefinition

__all__ = ["nearest_effort", "settings"]

_RANKS: Mapping[str, int] = MappingProxyType(
    {"none": 0, "minimal": 1, "low": 2, "medium": 3, "high": 4, "xhigh": 5, "max": 6}
)
_GRADED = ("low", "medium", "high")
_SAMPLING = ("top_p", "top_k", "frequency_penalty", "presence_penalty")
_NOT_IN_SCHEMA_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
# https://platform.openai.com/docs/guides/structured-outputs: what strict schemas must not have.
_NOT_STRICT = frozenset(
    {
        "allOf",
        "default",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "not",
        "oneOf",
        "patternProperties",
        "prefixItems",
        "then",
    }
)


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


def nearest_effort(wanted: str, efforts: tuple[str, ...]) -> str:
    """Return the effort a model takes that is nearest to the wanted one, the weaker of two.

    Args:
        wanted: what the caller said.
        efforts: what the model takes, at least one. A name without a grade, such as Groq's
            `default`, counts as a medium one.
    """
    if wanted in efforts or wanted not in _RANKS:
        return wanted
    rank = _RANKS[wanted]
    # Thinking is not the same as not thinking, however little it is.
    graded = [one for one in efforts if (one == "none") == (wanted == "none")] or efforts

    def distance(effort: str) -> tuple[int, int]:
        own = _RANKS.get(effort, _RANKS["medium"])
        return abs(own - rank), own

    return min(graded, key=distance)


def _effort(wanted: str, vendor: Vendor, known: ModelData) -> JsonObject:
    efforts = () if known.reasoning is False else known.efforts
    if efforts == () and vendor.effort in ("reasoning_effort", "reasoning"):
        if wanted != "none":
            leave_out(vendor.name, reasoning_effort=wanted)
        return {}
    grade = nearest_effort(wanted, efforts) if efforts else wanted
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
    wanted: JsonObject = {"name": name or "answer", "schema": output.schema}
    if output.description:
        wanted["description"] = output.description
    if output.strict is not None:
        wanted["strict"] = output.strict
    elif "strict" not in vendor.lacks and _may_be_strict(output.schema):
        wanted["strict"] = True
    return {"type": "json_schema", "json_schema": wanted}


def _may_be_strict(schema: Mapping[str, Any]) -> bool:
    """Tell whether a schema is of the kind that OpenAI takes as strict."""
    if schema.get("type") != "object":
        return False
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, Mapping):
            if not _is_closed(part) or not _NOT_STRICT.isdisjoint(part):
                return False
            waiting += part.values()
    return True


def _is_closed(part: Mapping[str, Any]) -> bool:
    properties = part.get("properties")
    if not isinstance(properties, Mapping):
        return part.get("type") != "object"
    required = part.get("required")
    listed = required if isinstance(required, list) else []
    return part.get("additionalProperties") is False and all(name in listed for name in properties)
