"""Values get the types a tool's schema says, and so does what is inside them.

For formats that write values as raw text, https://json-schema.org/draft/2020-12 being what a schema
is. A model that has no types on the wire leaves them out inside of objects and lists as well:
`{"limit": "10"}`. What cannot be read stays as it is for the check to complain about. Knows nothing
about formats.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from victor.tool_calling.arguments import coerced, types_of

__all__ = ["alternatives", "conformed", "inner_schema", "typed"]

_MAX_DEPTH = 32
_BITS = MappingProxyType({"1": True, "0": False})


def typed(text: str, schema: Any, root: Mapping[str, Any] | None = None) -> Any:
    """Give a value that was written as raw text its type, and what is inside it theirs.

    Args:
        text: the value as written.
        schema: of the parameter; None: nothing is known, and the text stays text.
        root: the tool's whole schema, where `$ref` looks.
    """
    value = coerced(text, schema, root)
    if not isinstance(value, str):
        return conformed(value, schema, root)
    types = types_of(schema, root)
    if "boolean" in types and "string" not in types:
        return _BITS.get(text.strip(), text)
    return value


def conformed(
    value: Any, schema: Any, root: Mapping[str, Any] | None = None, depth: int = 0
) -> Any:
    """Give a JSON value the types its schema says where those it has do not fit.

    Args:
        value: what was read.
        schema: what it should be.
        root: the tool's whole schema, where `$ref` looks.
        depth: how deep inside the arguments the value is.
    """
    if depth > _MAX_DEPTH or value is None:
        return value
    if isinstance(value, dict):
        return {
            name: conformed(one, inner_schema(schema, name, root), root, depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list):
        inner = inner_schema(schema, None, root)
        return [conformed(one, inner, root, depth + 1) for one in value]
    types = types_of(schema, root)
    if isinstance(value, str) and "string" in types:
        return None if value == "null" and "null" in types else value
    if isinstance(value, str):
        return typed(value, schema, root)
    fits = {"boolean"} if isinstance(value, bool) else {"integer", "number"}
    return json.dumps(value) if "string" in types and not types & fits else value


def inner_schema(schema: Any, name: str | None, root: Mapping[str, Any] | None = None) -> Any:
    """Return the schema of a property, or with None of an item; None where nothing is said."""
    for one in alternatives(schema, root):
        if name is None:
            if "items" in one:
                return one["items"]
            continue
        properties = one.get("properties")
        if isinstance(properties, Mapping) and name in properties:
            return properties[name]
        if isinstance(one.get("additionalProperties"), Mapping):
            return one["additionalProperties"]
    return None


def alternatives(
    schema: Any, root: Mapping[str, Any] | None = None, depth: int = 0
) -> Iterator[Mapping[str, Any]]:
    """Go through a schema and those it refers to or is put together from."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return
    yield schema
    if "$ref" in schema:
        yield from alternatives(_referred(schema["$ref"], root), root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(word), list):
            for one in schema[word]:
                yield from alternatives(one, root, depth + 1)


def _referred(reference: Any, root: Mapping[str, Any] | None) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/"):
        found = found.get(part.replace("~1", "/")) if isinstance(found, Mapping) else None
    return found
