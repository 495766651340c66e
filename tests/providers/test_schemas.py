from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from victor.errors import UnsupportedFeatureError
from victor.providers.schemas import enforceable, is_strict, strict_form


class _Leg(BaseModel):
    to: str = Field(min_length=2, description="A city.")
    km: float = Field(ge=0)


class _Trip(BaseModel):
    kind: Literal["train", "bus"]
    legs: list[_Leg] = Field(min_length=1, max_length=9)
    note: str | None = None


def test_every_object_is_closed_and_what_cannot_be_enforced_is_said() -> None:
    found = enforceable(_Trip.model_json_schema())
    leg = found["$defs"]["_Leg"]
    assert found["additionalProperties"] is False
    assert leg["additionalProperties"] is False
    assert leg["properties"]["to"] == {
        "description": "A city.\n(minLength: 2)",
        "title": "To",
        "type": "string",
    }
    assert leg["properties"]["km"]["description"] == "(minimum: 0)"
    assert found["properties"]["legs"] == {
        "items": {"$ref": "#/$defs/_Leg"},
        "minItems": 1,
        "description": "(maxItems: 9)",
        "title": "Legs",
        "type": "array",
    }
    assert found["properties"]["kind"]["enum"] == ["train", "bus"]
    assert found["properties"]["note"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert found["required"] == ["kind", "legs"]


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date"}),
        (
            {"type": "string", "format": "color"},
            {"type": "string", "description": '(format: "color")'},
        ),
        ({"type": "array", "minItems": 3}, {"type": "array", "description": "(minItems: 3)"}),
        ({"oneOf": [{"type": "string"}, True]}, {"anyOf": [{"type": "string"}, True]}),
        (
            {"$schema": "s", "examples": [1], "type": ["integer", "null"], "maximum": 5},
            {"type": ["integer", "null"], "description": "(maximum: 5)"},
        ),
        ({"properties": {}}, {"properties": {}, "additionalProperties": False}),
        (
            {"type": "object", "properties": {"a": True}, "additionalProperties": True},
            {"type": "object", "properties": {"a": True}, "additionalProperties": False},
        ),
        (
            {"type": "string", "description": 5, "pattern": "a"},
            {"type": "string", "description": '(pattern: "a")'},
        ),
        ({"properties": 5, "anyOf": 5, "items": 5}, None),
    ],
    ids=["format", "unknown format", "min items", "one of", "type list", "no properties",
         "open object", "odd description", "odd all over"],
)  # fmt: skip
def test_schemas_are_written_in_what_the_api_takes(schema: Any, written: Any) -> None:
    assert enforceable(schema) == (written or {**schema, "additionalProperties": False})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "title": "Counts"},
        {"type": ["object", "null"], "title": "Counts"},
        {
            "type": "object",
            "title": "Counts",
            "properties": {},
            "additionalProperties": {"type": "integer"},
        },
    ],
    ids=["any object", "any object or null", "typed values"],
)
def test_objects_with_any_keys_are_refused_as_they_would_come_out_empty(schema: Any) -> None:
    with pytest.raises(UnsupportedFeatureError, match=r"keys of any name \(Counts\).*array"):
        enforceable({"type": "array", "items": schema})


def test_the_schema_given_is_not_changed() -> None:
    schema = _Trip.model_json_schema()
    enforceable(schema)
    assert schema == _Trip.model_json_schema()


def test_a_very_deep_schema_is_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(300):
        deep = {"type": "array", "items": deep}
    with pytest.raises(UnsupportedFeatureError, match=r"Bedrock's .* deeper than 64 levels"):
        enforceable(deep, whose="Bedrock's")
    assert is_strict({"type": "object", "properties": {"a": deep}}) is False
    assert strict_form(deep) is deep


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("inner", "strict"),
    [
        ({"type": "integer", "minimum": 1, "multipleOf": 2}, True),
        ({"type": "string", "format": "date", "pattern": "a"}, True),
        ({"type": "string", "format": "color"}, False),
        ({"type": "string", "minLength": 1}, False),
        ({"type": "string", "default": "x"}, False),
        ({"type": "array", "items": CLOSED, "maxItems": 3}, True),
        ({"type": "array", "items": True}, False),
        ({"anyOf": [CLOSED, {"type": "null"}]}, True),
        ({"anyOf": [{"oneOf": []}]}, False),
        ({"type": ["object", "null"]}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "required": "a"}, False),
        ({**CLOSED, "properties": 5}, False),
        ({"enum": ["a"], "const": "a"}, True),
    ],
    ids=str,
)
def test_a_schema_is_strict_where_openai_takes_it_so(inner: Any, strict: bool) -> None:
    whole = {**CLOSED, "properties": {"a": inner}}
    assert is_strict(whole) is strict
    assert is_strict({**CLOSED, "$defs": {"minLength": inner}}) is strict
    assert is_strict(inner) is False or inner.get("type") == "object"


class _Place(BaseModel):
    name: str
    parts: list[_Place] = []


class _Counts(BaseModel):
    by_name: dict[str, int]


def test_the_schema_of_a_class_is_made_strict() -> None:
    schema = _Trip.model_json_schema()
    assert not is_strict(schema)
    found = strict_form(schema)
    assert is_strict(found)
    assert found["required"] == ["kind", "legs", "note"]
    assert found["properties"]["kind"]["enum"] == ["train", "bus"]
    assert found["properties"]["legs"]["minItems"] == 1
    leg = found["$defs"]["_Leg"]
    assert leg["additionalProperties"] is False
    assert leg["properties"]["to"]["description"] == "A city.\n(minLength: 2)"
    assert leg["properties"]["km"]["minimum"] == 0
    assert schema == _Trip.model_json_schema()


def test_the_schema_of_a_class_that_contains_itself_begins_with_an_object() -> None:
    schema = _Place.model_json_schema()
    assert schema["$ref"] == "#/$defs/_Place"
    found = strict_form(schema)
    assert is_strict(found)
    assert (found["type"], found["required"]) == ("object", ["name", "parts"])
    assert found["$defs"]["_Place"]["additionalProperties"] is False


def test_a_class_that_cannot_be_strict_is_sent_as_it_is() -> None:
    schema = _Counts.model_json_schema()
    assert strict_form(schema) is schema
