from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import UnsupportedFeatureError
from victor.providers.writing import (
    base64_text,
    data_uri,
    merged,
    replayable_arguments,
    to_bytes,
)
from victor.types import Attachment, ToolCall

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_value_is_written_as_itself(value: Any) -> None:
    assert json.loads(to_bytes(value)) == value
    assert to_bytes(value) == to_bytes(value)


def test_what_no_json_has_is_written_as_null() -> None:
    assert to_bytes([float("nan"), float("inf")]) == b"[null,null]"


def test_half_a_character_is_written_as_a_question_mark() -> None:
    assert to_bytes({"a": "\udc00ü"}) == '{"a":"?ü"}'.encode()


def deep(levels: int) -> Any:
    value: Any = "\udc00"
    for _ in range(levels):
        value = [value]
    return value


def circle() -> Any:
    value: dict[str, Any] = {}
    value["again"] = value
    return value


@pytest.mark.parametrize(
    "value", [object(), {"a": object()}, circle(), deep(100_000), ["\udc00", float("nan")]],
    ids=["object", "inner", "circle", "deep", "nan-beside-half-a-character"],
)  # fmt: skip
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(UnsupportedFeatureError, match="cannot be written as JSON"):
        to_bytes(value)


def test_an_attachment_is_written_as_base64() -> None:
    attachment = Attachment(media_type="image/png", data=b"\xff\xfe")
    assert base64_text(attachment) == "//4="
    assert data_uri(attachment) == "data:image/png;base64,//4="
    assert base64_text(Attachment(media_type="image/png", url="https://x.example")) == ""


def test_only_good_arguments_are_sent_back() -> None:
    good = ToolCall(name="f", arguments={"a": 1})
    bad = ToolCall.model_validate({"name": "f", "arguments": "{bad"})
    assert replayable_arguments(good) == {"a": 1}
    assert bad.error is not None
    assert replayable_arguments(bad) == {}


@pytest.mark.parametrize(
    ("body", "extra", "found"),
    [
        ({"a": 1}, {}, {"a": 1}),
        ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
        ({"a": 1}, {"a": None, "b": None}, {"a": 1}),
        ({"a": {"x": 1, "y": {"z": 1}}}, {"a": {"y": {}}}, {"a": {"x": 1, "y": {}}}),
        ({"a": {"x": 1}}, {"a": 5}, {"a": 5}),
        ({"a": 5}, {"a": {"x": 1}}, {"a": {"x": 1}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": 1}, {"b": False, "c": 0}, {"a": 1, "b": False, "c": 0}),
    ],
    ids=["nothing", "wins", "none", "one-deep", "replaced", "by-object", "lists", "false"],
)
def test_a_callers_own_options_win(
    body: dict[str, Any], extra: dict[str, Any], found: dict[str, Any]
) -> None:
    assert merged(body, extra) == found
