from __future__ import annotations

from typing import Any

import pytest

from victor.errors import ConfigError
from victor.tool_calling.arguments import (
    coerced,
    json_type,
    parameter_schema,
    problems,
    read_arguments,
    resolved,
    types_of,
    unwrapped,
)

_ROOT = {"$defs": {"count": {"type": "integer"}, "loop": {"$ref": "#/$defs/loop"}}}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("42", {"type": "string"}, "42"),
        ("null", {"type": "string"}, "null"),
        (" 42 ", {"type": "integer"}, 42),
        ("4.0", {"type": "integer"}, 4),
        ("4.5", {"type": "integer"}, "4.5"),
        ("abc", {"type": "integer"}, "abc"),
        ("1e3", {"type": "number"}, 1000),
        ("-2.5", {"type": "number"}, -2.5),
        ("1e999", {"type": "number"}, "1e999"),
        ("9" * 5000, {"type": "integer"}, "9" * 5000),
        ("True", {"type": "boolean"}, True),
        ("yes", {"type": "boolean"}, "yes"),
        ("None", {"type": ["string", "null"]}, None),
        ("none", {"type": ["string", "null"]}, "none"),
        ('{"a": 1}', {"type": ["string", "object"]}, {"a": 1}),
        ("{'a': True}", {"type": "object"}, {"a": True}),
        ('"[1]"', {"type": "array"}, [1]),
        ("{not json", {"type": "object"}, "{not json"),
        ("[1]", {"type": "object"}, "[1]"),
        ("plain", {"type": "array"}, "plain"),
        ("7", {"anyOf": [{"type": "integer"}, {"type": "null"}]}, 7),
        ("7", {"oneOf": [{"type": "string"}, {"type": "integer"}]}, 7),
        ("7", {"$ref": "#/$defs/count"}, 7),
        ("7", {"$ref": "#/$defs/loop"}, "7"),
        ("7", {"$ref": "#/$defs/missing"}, "7"),
        ("7", {"$ref": 7}, "7"),
        ("7", {"enum": [7, 8]}, 7),
        ("7", {"const": "7"}, "7"),
        ("[7]", {"items": {}}, [7]),
        ("{}", {"properties": {}}, {}),
        ("7", {"type": "float"}, 7),
        ("7", {"type": "uint32"}, 7),
        ("7", {"type": "varchar"}, "7"),
        ("[7]", {"type": "arr"}, [7]),
        ("7", {"type": "INTEGER"}, 7),
        ("7", {"type": ["what"]}, "7"),
        ("7", {}, "7"),
        ("7", None, "7"),
    ],
    ids=str,
)
def test_text_gets_the_type_of_its_schema(text: str, schema: Any, value: Any) -> None:
    found = coerced(text, schema, _ROOT)
    assert (found, type(found)) == (value, type(value))


def test_types_of_values_listed_are_their_own() -> None:
    listed: dict[str, Any] = {"enum": [None, True, 1, 1.5, [], {}, "a"]}
    names = {"null", "boolean", "integer", "number", "array", "object", "string"}
    assert types_of(listed) == names


@pytest.mark.parametrize(
    ("arguments", "result"),
    [
        ({"input": {"city": "Rome"}}, {"city": "Rome"}),
        ({"arguments": '{"city": "Rome"}'}, {"city": "Rome"}),
        ({"input": {"town": "Rome"}}, {"input": {"town": "Rome"}}),
        ({"input": "words"}, {"input": "words"}),
        ({"wrapped": {"city": "Rome"}}, {"wrapped": {"city": "Rome"}}),
        ({"input": {"city": "Rome"}, "x": 1}, {"input": {"city": "Rome"}, "x": 1}),
        ({"params": {"city": "Rome"}}, {"params": {"city": "Rome"}}),
    ],
    ids=str,
)
def test_wrapper_is_taken_off_only_where_the_schema_leaves_no_doubt(
    arguments: dict[str, Any], result: dict[str, Any]
) -> None:
    schema = {"properties": {"city": {"type": "string"}, "params": {"type": "object"}}}
    assert unwrapped(arguments, schema) == result
    assert unwrapped(arguments, None) == arguments
    assert unwrapped(arguments, {"type": "object"}) == arguments


def test_parameter_without_schema_has_none() -> None:
    assert parameter_schema(None, "a") is None
    assert parameter_schema({"properties": []}, "a") is None
    assert parameter_schema({"properties": {"a": {}}}, "a") == {}


@pytest.mark.parametrize(
    ("raw", "arguments", "why"),
    [
        ("", {}, None),
        ("null", {}, None),
        ('{"a": 1}', {"a": 1}, None),
        ('"{\\"a\\": 1}"', {"a": 1}, None),
        ('" "', {}, None),
        ("{'a': None,}", {"a": None}, None),
        ("7", {}, "a JSON int, not an object"),
        ("{", {}, "not valid JSON"),
    ],
    ids=str,
)
def test_argument_block_is_an_object(raw: str, arguments: Any, why: str | None) -> None:
    found = read_arguments(raw)
    assert found["arguments"] == arguments
    assert (why is None) == ("error" not in found)
    assert why is None or (why in found["error"] and found["raw_arguments"] == raw)


def test_block_that_is_cut_off_keeps_what_there_is() -> None:
    assert read_arguments('{"a": 1, "b": "x', complete=False)["arguments"] == {"a": 1, "b": "x"}
    assert read_arguments("[1", complete=False)["arguments"] == {}
    assert "cut off" in read_arguments("{wrong", complete=False)["error"]


def test_problems_name_the_place() -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "of": {"items": {"type": "string"}}},
        "required": ["n"],
    }
    assert problems({"n": 1}, schema) == []
    assert problems({"n": "x"}, schema) == ["$.n: 'x' is not of type 'integer'"]
    assert problems({"n": 1, "of": [1]}, schema) == ["$.of[0]: 1 is not of type 'string'"]
    assert len(problems({"of": [1] * 50}, schema)) == 5


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": 7}, "no JSON Schema"),
        ({"$ref": "https://example.org/schema.json"}, "not there"),
    ],
    ids=["wrong", "remote"],
)
def test_schema_that_cannot_be_used_is_an_error_and_nothing_is_fetched(
    schema: dict[str, Any], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        problems({}, schema)


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("#/a/b", 1),
        ("#/a/x~1y~0z", 2),
        ("#/list/1/c", 3),
        ("#/list/2", None),
        ("#/list/one", None),
        ("#/none/b", None),
        ("#a", None),
        ("https://example.com/a", None),
        (None, None),
    ],
)
def test_a_reference_is_followed_inside_the_schema(reference: Any, found: Any) -> None:
    root = {"a": {"b": 1, "x/y~z": 2}, "list": [{}, {"c": 3}]}
    assert resolved(reference, root) == found
    assert resolved("#", root) is root


@pytest.mark.parametrize(
    ("written", "kind"),
    [("integer", "integer"), ("STRING", "string"), ("dict", "object"), ("date", None), (3, None)],
)
def test_types_are_understood_in_other_words(written: Any, kind: str | None) -> None:
    assert json_type(written) == kind
