"""JSON Schemas made fit for Gemini: as JSON Schema, or as its own subset of OpenAPI.

Spec: https://ai.google.dev/api/caching#FunctionDeclaration (`parametersJsonSchema` or `parameters`)
and https://ai.google.dev/api/caching#Schema. The first takes nearly everything, references and
recursion included; the second is for models before Gemini 2.5. What a keyword meant is put into
the description where it cannot be said otherwise. Knows nothing about tools or requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from pydantic_core import to_json

from victor.types import JsonObject

__all__ = ["json_schema", "openapi_schema"]

_DEFS = "#/$defs/"
_NAMED = frozenset({"properties", "patternProperties", "$defs"})
_LISTS = frozenset({"anyOf", "oneOf", "prefixItems"})
_SINGLE = frozenset({"items", "additionalProperties", "not"})
_DROPPED = frozenset({"$schema", "$id", "$comment", "discriminator", "examples", "const"})
_FORMATS = frozenset({"date-time", "date", "time", "int32", "int64", "float", "double", "enum"})
_OPENAPI = frozenset(
    {
        "title",
        "description",
        "default",
        "pattern",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "minLength",
        "maxLength",
        "minProperties",
        "maxProperties",
        "propertyOrdering",
        "nullable",
    }
)
_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object"})
_DEEPEST = 40


def json_schema(schema: Mapping[str, Any]) -> JsonObject:
    """Return a schema as `parametersJsonSchema` and `responseJsonSchema` take it.

    References stay, but Gemini allows nothing beside a `$ref`: one with a description is replaced
    by what it points to. `const` becomes an `enum` of one, exclusive bounds become inclusive.
    """
    root = _with_defs(schema)
    fit: JsonObject = _json(root, root, ())
    return fit


def _json(schema: Any, root: JsonObject, inside: tuple[str, ...]) -> Any:
    if not isinstance(schema, Mapping) or len(inside) > _DEEPEST:
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str):
        reference = _renamed(reference)
        is_plain = len(schema) == 1 or reference in inside
        if is_plain and reference.startswith(_DEFS):
            return {"$ref": reference}
        target = None if reference in inside else _target(root, reference)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return _json({**(target or {}), **beside}, root, (*inside, reference))
    fit: JsonObject = {}
    for key, value in (_joined(schema, root) if "allOf" in schema else schema).items():
        if key in _NAMED and isinstance(value, Mapping):
            fit[key] = {name: _json(one, root, inside) for name, one in value.items()}
        elif key in _LISTS and isinstance(value, list):
            fit[key] = [_json(one, root, inside) for one in value]
        elif key in _SINGLE:
            fit[key] = _json(value, root, inside)
        elif key not in _DROPPED:
            fit[key] = value
    if "const" in schema:
        fit["enum"] = [schema["const"]]
    return _bounded(_formatted(fit))


def openapi_schema(schema: Mapping[str, Any]) -> tuple[JsonObject, tuple[str, ...]]:
    """Return a schema as `parameters` and `responseSchema` take it, and what was lost.

    References are put in place, and a schema that contains itself ends after its first round.
    `oneOf` and lists of types become `anyOf`, null becomes `nullable`, `allOf` is joined, a tuple
    becomes a list of its types, `additionalProperties` is dropped.

    Returns:
        The schema, and one sentence for people for each recursion that was cut.
    """
    walk = _OpenAPI(_with_defs(schema))
    return walk.convert(walk.root, ()), tuple(dict.fromkeys(walk.notes))


class _OpenAPI:
    """One conversion."""

    def __init__(self, root: JsonObject) -> None:
        self.root = root
        self.notes: list[str] = []

    def convert(self, schema: Any, inside: tuple[str, ...], depth: int = 0) -> JsonObject:
        if not isinstance(schema, Mapping):
            return {"type": "STRING"}  # true and {}: anything
        reference = schema.get("$ref")
        if depth > _DEEPEST or (isinstance(reference, str) and _renamed(reference) in inside):
            name = str(reference).rpartition("/")[2] or "schema"
            self.notes.append(f"the schema {name} contains itself and is cut after one round")
            return {"type": "OBJECT", "description": f"another {name}"}
        if isinstance(reference, str):
            reference = _renamed(reference)
            beside = {key: value for key, value in schema.items() if key != "$ref"}
            merged = {**(_target(self.root, reference) or {}), **beside}
            return self.convert(merged, (*inside, reference), depth + 1)
        schema = _bounded(_formatted(_joined(schema, self.root)))
        kind, is_nullable = _kind(schema)
        choices = schema.get("anyOf") or schema.get("oneOf") or kind
        if isinstance(choices, list):
            return self._choice(schema, choices, is_nullable, inside, depth)
        fit = {key: value for key, value in schema.items() if key in _OPENAPI}
        fit["type"] = kind.upper()
        if is_nullable:
            fit["nullable"] = True
        if "format" in schema:
            fit["format"] = schema["format"]
        self._add_values(fit, schema)
        if kind == "object":
            self._add_properties(fit, schema, inside, depth)
        elif kind == "array":
            self._add_items(fit, schema, inside, depth)
        return fit

    def _choice(
        self,
        schema: Mapping[str, Any],
        choices: list[Any],
        is_nullable: bool,  # noqa: FBT001 - private, one caller
        inside: tuple[str, ...],
        depth: int,
    ) -> JsonObject:
        beside = {
            key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "type")
        }
        options = [
            {**beside, "type": choice} if isinstance(choice, str) else choice for choice in choices
        ]
        some = [option for option in options if not _is_null(option)]
        fit: JsonObject = {"type": "STRING"}
        if len(some) == 1 and isinstance(some[0], Mapping):
            fit = self.convert({**beside, **some[0]}, inside, depth + 1)
        elif some:
            fit = {key: value for key, value in beside.items() if key in ("title", "description")}
            fit["anyOf"] = [self.convert(option, inside, depth + 1) for option in some]
        if is_nullable or len(some) < len(options):
            fit["nullable"] = True
        return fit

    def _add_values(self, fit: JsonObject, schema: Mapping[str, Any]) -> None:
        values = [schema["const"]] if "const" in schema else schema.get("enum")
        if not isinstance(values, list):
            return
        some = [value for value in values if value is not None]
        if len(some) < len(values):
            fit["nullable"] = True
        if all(isinstance(value, str) for value in some):
            fit["enum"], fit["format"] = some, "enum"
        else:
            told = ", ".join(to_json(value).decode() for value in some)
            _describe(fit, f"one of: {told}")

    def _add_properties(
        self, fit: JsonObject, schema: Mapping[str, Any], inside: tuple[str, ...], depth: int
    ) -> None:
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return
        fit["properties"] = {
            name: self.convert(one, inside, depth + 1) for name, one in properties.items()
        }
        required = schema.get("required")
        if isinstance(required, list):
            fit["required"] = [name for name in required if name in properties]

    def _add_items(
        self, fit: JsonObject, schema: Mapping[str, Any], inside: tuple[str, ...], depth: int
    ) -> None:
        items = schema.get("prefixItems", schema.get("items"))
        if not isinstance(items, list):
            fit["items"] = self.convert(items, inside, depth + 1)
            return
        kinds: list[JsonObject] = []
        for item in items:
            kind = self.convert(item, inside, depth + 1)
            if kind not in kinds:
                kinds.append(kind)
        fit["items"] = kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
        fit.setdefault("minItems", len(items))
        fit.setdefault("maxItems", len(items))


def _with_defs(schema: Mapping[str, Any]) -> JsonObject:
    """Return a schema with its definitions where JSON Schema has them since 2019."""
    old = schema.get("definitions")
    if not isinstance(old, Mapping):
        return dict(schema)
    fit = {key: value for key, value in schema.items() if key != "definitions"}
    now = fit.get("$defs")
    return {**fit, "$defs": {**old, **(now if isinstance(now, Mapping) else {})}}


def _renamed(reference: str) -> str:
    old = "#/definitions/"
    return _DEFS + reference.removeprefix(old) if reference.startswith(old) else reference


def _target(root: JsonObject, reference: str) -> Mapping[str, Any] | None:
    """Follow a JSON pointer (https://www.rfc-editor.org/rfc/rfc6901); None if it leads nowhere."""
    if not reference.startswith("#"):
        return None
    found: Any = root
    for step in reference[1:].split("/")[1:]:
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _joined(schema: Mapping[str, Any], root: JsonObject) -> JsonObject:
    """Put the parts of an `allOf` into one schema."""
    fit = {key: value for key, value in schema.items() if key != "allOf"}
    parts = schema.get("allOf")
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and isinstance(part.get("$ref"), str):
            part = _target(root, _renamed(part["$ref"]))  # noqa: PLW2901 - what it stands for
        for key, value in part.items() if isinstance(part, Mapping) else ():
            ours = fit.get(key)
            if isinstance(ours, dict) and isinstance(value, Mapping):
                fit[key] = {**value, **ours}
            elif key == "required" and isinstance(ours, list) and isinstance(value, list):
                fit[key] = list(dict.fromkeys([*ours, *value]))
            else:
                fit.setdefault(key, value)
    return fit


def _kind(schema: Mapping[str, Any]) -> tuple[Any, bool]:
    """Return the type, several types as a list, and whether null is one of them."""
    kind = schema.get("type")
    kinds = [one for one in (kind if isinstance(kind, list) else [kind]) if isinstance(one, str)]
    known = [one for one in kinds if one.lower() in _TYPES]
    is_nullable = "null" in kinds or schema.get("nullable") is True
    if len(known) > 1:
        return known, is_nullable
    return known[0].lower() if known else _guessed(schema), is_nullable


def _guessed(schema: Mapping[str, Any]) -> str:
    if "properties" in schema or "additionalProperties" in schema:
        return "object"
    if "items" in schema or "prefixItems" in schema:
        return "array"
    values = schema.get("enum") or [schema.get("const")]
    first = values[0] if isinstance(values, list) else None
    return {bool: "boolean", int: "integer", float: "number"}.get(type(first), "string")


def _is_null(schema: Any) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") in ("null", ["null"])


def _formatted(schema: JsonObject) -> JsonObject:
    """Move a format that Gemini does not know into the description."""
    kind = schema.get("format")
    if not isinstance(kind, str) or kind in _FORMATS:
        return schema
    fit = {key: value for key, value in schema.items() if key != "format"}
    _describe(fit, f"format: {kind}")
    return fit


def _bounded(schema: JsonObject) -> JsonObject:
    """Replace exclusive bounds, which Gemini does not know."""
    step = 1 if schema.get("type") == "integer" else 0
    for name, bound, sign in (
        ("exclusiveMinimum", "minimum", 1),
        ("exclusiveMaximum", "maximum", -1),
    ):
        value = schema.pop(name, None)
        if isinstance(value, int | float) and not isinstance(value, bool):
            schema.setdefault(bound, value + sign * step)
    return schema


def _describe(schema: JsonObject, what: str) -> None:
    told = schema.get("description")
    schema["description"] = f"{told} ({what})" if told else what
