from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tool_calling.step_schema import step_schema
from victor.types import ToolDefinition

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["$defs", "$ref", "anyOf", "const", "enum", "items", "pattern", "properties"]
            )
            | st.sampled_from(["additionalProperties", "required", "type", "x"]),
            inner | st.sampled_from(["#", "#/$defs/x", "#/properties/x", "#/anyOf/0", "string"]),
            max_size=4,
        )
    ),
    max_leaves=20,
)


def tool(name: str = "t", **parameters: Any) -> ToolDefinition:
    return ToolDefinition(name=name, parameters=parameters)


def fitted(**parameters: Any) -> dict[str, Any]:
    schema = step_schema([tool(**parameters)])
    arguments: dict[str, Any] = schema["anyOf"][0]["properties"]["arguments"]
    return arguments | ({"$defs": schema["$defs"]} if "$defs" in schema else {})


def of_x(schema: Any, **more: Any) -> Any:
    return fitted(properties={"x": schema}, **more)["properties"]["x"]


def test_definitions_move_to_where_references_look_for_them() -> None:
    def with_item(name: str, kind: str) -> ToolDefinition:
        item = {"properties": {"next": {"$ref": "#/$defs/Item"}, "x": {"const": kind}}}
        return tool(
            name,
            type="object",
            properties={"i": {"$ref": "#/$defs/Item"}},
            **{"$defs": {"Item": item}},
        )

    one, two = with_item("one", "a"), with_item("two", "b")
    schema = step_schema([one, two])
    assert schema["$defs"] == {
        "one.Item": {"properties": {"next": {"$ref": "#/$defs/one.Item"}, "x": {"const": "a"}}},
        "two.Item": {"properties": {"next": {"$ref": "#/$defs/two.Item"}, "x": {"const": "b"}}},
    }
    arguments = [option["properties"]["arguments"] for option in schema["anyOf"]]
    assert arguments[0]["properties"] == {"i": {"$ref": "#/$defs/one.Item"}}
    assert all("$defs" not in one for one in arguments)
    assert "$defs" in one.parameters


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("#/definitions/a", "t.a"),
        ("#/properties/y", "t.y"),
        ("#/anyOf/1", "t.1"),
        ("#/$defs/a~1b~0c", "t.a_1b_0c"),
    ],
)
def test_references_to_any_place_are_followed(reference: str, name: str) -> None:
    there = {"type": "integer"}
    found = fitted(
        properties={"x": {"$ref": reference}, "y": there},
        definitions={"a": there},
        anyOf=[{}, there],
        **{"$defs": {"a/b~c": there}},
    )
    assert found["properties"]["x"] == {"$ref": f"#/$defs/{name}"}
    assert found["$defs"] == {name: there}


def test_a_schema_that_contains_itself_stays_one() -> None:
    found = fitted(properties={"next": {"$ref": "#"}, "x": {"type": "string"}})
    assert found["properties"]["next"] == {"$ref": "#/$defs/t."}
    assert found["$defs"]["t."]["properties"]["next"] == {"$ref": "#/$defs/t."}


def test_two_definitions_of_one_name_stay_two() -> None:
    found = fitted(
        properties={"x": {"$ref": "#/$defs/a"}, "y": {"$ref": "#/definitions/a"}},
        definitions={"a": {"const": 1}},
        **{"$defs": {"a": {"const": 2}}},
    )
    assert found["$defs"] == {"t.a": {"const": 2}, "t.a_": {"const": 1}}


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        (True, {}),
        (False, {}),
        ("string", {}),
        ({"$ref": "#/$defs/none"}, {}),
        ({"$ref": "https://example.com/s.json"}, {}),
        ({"$ref": 3}, {}),
        ({"type": "date"}, {}),
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": ["str", "null", 3]}, {"type": ["string", "null"]}),
        ({"type": "string", "pattern": "a+"}, {"type": "string"}),
        ({"type": "string", "pattern": "^a+$"}, {"type": "string", "pattern": "^a+$"}),
        ({"$id": "u", "$schema": "v", "minimum": 1}, {"minimum": 1}),
        ({"items": [{"type": "int"}, True]}, {"items": [{"type": "integer"}, {}]}),
        ({"additionalProperties": True}, {"additionalProperties": True}),
        ({"additionalProperties": {"type": "int"}}, {"additionalProperties": {"type": "integer"}}),
        ({"anyOf": [{"type": "int"}, False]}, {"anyOf": [{"type": "integer"}, {}]}),
        ({"enum": [{"type": "int"}]}, {"enum": [{"type": "int"}]}),
        ({"properties": {"type": {"type": "int"}}}, {"properties": {"type": {"type": "integer"}}}),
    ],
    ids=repr,
)
def test_what_servers_refuse_is_left_out_and_all_else_kept(schema: Any, kept: Any) -> None:
    assert of_x(schema) == kept


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({}, {"type": "object", "properties": {}}),
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"type": "string"}, {"type": "object", "properties": {}}),
        (
            {"type": "object", "additionalProperties": True},
            {"type": "object", "additionalProperties": True},
        ),
    ],
    ids=["nothing", "object", "no-object", "free"],
)
def test_arguments_are_an_object_whatever_the_tool_says(
    parameters: dict[str, Any], arguments: dict[str, Any]
) -> None:
    assert fitted(**parameters) == arguments


def test_endless_nesting_is_cut() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    depth, found = 0, of_x(schema)
    while "items" in found:
        depth, found = depth + 1, found["items"]
    assert found == {}
    assert depth < 40


@given(st.dictionaries(st.sampled_from(["properties", "$defs", "anyOf", "x"]), JSON, max_size=3))
@settings(max_examples=150)
def test_every_reference_leads_somewhere(parameters: dict[str, Any]) -> None:
    schema = step_schema([tool(**parameters)])

    def check(value: Any) -> None:
        if isinstance(value, dict):
            reference = value.get("$ref")
            if isinstance(reference, str) and reference.startswith("#/$defs/t."):
                assert reference.removeprefix("#/$defs/") in schema["$defs"]
            for one in value.values():
                check(one)
        elif isinstance(value, list):
            for one in value:
                check(one)

    check(schema)


def test_what_fits_a_tools_schema_fits_the_steps() -> None:
    order = {"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}
    schema = step_schema([tool("order", **order), tool("stop")])
    for step, fits in [
        ({"tool": "order", "arguments": {"n": 1}}, True),
        ({"tool": "order", "arguments": {"n": "1"}}, False),
        ({"tool": "stop", "arguments": {}}, True),
        ({"tool": "answer", "arguments": {"text": "x"}}, True),
        ({"tool": "answer", "arguments": {}}, False),
        ({"tool": "other", "arguments": {}}, False),
    ]:
        assert jsonschema.Draft202012Validator(schema).is_valid(step) is fits
