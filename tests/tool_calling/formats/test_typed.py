from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tool_calling.reading import equal
from victor.tool_calling.formats.typed import alternatives, conformed, inner_schema, typed

_TEXT = {"type": "string"}
_WHOLE = {"type": "integer"}
_MAYBE = {"type": ["string", "null"]}
_FLAG = {"type": "boolean"}
_ASKED = {
    "type": "array",
    "items": {"type": "object", "properties": {"many": _FLAG, "answer": _MAYBE, "at": _WHOLE}},
}
_ROOT = {"properties": {}, "$defs": {"place": {"properties": {"zip": _TEXT, "floor": _WHOLE}}}}
_PLACE = {"$ref": "#/$defs/place"}


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("1", _FLAG, True),
        (" 0 ", _FLAG, False),
        ("2", _FLAG, "2"),
        ("1", {"type": ["boolean", "integer"]}, 1),
        ("1", {"type": ["boolean", "string"]}, "1"),
        ('["10", 20]', {"type": "array", "items": _WHOLE}, [10, 20]),
        ('[{"many": "true", "answer": "null", "at": "3"}]', _ASKED, None),
        ('{"zip": 123, "floor": "4"}', _PLACE, {"zip": "123", "floor": 4}),
        ('{"a": "1"}', {"additionalProperties": _WHOLE, "type": "object"}, {"a": 1}),
        ("[1, 2]", _TEXT, "[1, 2]"),
        ("12", None, "12"),
    ],
    ids=[
        "one is true",
        "zero is false",
        "two is neither",
        "a number if it may be",
        "text if it may be",
        "items",
        "objects in a list",
        "reference",
        "other properties",
        "text stays text",
        "nothing known",
    ],
)
def test_raw_text_gets_the_types_of_its_schema_also_inside(
    text: str, schema: Any, value: Any
) -> None:
    if schema is _ASKED:
        value = [{"many": True, "answer": None, "at": 3}]
    assert equal(typed(text, schema, _ROOT), value)


@pytest.mark.parametrize(
    ("value", "schema", "fitting"),
    [
        (5, _TEXT, "5"),
        (True, _TEXT, "true"),
        (True, {"type": ["string", "boolean"]}, True),
        (5, {"type": ["string", "number"]}, 5),
        (5, _FLAG, 5),
        (None, _TEXT, None),
        ("null", _MAYBE, None),
        ("None of these", _MAYBE, "None of these"),
        ("5", {"type": ["string", "integer"]}, "5"),
        ({"a": "5"}, None, {"a": "5"}),
        ({"a": {"b": "5"}}, {"properties": {"a": {"properties": {"b": _WHOLE}}}}, {"a": {"b": 5}}),
        (["x"], {"anyOf": [{"type": "null"}, {"type": "array", "items": _WHOLE}]}, ["x"]),
    ],
    ids=[
        "number for text",
        "flag for text",
        "flag that may be",
        "number that may be",
        "number for a flag",
        "nothing",
        "nothing in words",
        "words",
        "text that may be",
        "nothing known",
        "deep",
        "cannot be read",
    ],
)
def test_json_value_is_changed_only_where_it_does_not_fit(
    value: Any, schema: Any, fitting: Any
) -> None:
    assert equal(conformed(value, schema), fitting)


def test_schema_inside_is_found_through_alternatives() -> None:
    schema = {"oneOf": [{"type": "null"}, _PLACE]}
    assert inner_schema(schema, "zip", _ROOT) == _TEXT
    assert inner_schema(schema, "zip") is None
    assert inner_schema(_ASKED, None) == _ASKED["items"]
    assert inner_schema("no schema", "zip") is None


@pytest.mark.parametrize("reference", ["#/$defs/loop", "#/$defs/none", "http://other", 3])
def test_reference_that_leads_nowhere_says_nothing(reference: Any) -> None:
    root = {"$defs": {"loop": {"$ref": "#/$defs/loop"}}}
    assert inner_schema({"$ref": reference}, "x", root) is None
    assert len(list(alternatives({"$ref": reference}, root))) <= 40


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(_JSON)
def test_values_without_a_schema_stay_as_they_are(value: Any) -> None:
    assert equal(conformed(value, None), value)
    assert equal(conformed(value, {"type": "object"}), value)
