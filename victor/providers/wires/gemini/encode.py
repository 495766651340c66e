"""Google Gemini's generateContent, the request: a `ChatRequest` becomes the bytes of one POST.

Spec: https://ai.google.dev/api/generate-content
The same for the Developer API and for Vertex; they differ in the base URL. Knows nothing about
HTTP, keys or retries; the conversation is written in `content.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from victor.config.catalog import Vendor
from victor.config.model_capabilities import ModelData
from victor.errors import ProviderInvalidRequestError
from victor.providers.history import HistoryRules, prepared
from victor.providers.options import (
    OutputSchema,
    StandardOptions,
    leave_out,
    nearest_effort,
    standard_options,
)
from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.wires.gemini.content import write
from victor.providers.wires.gemini.schema import json_schema, openapi_schema
from victor.providers.wires.gemini.state import WIRE
from victor.providers.writing import merged, to_bytes
from victor.types import JsonObject, ToolDefinition

__all__ = ["encode", "model_path"]

_RULES = HistoryRules(WIRE)
_COLLECTIONS = ("models/", "tunedModels/", "endpoints/", "publishers/", "projects/")
# Gemini 1 and 2; names without a number, such as gemini-flash-latest, are the newest.
_OLDER = re.compile(r"gemini-[12][.-]|gemini-(pro|ultra)(-vision)?$")
# Before 2.5 only the subset of OpenAPI was taken.
_OPENAPI_ONLY = re.compile(r"gemini-(1[.-]|2\.0|pro$|pro-vision$|ultra$)")
_BUDGETS: Mapping[str, int] = MappingProxyType(
    {"none": 0, "minimal": 512, "low": 1024, "medium": 8192}
)
_MOST_THOUGHT = 24576
_LEAST_OF_PRO = 128  # Gemini 2.5 Pro cannot be kept from thinking
_LEVELS = ("minimal", "low", "medium", "high")
_OWN_OPTIONS = frozenset({"contents", "schema_style", "server_tools"})


def encode(request: ChatRequest, vendor: Vendor) -> HTTPCall:
    """Write a request as the bytes of a POST to `:generateContent`, or to its stream.

    Beside the standard options it takes `server_tools`, a list of tools that Google runs, such as
    `{"googleSearch": {}}`, and `schema_style`: `"json"` or `"openapi"`, how tools' schemas are
    spelled; by default the second for models before Gemini 2.5.

    Raises:
        UnsupportedFeatureError: an attachment is of a kind that Gemini cannot be given, or an
            option is no JSON value.
        ProviderInvalidRequestError: an option cannot be understood.
    """
    ready = prepared(request.messages, _RULES, provider=vendor.name)
    options = standard_options(request.options)
    known = request.model_data
    found = write(ready.messages, provider=vendor.name, newest=_is_newest(request.model, known))
    contents, body = found.contents, _Body(request, options, vendor)
    if contents == b"[]" and found.system:
        # Without a conversation the request is refused.
        contents = to_bytes([{"role": "user", "parts": [{"text": text} for text in found.system]}])
    elif found.system:
        body.fields["systemInstruction"] = {"parts": [{"text": text} for text in found.system]}
    settings = to_bytes(body.whole())
    parts = [b'{"contents":', contents, b"}" if settings == b"{}" else b"," + settings[1:]]
    verb = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
    return HTTPCall(
        f"{model_path(request.model)}:{verb}",
        b"".join(parts),
        notes=(*ready.notes, *found.notes, *body.notes),
    )


def model_path(model: str) -> str:
    """Return where a model is, below the base URL.

    Args:
        model: its name, or a resource such as `models/x`, `tunedModels/x`, `endpoints/x` and
            `publishers/google/models/x`.
    """
    model = model.strip("/").removeprefix("publishers/google/")
    if not model.startswith(_COLLECTIONS):
        return f"/models/{quote(model, safe='@')}"
    return "/" + "/".join(quote(step, safe="@") for step in model.split("/"))


def _is_newest(model: str, known: ModelData) -> bool:
    """Tell whether a model is of Gemini 3 or later."""
    if known.thinking is not None:
        return known.thinking == "level"
    return "gemini-" in model and _OLDER.search(model) is None


class _Body:
    """Everything in a request's body but the conversation."""

    def __init__(self, request: ChatRequest, options: StandardOptions, vendor: Vendor) -> None:
        self.fields: JsonObject = {}
        self.notes: list[str] = []
        self._request = request
        self._options = options
        self._vendor = vendor
        style = options.extra.get("schema_style")
        if style not in (None, "json", "openapi"):
            raise ProviderInvalidRequestError(
                f'schema_style {style!r} is not understood: pass "json" or "openapi"'
            )
        older = _OPENAPI_ONLY.search(request.model) is not None
        self._is_openapi = older if style is None else style == "openapi"
        if options.parallel_tool_calls is False:
            leave_out(vendor.name, parallel_tool_calls=False)

    def whole(self) -> JsonObject:
        """Return the body; what the caller spelled wins."""
        self._add_tools(self._request.tools or ())
        if config := self._config():
            self.fields["generationConfig"] = config
        extra = self._options.extra
        return merged(
            self.fields, {name: extra[name] for name in extra if name not in _OWN_OPTIONS}
        )

    def _schema(self, schema: Mapping[str, Any]) -> JsonObject:
        if not self._is_openapi:
            return json_schema(schema)
        fit, notes = openapi_schema(schema)
        self.notes += notes
        return fit

    def _add_tools(self, tools: Sequence[ToolDefinition]) -> None:
        found: list[Any] = [{"functionDeclarations": [self._tool(tool) for tool in tools]}]
        found = found if tools else []
        found += self._options.extra.get("server_tools") or ()
        if found:
            self.fields["tools"] = found
        choice, name = self._options.tool_choice, self._options.tool_name
        if not tools or choice is None:
            return
        calling: JsonObject = {"mode": {"auto": "AUTO", "none": "NONE"}.get(choice, "ANY")}
        if name is not None:
            calling["allowedFunctionNames"] = [name]
        self.fields["toolConfig"] = {"functionCallingConfig": calling}

    def _tool(self, tool: ToolDefinition) -> JsonObject:
        told: JsonObject = {"name": tool.name, "description": tool.description}
        schema = self._schema(tool.parameters)
        if not self._is_openapi:
            told["parametersJsonSchema"] = schema
        elif schema.get("properties"):
            told["parameters"] = schema  # an object without properties is refused
        return told

    def _config(self) -> JsonObject:
        options, request = self._options, self._request
        config: JsonObject = {
            "maxOutputTokens": request.max_tokens,
            "stopSequences": list(options.stop) or None,
            "seed": options.seed,
            "thinkingConfig": self._thinking(),
        }
        if request.model_data.sampling is not False:
            config |= {
                "temperature": request.temperature,
                "topP": options.top_p,
                "topK": options.top_k,
                "presencePenalty": options.presence_penalty,
                "frequencyPenalty": options.frequency_penalty,
            }
        if options.output is not None:
            config["responseMimeType"] = "application/json"
        if isinstance(options.output, OutputSchema):
            key = "responseSchema" if self._is_openapi else "responseJsonSchema"
            config[key] = self._schema(options.output.schema)
        return {name: value for name, value in config.items() if value is not None}

    def _thinking(self) -> JsonObject | None:
        effort, known, model = (
            self._options.reasoning_effort,
            self._request.model_data,
            self._request.model,
        )
        if effort is None:
            return None
        if known.efforts == () or known.reasoning is False:
            leave_out(self._vendor.name, reasoning_effort=effort)
            return None
        shown: JsonObject = {} if effort == "none" else {"includeThoughts": True}
        if _is_newest(model, known):
            return {"thinkingLevel": _level(effort, known.efforts, model), **shown}
        budget = _BUDGETS.get(effort, _MOST_THOUGHT)
        return {"thinkingBudget": max(budget, _LEAST_OF_PRO) if "pro" in model else budget, **shown}


def _level(effort: str, taken: tuple[str, ...] | None, model: str) -> str:
    """Return the level nearest to an effort, the weaker one of two, that the model takes."""
    if taken is None:
        taken = ("low", "high") if "pro" in model else _LEVELS
    levels = [level for level in _LEVELS if level in taken] or list(_LEVELS)  # by other names
    return nearest_effort("minimal" if effort == "none" else effort, levels)
