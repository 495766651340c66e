"""The arguments of a call written as text: read, given their types by the schema, and checked.

Where a format writes values as raw text, the tool's JSON Schema
(https://json-schema.org/draft/2020-12) says what they are: a string stays text whatever it looks
like, anything else is read, and what cannot be read stays text for the check to complain about.
Knows nothing about formats and runs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from types import MappingProxyType
from typing import Any

from victor.errors import ConfigError
from victor.tool_calling.formats.literals import loads, loads_part
from victor.types import JsonObject, ToolCall

__all__ = [
    "CUT_OFF",
    "coerced",
    "json_type",
    "make_call",
    "parameter_schema",
    "problems",
    "read_arguments",
    "resolved",
    "types_of",
    "unwrapped",
]

CUT_OFF = "the call was cut off before it was complete"

_ORDER = ("null", "boolean", "integer", "number", "array", "object")
# What people write into schemas that are none: names of languages and databases, Gemini's capitals.
_KINDS = MappingProxyType(
    {name: name for name in (*_ORDER, "string")}
    | {"int": "integer", "long": "integer", "float": "number", "double": "number"}
    | {"str": "string", "text": "string", "bool": "boolean", "none": "null"}
    | {"list": "array", "tuple": "array", "arr": "array", "dict": "object", "map": "object"}
    | {"varchar": "string", "char": "string", "short": "integer", "unsigned": "integer"}
    | {f"{sign}int{bits}": "integer" for sign in ("", "u") for bits in ("", 8, 16, 32, 64)}
    | {"num": "number", "float32": "number", "float64": "number"}
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_WRAPPERS = frozenset({"arguments", "args", "input", "parameters", "properties", "params"})
_MAX_DEPTH = 32
_MAX_DIGITS = 4000


def make_call(
    name: str,
    arguments: JsonObject,
    *,
    id: str | None = None,  # noqa: A002 - the field of ToolCall
    raw: str | None = None,
    error: str | None = None,
) -> ToolCall:
    """Return a call; one without an id gets one."""
    fields: JsonObject = {"name": name, "arguments": arguments, "error": error}
    if error is not None:
        fields["raw_arguments"] = raw
    return ToolCall(**fields, **({"id": id} if id else {}))


def read_arguments(raw: str, *, complete: bool = True) -> JsonObject:
    """Read an argument block of JSON text into the fields of a `ToolCall`.

    Args:
        raw: the block; a blank one means no arguments.
        complete: False where the text was cut off: what there is of it is kept with an error.
    """
    if not complete:
        part = loads_part(raw)
        arguments = part if isinstance(part, dict) else {}
        return {"arguments": arguments, "raw_arguments": raw, "error": CUT_OFF}
    if not raw.strip():
        return {"arguments": {}}
    try:
        value = loads(raw)
        if isinstance(value, str):
            value = loads(value) if value.strip() else {}
    except ValueError as error:
        why = f"the arguments are not valid JSON: {error}"
        return {"arguments": {}, "raw_arguments": raw, "error": why}
    if value is None:
        return {"arguments": {}}
    if isinstance(value, dict):
        return {"arguments": value}
    why = f"the arguments are a JSON {type(value).__name__}, not an object"
    return {"arguments": {}, "raw_arguments": raw, "error": why}


def parameter_schema(schema: Mapping[str, Any] | None, name: str) -> Any:
    """Return the schema of one parameter; None where nothing is said about it."""
    properties = (schema or {}).get("properties")
    return properties.get(name) if isinstance(properties, dict) else None


def types_of(schema: Any, root: Mapping[str, Any] | None = None, depth: int = 0) -> frozenset[str]:
    """Return the JSON types a schema allows; empty where it says nothing about them."""
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return frozenset()
    if "type" in schema:
        stated = schema["type"]
        names = [stated] if isinstance(stated, str) else stated
        return frozenset(kind for name in names if (kind := json_type(name)))
    if "const" in schema or "enum" in schema:
        return frozenset(_type_name(one) for one in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema:
        return types_of(resolved(schema["$ref"], root), root, depth + 1)
    for word in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(word), list):
            found = [types_of(one, root, depth + 1) for one in schema[word]]
            return frozenset().union(*found)
    if "properties" in schema:
        return frozenset({"object"})
    return frozenset({"array"}) if "items" in schema else frozenset()


def json_type(name: Any) -> str | None:
    """Return JSON Schema's word for a type, also of those that wrote another; None for no type."""
    return _KINDS.get(name.lower()) if isinstance(name, str) else None


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "string")


