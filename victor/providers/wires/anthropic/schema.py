"""A JSON Schema written in the part of the language that Anthropic's structured outputs take.

Spec: https://docs.anthropic.com/en/docs/build-with-claude/structured-outputs
What cannot be enforced (ranges, lengths, patterns) is said in the description, where the model
reads it. Knows JSON Schema, and nothing about requests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from victor.errors import UnsupportedFeatureError
from victor.providers.writing import to_bytes
from victor.types import JsonObject

__all__ = ["enforceable"]

_AS_IS = frozenset(
    {"$ref", "const", "default", "description", "enum", "required", "title", "type"}
)  # fmt: skip
_UNSAID = frozenset({"$comment", "$id", "$schema", "additionalProperties", "examples"})
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
        "uri",
        "uuid",
    }
)


def enforceable(schema: Mapping[str, Any]) -> JsonObject:
    """Return a schema the API accepts, as close to the one given as it can be.

    Raises:
        UnsupportedFeatureError: it has objects with keys of any name, which would come out empty.
    """
    found: JsonObject = {}
    said: list[str] = []
    for name, value in schema.items():
        if name in _AS_IS:
            found[name] = value
        elif name in _INNER:
            found["anyOf" if name == "oneOf" else name] = _INNER[name](value)
        elif (name == "format" and value in _FORMATS) or (name == "minItems" and value in (0, 1)):
            found[name] = value
        elif name not in _UNSAID:
            said.append(f"{name}: {to_bytes(value).decode()}")
    if "object" in _types(schema):
        _check_closed(schema)
        found["additionalProperties"] = False
    if said:
        before = [found["description"]] if isinstance(found.get("description"), str) else []
        found["description"] = "\n".join([*before, f"({', '.join(said)})"])
    return found


def _types(schema: Mapping[str, Any]) -> list[Any]:
    kind = schema.get("type")
    if kind is None and "properties" in schema:
        return ["object"]
    return kind if isinstance(kind, list) else [kind]


def _check_closed(schema: Mapping[str, Any]) -> None:
    more = schema.get("additionalProperties")
    free = "properties" not in schema and not {"$ref", "anyOf", "allOf", "oneOf"} & schema.keys()
    if free or (isinstance(more, Mapping) and more):
        raise UnsupportedFeatureError(
            f"Anthropic's structured outputs have no objects with keys of any name"
            f" ({schema.get('title') or 'an object'}): list its properties, or make it an array of"
            f" objects with a key and a value."
        )


def _one(value: Any) -> Any:
    return enforceable(value) if isinstance(value, Mapping) else value


def _several(value: Any) -> Any:
    return [_one(item) for item in value] if isinstance(value, list) else value


def _named(value: Any) -> Any:
    return (
        {name: _one(item) for name, item in value.items()} if isinstance(value, Mapping) else value
    )


_INNER: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "$defs": _named,
        "allOf": _several,
        "anyOf": _several,
        "definitions": _named,
        "items": _one,
        "oneOf": _several,
        "properties": _named,
    }
)
