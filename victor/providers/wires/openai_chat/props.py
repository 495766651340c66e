"""What servers of OpenAI's protocol say about their models beyond the names.

`/models` of OpenRouter, vLLM, llama.cpp, Groq, Mistral, Together, LM Studio, GitHub and whoever
spells it like one of them; `/props` of llama.cpp.
Specs: https://openrouter.ai/docs/api-reference/list-available-models and
https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md#get-props-get-server-global-properties
Bodies that say nothing, or are not the API's, give what is known of an unknown model: discovery
never stands in the way of a request. Pure; knows nothing about HTTP.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal

from pydantic_core import from_json

from victor.config.model_capabilities import ModelData
from victor.providers.reading import count, mapping, word

__all__ = ["read_models", "read_props"]

# Each a path into a row of a listing; the first that holds a number counts. What a server has
# loaded comes before what the model was trained for.
_WINDOWS = (
    "loaded_context_length",
    "loaded_instances.config.context_length",
    "meta.n_ctx",
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_input_tokens",
    "limits.max_input_tokens",
    "top_provider.context_length",
    "meta.n_ctx_train",
)
_OUTPUTS = (
    "top_provider.max_completion_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "limits.max_output_tokens",
)
_MODALITIES = (
    "architecture.input_modalities",
    "input_modalities",
    "supported_input_modalities",
)
_TOOL_WORDS = frozenset({"tools", "tool_use", "tool-calling", "tool_calling", "function_calling"})
_TOOL_FLAGS = ("function_calling", "trained_for_tool_use", "supports_tools", "supports_tool_calls")
# OpenRouter's prices are per token, Together's per million.
_PER_TOKEN: Mapping[str, str] = MappingProxyType(
    {
        "input_price": "prompt",
        "output_price": "completion",
        "cached_price": "input_cache_read",
        "cache_write_price": "input_cache_write",
    }
)
_PER_MILLION: Mapping[str, str] = MappingProxyType(
    {"input_price": "input", "output_price": "output", "cached_price": "cached_input"}
)

_ToolMode = Literal["native", "constrained", "none"]


def read_props(body: bytes) -> ModelData:
    """Read what llama.cpp says of the model it serves, an answer of `/props`."""
    value = mapping(_parsed(body))
    window = _number(value, ("default_generation_settings.n_ctx", "n_ctx"))
    template = mapping(value.get("chat_template_caps"))
    # A template without tools takes them silently, and the model never sees them.
    system = _flag(template, "supports_system_role")
    return ModelData(
        context_window=window,
        tool_mode=_mode(_flag(template, "supports_tools", "supports_tool_calls")),
        parallel_tools=_flag(template, "supports_parallel_tool_calls"),
        vision=_flag(mapping(value.get("modalities")), "vision"),
        system_role="user" if system is False else None,
    )


def read_models(body: bytes) -> dict[str, ModelData]:
    """Read a listing of models; those of which it only says the name are there, too."""
    value = _parsed(body)
    if isinstance(value, Mapping):
        value = value.get("data") or value.get("models")
    rows = [mapping(row) for row in value] if isinstance(value, list) else []
    return {
        name: _row(row)
        for row in rows
        if (name := word(row.get("id")) or word(row.get("key")) or word(row.get("name")))
    }


def _row(row: Mapping[str, Any]) -> ModelData:
    takes = _words(row.get("supported_parameters"))
    said = row.get("capabilities")
    flags, can = mapping(said), _words(said)
    modalities = _modalities(row)
    vision = _flag(flags, "vision")
    if modalities:
        vision = "image" in modalities
    elif word(row.get("type")) in ("vlm", "llm"):
        vision = row["type"] == "vlm"
    tools = _flag(flags, *_TOOL_FLAGS)
    if takes:
        tools = "tools" in takes
    elif can & _TOOL_WORDS:
        tools = True
    return ModelData(
        context_window=_number(row, _WINDOWS),
        max_output_tokens=_number(row, _OUTPUTS),
        tool_mode=_mode(tools),
        parallel_tools=True if "parallel_tool_calls" in takes else None,
        vision=vision,
        documents=True if modalities & {"file", "pdf"} else None,
        json_schema="structured_outputs" in takes if takes else None,
        reasoning=bool(takes & {"reasoning", "reasoning_effort"}) if takes else None,
        sampling="temperature" in takes if takes else None,
        **_prices(mapping(row.get("pricing"))),
    )


def _modalities(row: Mapping[str, Any]) -> frozenset[str]:
    for path in _MODALITIES:
        if found := _words(_at(row, path)):
            return found
    # OpenRouter's older spelling: text+image->text
    before, arrow, _ = word(_at(row, "architecture.modality")).partition("->")
    return frozenset(before.split("+")) if arrow else frozenset()


def _prices(pricing: Mapping[str, Any]) -> dict[str, Any]:
    names, factor = (_PER_TOKEN, 1e6) if "prompt" in pricing else (_PER_MILLION, 1.0)
    return {
        our: price
        for our, name in names.items()
        if (price := _price(pricing.get(name), factor)) is not None
    }


def _price(value: Any, factor: float) -> float | None:
    try:
        price = float(value) * factor if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        return None
    # -1 stands for: it depends.
    return round(price, 6) if 0 <= price < math.inf else None


def _mode(tools: bool | None) -> _ToolMode | None:  # noqa: FBT001 - private, a flag by nature
    return None if tools is None else "native" if tools else "constrained"


def _flag(flags: Mapping[str, Any], *names: str) -> bool | None:
    found = [flags[name] for name in names if isinstance(flags.get(name), bool)]
    return any(found) if found else None


def _words(value: Any) -> frozenset[str]:
    return frozenset(map(word, value)) if isinstance(value, list) else frozenset()


def _number(row: Mapping[str, Any], paths: Iterable[str]) -> int | None:
    found = (count(_at(row, path)) for path in paths)
    return next((number for number in found if number is not None and number > 0), None)


def _at(value: Any, path: str) -> Any:
    """Return what a path leads to; of a list on the way, the first one counts."""
    for part in path.split("."):
        row = value[0] if isinstance(value, list) and value else value
        value = mapping(row).get(part)
    return value


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body)
    except ValueError:
        return None
