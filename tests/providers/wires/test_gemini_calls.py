from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.providers.wires.gemini.calls import Calls

Json = dict[str, Any]


def _whole(*fragments: Json, cut: bool = False) -> list[tuple[str, Json, bool]]:
    calls = Calls()
    for fragment in fragments:
        calls.add(fragment)
    return [(call.name, call.arguments, call.error is None) for call in calls.whole(cut=cut)]


def _begin(name: str = "write", **more: Any) -> Json:
    return {"name": name, "willContinue": True, **more}


def _go_on(*pieces: Json) -> Json:
    return {"partialArgs": list(pieces), "willContinue": True}


def _text(path: str, text: str, *, more: bool = False) -> Json:
    return {"jsonPath": path, "stringValue": text, **({"willContinue": True} if more else {})}


def _number(path: str, number: float) -> Json:
    return {"jsonPath": path, "numberValue": number}


def test_a_call_in_pieces_is_put_together() -> None:
    assert _whole(
        _begin(),
        _go_on(_text("$.path", "a", more=True)),
        _go_on(_text("$.path", ".txt", more=True), _text("$.path", "")),
        _go_on(_number("$.lines[0].n", 1), _text("$.lines[0].text", "x")),
        _go_on(_number("$.lines[1].n", 2.5)),
        _go_on({"jsonPath": "$.force", "boolValue": True}),
        _go_on({"jsonPath": "$.mode", "nullValue": "NULL_VALUE"}),
        {},
    ) == [
        (
            "write",
            {
                "path": "a.txt",
                "lines": [{"n": 1, "text": "x"}, {"n": 2.5}],
                "force": True,
                "mode": None,
            },
            True,
        )
    ]


def test_calls_in_pieces_follow_one_another_even_without_an_end() -> None:
    assert _whole(
        _begin("a"),
        _go_on(_number("$.n", 1)),
        {},
        _begin("b"),
        _go_on(_number("$.n", 2)),
        {"name": "c", "args": {"n": 3}},
    ) == [("a", {"n": 1}, True), ("b", {"n": 2}, True), ("c", {"n": 3}, True)]


def test_an_id_tells_a_call_that_goes_on_from_the_next_of_the_same_name() -> None:
    assert _whole(
        _begin("a", id="1"), _begin("a", id="1", partialArgs=[_number("$.n", 1)]), {}
    ) == [("a", {"n": 1}, True)]
    assert len(_whole(_begin("a", id="1"), _begin("a", id="2"), {})) == 2
    assert len(_whole(_begin("a"), _begin("a"), {})) == 2


def test_a_fragment_of_nothing_is_dropped() -> None:
    calls = Calls()
    assert not calls.add({})
    assert not calls.add(_go_on(_number("$.n", 1)))
    assert calls.add(_begin())
    assert not calls.add({})
    assert not calls.add(_go_on(_number("$.n", 1)))  # it has ended
    assert [call.arguments for call in calls.whole(cut=False)] == [{}]


def test_pieces_add_to_arguments_that_came_whole() -> None:
    assert _whole(_begin(args={"a": 1}), _go_on(_number("$.b", 2)), {}) == [
        ("write", {"a": 1, "b": 2}, True)
    ]


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("$.a.b", {"a": {"b": 1}}),
        ("$.a-b c", {"a-b c": 1}),
        ("$['a.b'][\"c\"]", {"a.b": {"c": 1}}),
        (r"$['it\'s']", {"it's": 1}),
        ("$['']", {"": 1}),
        ("$.a[0][0]", {"a": [[1]]}),
    ],
)
def test_a_path_leads_to_its_place(path: str, arguments: Json) -> None:
    assert _whole(_begin(), _go_on(_number(path, 1)), {}) == [("write", arguments, True)]


@pytest.mark.parametrize(
    "pieces",
    [
        [_number("a", 1)],
        [_number("$", 1)],
        [_number("$.", 1)],
        [_number("$[0]", 1)],
        [_number("$.a[1]", 1)],
        [_number("$.a[999999999]", 1)],
        [_number("$.a[0]", 1), _number("$.a[2]", 1)],
        [_number("$.a", 1), _number("$.a.b", 1)],
        [_number("$.a[0]", 1), _number("$.a.b", 1)],
        [_number("$.a[0]", 1), _number("$.a.b.c", 1)],
        [_number("$" + ".a" * 70, 1)],
        [{"jsonPath": "$.a"}],
        [{"numberValue": 1}],
        [None],
    ],
    ids=str,
)
def test_pieces_that_do_not_fit_make_a_call_that_is_never_run(pieces: list[Any]) -> None:
    ((name, arguments, good),) = _whole(_begin(), {"partialArgs": pieces, "willContinue": True}, {})
    assert (name, arguments, good) == ("write", {}, False)


def test_a_call_cut_off_at_the_limit_is_never_run() -> None:
    fragments = [_begin(), _go_on(_text("$.text", "half", more=True))]
    assert _whole(*fragments, cut=True) == [("write", {}, False)]
    assert _whole(*fragments) == [("write", {"text": "half"}, True)]


def test_a_value_over_a_text_that_went_on_replaces_it() -> None:
    pieces = [_text("$.a", "x", more=True), {**_number("$.a", 1), "willContinue": True}]
    assert _whole(_begin(), _go_on(*pieces), {}) == [("write", {"a": 1}, True)]


_VALUES = st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=4))
_OBJECTS = st.dictionaries(
    st.text("abc'\"\\ .", min_size=1, max_size=3),
    st.recursive(
        _VALUES,
        lambda inner: (
            st.lists(inner, min_size=1, max_size=3)
            | st.dictionaries(st.text("xy", min_size=1, max_size=2), inner, min_size=1, max_size=2)
        ),
        max_leaves=6,
    ),
    max_size=3,
)


def _pieces(value: Any, path: str) -> list[Json]:
    if isinstance(value, dict):
        return [
            piece
            for name, one in value.items()
            for piece in _pieces(one, f"{path}[{_quoted(name)}]")
        ]
    if isinstance(value, list):
        return [piece for at, one in enumerate(value) for piece in _pieces(one, f"{path}[{at}]")]
    if isinstance(value, str):
        return [
            *({"jsonPath": path, "stringValue": char, "willContinue": True} for char in value),
            {"jsonPath": path, "stringValue": ""},
        ]
    key = {bool: "boolValue", int: "numberValue"}.get(type(value), "nullValue")
    return [{"jsonPath": path, key: value}]


def _quoted(name: str) -> str:
    return "'" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


@settings(max_examples=150, deadline=None)
@given(_OBJECTS)
def test_any_object_survives_being_sent_in_pieces(arguments: Json) -> None:
    fragments = [_go_on(piece) for piece in _pieces(arguments, "$")]
    ((_, found, good),) = _whole(_begin(), *fragments, {})
    assert good
    assert json.dumps(found) == json.dumps(arguments)
