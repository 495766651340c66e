from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from victor.errors import UnsupportedFeatureError
from victor.providers.wires.anthropic.schema import enforceable


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
