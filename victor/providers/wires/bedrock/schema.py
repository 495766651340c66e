"""Amazon Bedrock's Converse: a JSON Schema as its structured outputs take it.

Spec: https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html
Objects have to be closed, and numbers cannot be bounded: a bound is told to the model in words.
Knows nothing about requests.
"""

from __future__ import annotations

from typing import Any

from victor.types import JsonObject

__all__ = ["closed"]

_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_OF_SCHEMAS = ("properties", "$defs", "definitions")
_DEEPEST = 64


def closed(schema: JsonObject) -> JsonObject:
    """Return a schema whose objects are closed where it does not say whether they are.

    What is nested deeper than 64 levels is left as it is.
    """
    found: JsonObject = _closed(schema, 0)
    return found


def _closed(schema: Any, depth: int) -> Any:
    if depth > _DEEPEST:
        return schema
    if isinstance(schema, list):
        return [_closed(one, depth + 1) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        name: _inner(name, value, depth) for name, value in schema.items() if name not in _BOUNDS
    }
    if found.get("type") == "object" or "properties" in found:
        found.setdefault("additionalProperties", False)
    bounds = ", ".join(f"{name}={schema[name]}" for name in _BOUNDS if name in schema)
    if bounds:
        told = found.get("description")
        found["description"] = f"{told} ({bounds})" if told else bounds
    return found


def _inner(name: str, value: Any, depth: int) -> Any:
    if name in _OF_SCHEMAS and isinstance(value, dict):
        # Here the names are those of properties, one of which may well be called `maximum`.
        return {one: _closed(inner, depth + 1) for one, inner in value.items()}
    if name in ("enum", "const", "default", "examples"):
        return value
    return _closed(value, depth + 1)
