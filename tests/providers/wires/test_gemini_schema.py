from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from pydantic import BaseModel, Field

from victor.providers.wires.gemini.schema import json_schema, openapi_schema

Json = dict[str, Any]


class _Street(BaseModel):
    name: str
    number: int = Field(gt=0, lt=1000)


class _Person(BaseModel):
    home: _Street = Field(description="Where they live.")
    friends: list[_Person] = []


def _openapi(schema: Any) -> Json:
    fit, notes = openapi_schema(schema)
    assert notes == ()
    return fit


# --------------------------------------------------------------------------- as JSON Schema


def test_a_plain_schema_stays_as_it_is() -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": ["integer", "null"], "minimum": 1, "default": 2, "title": "N"},
            "when": {"type": "string", "format": "date-time"},
            "all": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "const": {"type": "array", "items": {"enum": ["a"]}, "uniqueItems": True},
        },
        "additionalProperties": {"type": "string"},
        "required": ["n"],
    }
    before = copy.deepcopy(schema)
    assert json_schema(schema) == before
    assert schema == before


@pytest.mark.parametrize(
    ("schema", "fit"),
    [
        pytest.param({"const": 3}, {"enum": [3]}, id="const"),
        pytest.param({"items": True}, {"items": True}, id="anything"),
        pytest.param(
            {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
            {"type": "integer", "minimum": 1, "maximum": 8},
            id="exclusive bounds of integers",
        ),
        pytest.param(
            {"type": "number", "exclusiveMinimum": 0, "minimum": 1},
            {"type": "number", "minimum": 1},
            id="exclusive bounds of numbers",
        ),
        pytest.param(
            {"type": "number", "exclusiveMinimum": True}, {"type": "number"}, id="older bounds"
        ),
        pytest.param(
            {"type": "string", "format": "email", "description": "Mail."},
            {"type": "string", "description": "Mail. (format: email)"},
            id="unknown format",
        ),
        pytest.param(
            {"$schema": "x", "type": "string", "examples": ["a"], "$id": "y"},
            {"type": "string"},
            id="what says nothing",
        ),
        pytest.param(
            {"allOf": [{"type": "string"}, {"minLength": 2}], "description": "D"},
            {"type": "string", "minLength": 2, "description": "D"},
            id="all of several",
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": {"const": 1}}},
            {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"enum": [1]}}},
            id="older definitions",
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "http://x.test/y", "title": "T"}}},
            {"properties": {"a": {"title": "T"}}},
            id="reference to elsewhere",
        ),
        pytest.param(
            {"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}},
            {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
            id="reference to no definition",
        ),
        pytest.param(
            {"properties": {"a/b": {"type": "integer"}, "c": {"$ref": "#/properties/a~1b"}}},
            {"properties": {"a/b": {"type": "integer"}, "c": {"type": "integer"}}},
            id="escaped reference",
        ),
    ],
)
def test_what_gemini_does_not_know_is_said_otherwise(schema: Json, fit: Json) -> None:
    assert json_schema(schema) == fit


def test_nothing_stands_beside_a_reference_and_recursion_stays() -> None:
    fit = json_schema(_Person.model_json_schema())
    person = fit["$defs"]["_Person"]["properties"]
    assert person["home"]["description"] == "Where they live."
    assert person["home"]["properties"]["number"]["minimum"] == 1
    assert person["friends"]["items"] == {"$ref": "#/$defs/_Person"}

    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert "$ref" not in value or len(value) == 1
            for one in value.values():
                check(one)
        elif isinstance(value, list):
            for one in value:
                check(one)

    check(fit)


def test_a_recursion_with_words_beside_it_ends() -> None:
    node = {"properties": {"next": {"$ref": "#/$defs/N", "description": "D"}}}
    fit = json_schema({"$ref": "#/$defs/N", "$defs": {"N": node}})
    text = json.dumps(fit)
    assert len(text) < 1_000
    assert '{"$ref": "#/$defs/N"}' in text
    assert json_schema({"properties": {"a": {"$ref": "#", "title": "T"}}})


# ------------------------------------------------------------------------------- as OpenAPI


