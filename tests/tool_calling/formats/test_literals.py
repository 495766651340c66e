from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.tool_calling.formats.literals import Literals, loads, loads_part

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'a': [True, None, 1.5,], 'b': ()}", {"a": [True, None, 1.5], "b": []}),
        ("{'x', 'y'}", ["x", "y"]),
        ("{1: 'a', (2,): 'b'}", {"1": "a", "[2]": "b"}),
        ("'it\\'s \\x41 \\u00e9 \\U0001F600 \\q'", "it's A é 😀 \\q"),
        ("'''a'b\n'''", "a'b\n"),
        ('"line\nbreak"', "line\nbreak"),
        ("'\\ud83d\\ude00 \\ud83d'", "😀 \ufffd"),
        ("-3", -3),
        ("+.5e1", 5.0),
        (" false ", False),
        ("'a\\\nb'", "ab"),
    ],
    ids=str,
)
def test_values_that_are_not_quite_json_are_read(text: str, value: Any) -> None:
    assert loads(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1",
        "'a",
        "{'a'; 1}",
        "{'a': 1, 'b'}",
        "[1] 2",
        "word",
        "'\\xzz'",
        "'\\Uffffffff'",
        "1" * 5000,
        "1.0e9999",
        "1abc",
        "[" * 5000 + "]" * 5000,
        "__import__('os')",
        "[x for x in y]",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        Literals(text).whole()


@settings(max_examples=150, deadline=None)
@given(_JSON)
def test_json_and_python_spellings_are_read_alike(value: Any) -> None:
    assert Literals(json.dumps(value)).whole() == value
    assert Literals(json.dumps(value, ensure_ascii=False)).whole() == value
    assert loads(json.dumps(value)) == value


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="[]{}()'\",:\\x1a ", max_size=30))
def test_any_text_is_a_value_or_refused(text: str) -> None:
    for reader in (Literals(text), Literals(text, bare=True), Literals(text, loose=True)):
        with contextlib.suppress(ValueError):
            json.dumps(reader.whole())
            assert reader.at == len(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "{a:word two,b:5,c:5 apples,d:true}",
            {"a": "word two", "b": 5, "c": "5 apples", "d": True},
        ),
        ("{a:trueish,b:}", {"a": "trueish", "b": ""}),
    ],
    ids=str,
)
def test_bare_words_are_strings_where_they_may_be(text: str, value: Any) -> None:
    assert Literals(text, bare=True).whole() == value


def test_loose_quotes_end_a_string_only_where_one_can_end() -> None:
    assert Literals("['a 'b' c', 'd']", loose=True).whole() == ["a 'b' c", "d"]


def test_part_of_json_is_read() -> None:
    assert loads_part('{"a": [1, {"b": "x') == {"a": [1, {"b": "x"}]}
    assert loads_part("{nope") is None
