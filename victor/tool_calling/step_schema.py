"""The JSON Schema that one step of a constrained model is held to.

An object that names a tool and holds its arguments; the answer is one more tool. Tools' schemas are
anybody's, and a server that makes a grammar of them refuses what it does not know: one odd tool
would cost the whole request. So references are brought to where they are looked for, and what is no
schema allows everything, as the arguments are checked afterwards anyway.
Spec: https://json-schema.org/draft/2020-12 and, for what llama.cpp makes of it,
https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md#json-schemas--gbnf
Knows nothing about prompts and servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from victor.tool_calling.arguments import json_type, resolved
from victor.types import JsonObject, ToolDefinition

__all__ = ["ANSWER", "step_schema"]

ANSWER = "answer"
"""The tool by which the model answers."""

_NAMED = frozenset({"dependentSchemas", "patternProperties", "properties"})
_SEVERAL = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLE = frozenset({"additionalProperties", "contains", "items", "not", "propertyNames"})
_LEFT_OUT = frozenset({"$defs", "$id", "$ref", "$schema", "definitions", "pattern", "type"})
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
_DEEPEST = 32


def step_schema(tools: Sequence[ToolDefinition]) -> JsonObject:
    """Return a schema with one alternative per tool, and the last one for the answer."""
    text = {"type": "object", "properties": {"text": {"type": "string"}}} | _closed("text")
    definitions: JsonObject = {}
    options = [_call(tool.name, _Fitted(tool, definitions).arguments()) for tool in tools]
    options.append(_call(ANSWER, text))
    return {"anyOf": options} | ({"$defs": definitions} if definitions else {})


def _closed(*required: str) -> JsonObject:
    return {"required": list(required), "additionalProperties": False}


def _call(name: str, parameters: JsonObject) -> JsonObject:
    properties = {"tool": {"const": name}, "arguments": parameters}
    return {"type": "object", "properties": properties} | _closed("tool", "arguments")


class _Fitted:
    """One tool's schema, written for a place inside another."""

    def __init__(self, tool: ToolDefinition, definitions: JsonObject) -> None:
        self._tool = tool
        self._definitions = definitions
        self._names: dict[str, str] = {}

    def arguments(self) -> JsonObject:
        found = self._schema(self._tool.parameters, 0)
        found["type"] = "object"
        if not found.keys() & {"$ref", "additionalProperties", *_NAMED, *_SEVERAL}:
            found["properties"] = {}  # a tool without parameters, not one that takes anything
        return found

    def _schema(self, value: Any, depth: int) -> JsonObject:
        if not isinstance(value, Mapping) or depth > _DEEPEST:
            return {}
        found: JsonObject = {}
        for word, inner in value.items():
            if word in _NAMED and isinstance(inner, Mapping):
                found[word] = {name: self._schema(one, depth + 1) for name, one in inner.items()}
            elif word in _SEVERAL and isinstance(inner, list):
                found[word] = [self._schema(one, depth + 1) for one in inner]
            elif word in _SINGLE:
                found[word] = self._inner(inner, depth + 1)
            elif word not in _LEFT_OUT:
                found[word] = inner
        self._add_rewritten(found, value, depth)
        return found

    def _inner(self, value: Any, depth: int) -> Any:
        if isinstance(value, list):  # `items` of older drafts
            return [self._schema(one, depth) for one in value]
        return value if isinstance(value, bool) else self._schema(value, depth)

    def _add_rewritten(self, found: JsonObject, value: Mapping[str, Any], depth: int) -> None:
        if "type" in value:
            stated = value["type"]
            names = [json_type(one) for one in (stated if isinstance(stated, list) else [stated])]
            known = [name for name in names if name]
            if known:
                found["type"] = known if isinstance(stated, list) else known[0]
        pattern = value.get("pattern")
        # Others are no grammar to llama.cpp, and an error to its older versions and to Ollama.
        if isinstance(pattern, str) and pattern.startswith("^") and pattern.endswith("$"):
            found["pattern"] = pattern
        if "$ref" in value and (name := self._hoisted(value["$ref"], depth)) is not None:
            found["$ref"] = f"#/$defs/{name}"

    def _hoisted(self, reference: Any, depth: int) -> str | None:
        """Bring what is referred to under `$defs` of the whole; None where it is not there."""
        target = resolved(reference, self._tool.parameters)
        if not isinstance(target, Mapping):
            return None
        if reference not in self._names:
            last = reference.rpartition("/")[2].replace("#", "")
            name = _NOT_IN_NAMES.sub("_", f"{self._tool.name}.{last}")
            while name in self._definitions:
                name += "_"
            self._names[reference] = name
            self._definitions[name] = {}  # taken, before the schema refers to itself
            self._definitions[name] = self._schema(target, depth + 1)
        return self._names[reference]