@pytest.mark.parametrize(
    ("schema", "fit"),
    [
        pytest.param({"type": "string"}, {"type": "STRING"}, id="string"),
        pytest.param(
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a", "b"]},
            {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}, "required": ["a"]},
            id="object",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": {"type": "string"}, "$comment": "x"},
            {"type": "OBJECT"},
            id="additional properties",
        ),
        pytest.param(
            {"type": ["string", "null"]}, {"type": "STRING", "nullable": True}, id="or null"
        ),
        pytest.param(
            {"type": ["string", "integer", "null"], "description": "D"},
            {
                "description": "D",
                "anyOf": [
                    {"type": "STRING", "description": "D"},
                    {"type": "INTEGER", "description": "D"},
                ],
                "nullable": True,
            },
            id="several types",
        ),
        pytest.param(
            {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None, "title": "T"},
            {"type": "INTEGER", "nullable": True, "default": None, "title": "T"},
            id="optional",
        ),
        pytest.param(
            {"oneOf": [{"type": "integer"}, {"const": "x"}], "discriminator": {}},
            {"anyOf": [{"type": "INTEGER"}, {"type": "STRING", "enum": ["x"], "format": "enum"}]},
            id="one of",
        ),
        pytest.param({"type": "null"}, {"type": "STRING", "nullable": True}, id="null"),
        pytest.param(
            {"anyOf": [{"type": "null"}]}, {"type": "STRING", "nullable": True}, id="only null"
        ),
        pytest.param(
            {"enum": ["a", "b", None]},
            {"type": "STRING", "enum": ["a", "b"], "format": "enum", "nullable": True},
            id="enum",
        ),
        pytest.param(
            {"enum": [1, 2]}, {"type": "INTEGER", "description": "one of: 1, 2"}, id="numbers"
        ),
        pytest.param(
            {"const": True}, {"type": "BOOLEAN", "description": "one of: true"}, id="true"
        ),
        pytest.param(
            {"type": "array", "items": {"type": "number", "format": "float"}, "uniqueItems": True},
            {"type": "ARRAY", "items": {"type": "NUMBER", "format": "float"}},
            id="array",
        ),
        pytest.param({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}, id="any"),
        pytest.param(
            {"prefixItems": [{"type": "number"}, {"type": "number"}]},
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": 2, "maxItems": 2},
            id="tuple of one type",
        ),
        pytest.param(
            {"items": [{"type": "number"}, {"type": "string"}], "minItems": 1},
            {
                "type": "ARRAY",
                "items": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING"}]},
                "minItems": 1,
                "maxItems": 2,
            },
            id="older tuple",
        ),
        pytest.param(
            {"properties": {"a": True, "b": {}}},
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "STRING"}}},
            id="anything",
        ),
        pytest.param(
            {
                "allOf": [{"$ref": "#/$defs/A"}, {"properties": {"b": True}, "required": ["b"]}],
                "$defs": {"A": {"properties": {"a": {"type": "integer"}}, "required": ["a"]}},
                "required": ["c"],
                "properties": {"c": {"type": "string"}},
            },
            {
                "type": "OBJECT",
                "properties": {
                    "b": {"type": "STRING"},
                    "a": {"type": "INTEGER"},
                    "c": {"type": "STRING"},
                },
                "required": ["c", "a", "b"],
            },
            id="all of several",
        ),
        pytest.param(
            {"properties": {"a": {"$ref": "#/nowhere", "type": "integer"}}},
            {"type": "OBJECT", "properties": {"a": {"type": "INTEGER"}}},
            id="reference to nowhere",
        ),
        pytest.param(
            {"type": "integer", "exclusiveMinimum": 0, "format": "port", "nullable": True},
            {
                "type": "INTEGER",
                "minimum": 1,
                "description": "format: port",
                "nullable": True,
            },
            id="bounds and formats",
        ),
        pytest.param({"type": 3, "allOf": "x", "properties": "y"}, {"type": "OBJECT"}, id="broken"),
    ],
)
def test_the_older_spelling_says_the_same(schema: Json, fit: Json) -> None:
    before = copy.deepcopy(schema)
    assert _openapi(schema) == fit
    assert schema == before


def test_references_are_put_in_place_and_recursion_is_cut_with_a_note() -> None:
    fit, notes = openapi_schema(_Person.model_json_schema())
    assert notes == ("the schema _Person contains itself and is cut after one round",)
    assert fit["properties"]["home"] == {
        "type": "OBJECT",
        "title": "_Street",
        "description": "Where they live.",
        "properties": {
            "name": {"type": "STRING", "title": "Name"},
            "number": {"type": "INTEGER", "title": "Number", "minimum": 1, "maximum": 999},
        },
        "required": ["name", "number"],
    }
    assert fit["properties"]["friends"]["items"] == {
        "type": "OBJECT",
        "description": "another _Person",
    }


def test_a_schema_without_end_is_cut() -> None:
    deep: Json = {"type": "string"}
    for _ in range(60):
        deep = {"type": "array", "items": deep}
    fit, notes = openapi_schema(deep)
    assert len(notes) == 1
    assert fit["type"] == "ARRAY"
