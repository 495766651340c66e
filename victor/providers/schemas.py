"""JSON Schemas that an answer has to satisfy, written as the APIs that enforce them take them.

Two dialects: OpenAI's strict schemas and the part of the language that Anthropic's models are held
to, also behind Bedrock. What cannot be enforced is said in a description, where the model reads it.
Specs: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas,
https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs and
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
Knows JSON Schema, and nothing about requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from victor.errors import UnsupportedFeatureError
from victor.providers.writing import to_bytes
from victor.types import JsonObject

__all__ = ["enforceable", "is_strict", "strict_form"]

_FORMATS = frozenset(
    {
        "date",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "time",
        "uuid",
    }
)
"""What both dialects enforce."""
_OF_SCHEMAS = frozenset({"$defs", "definitions", "properties"})
_STRICT_WORDS = frozenset(
    {
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "description",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "items",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "required",
        "title",
        "type",
        *_OF_SCHEMAS,
    }
)
_TOLD = frozenset({"contentEncoding", "format", "maxLength", "minLength", "uniqueItems"})
"""What strict schemas have no word for, and a description does as well."""
_DEEPEST = 64


def is_strict(schema: Any) -> bool:
    """Tell whether OpenAI takes a schema as strict.

    Every object in it has to be closed and to require all it has, and there may be no rare words.
    """
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        return False
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, Mapping) or not _is_strict_by_itself(part):
            return False
        for name, inner in part.items():
            if name in _OF_SCHEMAS and isinstance(inner, Mapping):
                waiting += inner.values()
            elif name == "anyOf" and isinstance(inner, list):
                waiting += inner
            elif name == "items":
                waiting.append(inner)
    return True


def _is_strict_by_itself(part: Mapping[str, Any]) -> bool:
    if part.keys() - _STRICT_WORDS or part.get("format", "date") not in _FORMATS:
        return False
    if "object" not in _types(part):
        return True
    properties, required = part.get("properties", {}), part.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return False
    return part.get("additionalProperties") is False and all(one in required for one in properties)


def strict_form(schema: JsonObject) -> JsonObject:
    """Return a schema as OpenAI enforces it; the schema itself where that cannot be done.

    Objects are closed, all they have is required, and defaults are left out: for whoever reads the
    answer with a class that would have filled them in. Lengths are said in words.
    """
    found: JsonObject = _tightened(schema, 0)
    definitions = found.get("$defs")
    name = str(found.get("$ref", "")).removeprefix("#/$defs/")
    if isinstance(definitions, dict) and isinstance(definitions.get(name), dict):
        # A class that contains itself: its schema is a reference, which no root may be.
        found = {**definitions[name], "$defs": definitions}
    return found if is_strict(found) else schema


def _tightened(schema: Any, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return schema
    found: JsonObject = {}
    said: list[str] = []
    for name, value in schema.items():
        if name in _OF_SCHEMAS and isinstance(value, Mapping):
            found[name] = {key: _tightened(one, depth + 1) for key, one in value.items()}
        elif name in ("anyOf", "oneOf") and isinstance(value, list):
            found["anyOf"] = [_tightened(one, depth + 1) for one in value]
        elif name == "items":
            found[name] = _tightened(value, depth + 1)
        elif name in _TOLD and not (name == "format" and value in _FORMATS):
            said.append(f"{name}: {to_bytes(value).decode()}")
        elif name not in ("default", "discriminator"):
            found[name] = value
    _tell(found, said)
    if isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
        found["required"] = list(found["properties"])
    return found


def _tell(schema: JsonObject, said: list[str]) -> None:
    """Add to a description what the schema cannot say."""
    if said:
        before = [schema["description"]] if isinstance(schema.get("description"), str) else []
        schema["description"] = "\n".join([*before, f"({', '.join(said)})"])


# ------------------------------------------------------------------ what Anthropic's models take

_AS_IS = frozenset(
    {"$ref", "const", "default", "description", "enum", "required", "title", "type"}
)  # fmt: skip
_UNSAID = frozenset({"$comment", "$id", "$schema", "additionalProperties", "examples"})


def enforceable(schema: Mapping[str, Any], *, whose: str = "Anthropic's") -> JsonObject:
    """Return a schema that Anthropic's models can be held to, as close to it as can be.

    Args:
        schema: any schema; it is not changed.
        whose: structured outputs, for the message of an error.

    Raises:
        UnsupportedFeatureError: it has objects with keys of any name, which would come out empty;
            or it is deeper than 64 levels.
    """
    found: JsonObject = _Enforceable(whose).written(schema, 0)
    return found


class _Enforceable:
    """One schema under way."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def written(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, Mapping):
            return schema
        if depth > _DEEPEST:
            raise UnsupportedFeatureError(
                f"{self._whose} structured outputs cannot be nested deeper than {_DEEPEST} levels"
            )
        found: JsonObject = {}
        said: list[str] = []
        for name, value in schema.items():
            if name in _AS_IS:
                found[name] = value
            elif name in _INNER:
                found["anyOf" if name == "oneOf" else name] = _INNER[name](self, value, depth + 1)
            elif _is_enforced(name, value):
                found[name] = value
            elif name not in _UNSAID:
                said.append(f"{name}: {to_bytes(value).decode()}")
        if "object" in _types(schema):
            self._check_closed(schema)
            found["additionalProperties"] = False
        _tell(found, said)
        return found

    def several(self, value: Any, depth: int) -> Any:
        return [self.written(one, depth) for one in value] if isinstance(value, list) else value

    def named(self, value: Any, depth: int) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {name: self.written(one, depth) for name, one in value.items()}

    def _check_closed(self, schema: Mapping[str, Any]) -> None:
        more = schema.get("additionalProperties")
        free = (
            "properties" not in schema and not {"$ref", "anyOf", "allOf", "oneOf"} & schema.keys()
        )
        if free or (isinstance(more, Mapping) and more):
            raise UnsupportedFeatureError(
                f"{self._whose} structured outputs have no objects with keys of any name"
                f" ({schema.get('title') or 'an object'}): list its properties, or make it an"
                f" array of objects with a key and a value."
            )


_INNER: Mapping[str, Callable[[_Enforceable, Any, int], Any]] = MappingProxyType(
    {
        "$defs": _Enforceable.named,
        "allOf": _Enforceable.several,
        "anyOf": _Enforceable.several,
        "definitions": _Enforceable.named,
        "items": _Enforceable.written,
        "oneOf": _Enforceable.several,
        "properties": _Enforceable.named,
    }
)


def _is_enforced(name: str, value: Any) -> bool:
    if name == "format":
        return value in _FORMATS or value == "uri"
    return name == "minItems" and value in (0, 1)


def _types(schema: Mapping[str, Any]) -> list[Any]:
    kind = schema.get("type")
    if kind is None and "properties" in schema:
        return ["object"]
    return kind if isinstance(kind, list) else [kind]