def resolved(reference: Any, root: Mapping[str, Any] | None) -> Any:
    """Return what a `$ref` refers to inside `root`; None where it is not there.

    Spec: https://datatracker.ietf.org/doc/html/rfc6901
    """
    if not isinstance(reference, str) or not f"{reference}/".startswith("#/"):
        return None
    found: Any = root
    for part in reference.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found


def coerced(text: str, schema: Any, root: Mapping[str, Any] | None = None) -> Any:
    """Give a value that was written as raw text the type its schema says.

    Args:
        text: the value as written.
        schema: of the parameter; None: nothing is known, and the text stays text.
        root: the tool's whole schema, where `$ref` looks.
    """
    types = types_of(schema, root)
    bare = text.strip()
    for name in _ORDER:
        if name in types and (read := _read_as(name, bare)) is not _UNREAD:
            return read
    return text


_UNREAD = object()


def _read_as(name: str, text: str) -> Any:
    match name:
        case "null":
            return None if text in {"null", "None"} else _UNREAD
        case "boolean":
            return {"true": True, "false": False}.get(text.lower(), _UNREAD)
        case "integer" | "number":
            return _read_number(text, whole=name == "integer")
        case _:
            return _read_nested(list if name == "array" else dict, text)


def _read_nested(kind: type, text: str) -> Any:
    if text[:1] not in {"[", "{", "(", '"'}:
        return _UNREAD
    try:
        value = loads(text)
        value = loads(value) if isinstance(value, str) else value
    except ValueError:
        return _UNREAD
    return value if isinstance(value, kind) else _UNREAD


def _read_number(text: str, *, whole: bool) -> Any:
    if len(text) > _MAX_DIGITS or not _NUMBER.fullmatch(text):
        return _UNREAD
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if number in {float("inf"), float("-inf")}:
        return _UNREAD
    if number.is_integer():
        return int(number)
    return _UNREAD if whole else number


def unwrapped(arguments: JsonObject, schema: Mapping[str, Any] | None) -> JsonObject:
    """Take arguments out of one more object that some models put round all of them.

    Only where the tool has no parameter of that name, and has all of those inside.
    """
    if len(arguments) != 1 or not schema:
        return arguments
    ((name, inner),) = arguments.items()
    known = schema.get("properties")
    if name not in _WRAPPERS or not isinstance(known, dict) or name in known:
        return arguments
    if isinstance(inner, str):
        try:
            inner = loads(inner)
        except ValueError:
            return arguments
    if isinstance(inner, dict) and inner.keys() <= known.keys():
        return inner
    return arguments


def problems(arguments: JsonObject, schema: Mapping[str, Any], limit: int = 5) -> list[str]:
    """Say what is wrong with the arguments of a call, each with the place it is at.

    Args:
        arguments: of the call.
        schema: of the tool, whoever wrote it.
        limit: how many problems to name at most.

    Raises:
        ConfigError: the schema itself is none.
    """
    # Some tens of milliseconds, and few calls need it.
    import jsonschema
    import referencing

    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(dict(schema))
        # An empty registry: a schema's `$ref` to an address is never fetched.
        found = kind(schema, registry=referencing.Registry()).iter_errors(arguments)
        return [f"{one.json_path}: {one.message[:300]}" for one in islice(found, limit)]
    except jsonschema.SchemaError as error:
        raise ConfigError(f"the tool's parameters are no JSON Schema: {error.message}") from error
    except referencing.exceptions.Unresolvable as error:
        raise ConfigError(f"the tool's parameters refer to what is not there: {error}") from error
