from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import ProviderInvalidResponseError
from victor.providers.reading import (
    count,
    cut_off,
    mapping,
    not_ours,
    parse_object,
    unique_calls,
    vectors,
    word,
)

WHO = {"provider": "acme", "model": "m"}


@pytest.mark.parametrize("value", [None, 5, 1.5, True, [], "text", {"a": 1}], ids=repr)
def test_small_readers_believe_nothing(value: Any) -> None:
    assert mapping(value) == (value if isinstance(value, dict) else {})
    assert word(value) == (value if isinstance(value, str) else "")


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5),
        (0, 0),
        (5.0, 5),
        (5.9, 5),
        (2**80, 2**80),
        (float("inf"), None),
        (float("nan"), None),
        (True, None),
        ("5", None),
        (None, None),
        ([5], None),
    ],
    ids=repr,
)
def test_a_count_is_a_number_or_unknown(value: Any, number: int | None) -> None:
    assert count(value) == number


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b' {"a": 1}\r\n', {"a": 1}),
        (b'[{"a": 1}, 5]', {"a": 1}),
        (b'{"a": "\\ud83d"}', {"a": "\ufffd"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "\\\\ud83d \\udc00"}', {"a": "\\ud83d \ufffd"}),
    ],
    ids=["object", "spaces", "in-an-array", "half", "whole", "escaped-backslash"],
)
def test_an_object_is_parsed(body: bytes, value: Any) -> None:
    assert parse_object(body, **WHO) == value


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the answer of acme is not valid JSON"),
        (b"{", "the answer of acme is not valid JSON"),
        (b'{"a": "\\ud83d"', "the answer of acme is not valid JSON"),
        (b"\xff", "the answer of acme is not valid JSON"),
        (b"[" * 100_000, "the answer of acme is not valid JSON"),
        (b"<!DOCTYPE html>", "the answer of acme is a web page; is base_url right"),
        (b"[]", "the answer of acme is a JSON list, not an object"),
        (b"[5]", "the answer of acme is a JSON list, not an object"),
        (b"null", "the answer of acme is a JSON NoneType, not an object"),
        (b'"x"', "the answer of acme is a JSON str, not an object"),
    ],
    ids=["empty", "cut", "cut-and-half", "binary", "deep", "page", "array", "numbers", "null",
         "str"],
)  # fmt: skip
def test_what_is_no_object_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ProviderInvalidResponseError, match=message) as caught:
        parse_object(body, **WHO)
    assert (caught.value.provider, caught.value.model) == ("acme", "m")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\ud8dc0 ', max_size=60).map(str.encode))
def test_any_bytes_are_an_object_or_one_typed_error(body: bytes) -> None:
    try:
        found: object = parse_object(body, **WHO)
    except ProviderInvalidResponseError as error:
        found = error
    assert isinstance(found, (dict, ProviderInvalidResponseError))


def test_errors_name_provider_and_model() -> None:
    for error in (not_ours("is odd", **WHO), cut_off(**WHO)):
        assert (error.provider, error.model) == ("acme", "m")
        assert "acme" in str(error)
    assert cut_off(**WHO).retryable


def test_calls_get_ids_of_their_own_and_nameless_ones_are_dropped() -> None:
    calls = unique_calls(
        [("a", "f", '{"x": 1}'), ("a", "g", {"y": 2}), ("", "h", None), ("b", "", "{}"),
         ("c", "i", "  "), ("d", "j", "[1]")]
    )  # fmt: skip
    assert [call.name for call in calls] == ["f", "g", "h", "i", "j"]
    assert [call.arguments for call in calls] == [{"x": 1}, {"y": 2}, {}, {}, {}]
    assert (calls[0].id, calls[3].id, calls[4].id) == ("a", "c", "d")
    assert len({call.id for call in calls}) == 5
    assert all(call.id for call in calls)
    assert [call.error is None for call in calls] == [True, True, True, True, False]
    assert calls[4].raw_arguments == "[1]"


def test_vectors_are_lists_of_numbers() -> None:
    assert vectors([[1, 2.5], [3.0]], 2, **WHO) == [[1.0, 2.5], [3.0]]
    assert vectors([], 0, **WHO) == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "has no vectors for 1 texts"),
        ([], "has 0 vectors for 1 texts"),
        ([[1.0], [2.0]], "has 2 vectors for 1 texts"),
        ([[]], "has a vector that is none"),
        (["abc"], "has a vector that is none"),
        ([["a"]], "has a vector that is none"),
        ([[None]], "has a vector that is none"),
        ([[10**400]], "has a vector that is none"),
        ([[float("nan")]], "has a vector that is none"),
    ],
    ids=["none", "too-few", "too-many", "empty", "text", "texts", "null", "huge", "nan"],
)
def test_what_are_no_vectors_is_refused(rows: Any, message: str) -> None:
    with pytest.raises(ProviderInvalidResponseError, match=message):
        vectors(rows, 1, **WHO)
