from __future__ import annotations

import json

import pytest

from tests.providers.wires.bodies import (
    Json,
    brief,
    calls_of,
    event_of,
    fragments,
    piece,
    read_stream,
    read_whole,
)

# ---------------------------------------------------------------------------- tool calls


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [
                fragments(piece("add", "", index=0, id="c1")),
                fragments(piece(None, '{"a"', index=0)),
                fragments(piece(None, ":1}", index=0)),
            ],
            [("add", {"a": 1})],
            id="pieces",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":', index=0, id="c1")),
                fragments(piece("g", '{"b":', index=1, id="c2")),
                fragments(piece(None, "2}", index=1), piece(None, "1}", index=0)),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="interleaved by index",
        ),
        pytest.param(
            [
                fragments(piece("f", "{}", index=1, id="c1")),
                fragments(piece("g", "{}", index=7, id="c2")),
            ],
            [("f", {}), ("g", {})],
            id="sparse indexes from one",
        ),
        pytest.param(
            [fragments(piece("f", '{"a":1}', id="c1"), piece("f", '{"a":2}', id="c2"))],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="without indexes in one delta",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":', id="c1")),
                fragments(piece("g", '{"b":', id="c2")),
                fragments(piece(None, "1}", id="c1")),
                fragments(piece(None, "2}", id="c2")),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="interleaved by id",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":')),
                fragments(piece(None, "1}")),
                fragments(piece("f", '{"a":2}')),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="neither index nor id",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":1}', index=0, id="c1")),
                fragments(piece("f", '{"a":2}', index=0, id="c2")),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="index 0 for all, ids differ",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":1}', index=0)),
                fragments(piece("g", '{"b":2}', index=0)),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="index 0 for all, names differ",
        ),
        pytest.param(
            [
                fragments(piece("f", "", index=0, id="c1")),
                fragments(piece("f", '{"a":', index=0, id="c1")),
                fragments(piece("f", "1}", index=0, id="c1")),
            ],
            [("f", {"a": 1})],
            id="id and name on every fragment",
        ),
        pytest.param(
            [
                fragments(piece("get_", "", index=0, id="c1")),
                fragments(piece("time", None, index=0)),
                fragments(piece("", "{}", index=0, id="")),
            ],
            [("get_time", {})],
            id="name in pieces",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":1}', index=0)),
                fragments(piece("f", '{"a":2}', index=0)),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="index 0 for all, one name, no ids",
        ),
        pytest.param(
            [
                fragments(piece("f", {"a": 1}, index=0)),
                fragments(piece("f", {"a": 2}, index=0)),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="index 0 for all, objects",
        ),
        pytest.param(
            [
                fragments(piece("f", '{"a":1}', index=0, id="c1")),
                fragments(piece("f", '{"a":2}', index=0, id="c1")),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="index and id for all",
        ),
        pytest.param(
            [
                fragments(piece("f", "{}", index=0, id="c1")),
                fragments(piece(None, '{"a":', index=0)),
                fragments(piece(None, "1}", index=0)),
            ],
            [("f", {"a": 1})],
            id="an empty object holds the place",
        ),
        pytest.param(
            [
                fragments(piece("f", "{}", index=0, id="c1")),
                fragments(piece("f", '{"a":', index=0, id="c1")),
                fragments(piece("f", "1}", index=0, id="c1")),
            ],
            [("f", {"a": 1})],
            id="an empty object holds the place, names repeated",
        ),
        pytest.param(
            [fragments(piece("f", {"a": 1}, index=0)), fragments(piece(None, {"a": 2}, index=0))],
            [("f", {"a": 2})],
            id="an object that grows",
        ),
        pytest.param([fragments(piece("f", index=0, id="c"))], [("f", {})], id="no arguments"),
        pytest.param(
            [fragments({"index": 0, "id": "c", "function": {"name": "f", "arguments": None}})],
            [("f", {})],
            id="null arguments",
        ),
        pytest.param([fragments(piece("f", "", index=0))], [("f", {})], id="empty arguments"),
        pytest.param([fragments(piece("f", " \n"))], [("f", {})], id="blank arguments"),
        pytest.param([fragments(piece("f", "null"))], [("f", {})], id="the text null"),
        pytest.param(
            [fragments(piece("f", {"a": [1]}, index=0))], [("f", {"a": [1]})], id="an object"
        ),
        pytest.param(
            [
                {"function_call": {"name": "f", "arguments": ""}},
                {"function_call": {"arguments": "{}"}},
            ],
            [("f", {})],
            id="legacy function_call",
        ),
        pytest.param(
            [{"tool_calls": [], "function_call": {"name": "f", "arguments": "{}"}}],
            [("f", {})],
            id="legacy function_call beside an empty list",
        ),
        pytest.param(
            [
                fragments({"index": 0, "id": "c", "custom": {"name": "sh", "input": ""}}),
                fragments({"index": 0, "custom": {"input": "ls "}}),
                fragments({"index": 0, "custom": {"input": "-l"}}),
            ],
            [("sh", {"input": "ls -l"})],
            id="custom tool in pieces",
        ),
        pytest.param(
            [fragments({**piece("f", '{"a":1}', index=0), "custom": {}})],
            [("f", {"a": 1})],
            id="function beside an empty custom",
        ),
        pytest.param(
            [fragments(piece("f", "{}", index=[1], id=7))], [("f", {})], id="odd index and id"
        ),
        pytest.param([fragments(piece(None, "{}", index=0, id="c"))], [], id="nameless"),
        pytest.param([fragments(piece(["f"], "{}"))], [], id="name that is no text"),
        pytest.param([{"tool_calls": ["f", None, {}], "function_call": 1}], [], id="nonsense"),
        pytest.param([{"tool_calls": None, "function_call": None}], [], id="nulls"),
    ],
)  # fmt: skip
def test_tool_calls_are_put_together(deltas: list[Json], calls: list[tuple[str, Json]]) -> None:
    assert brief(calls_of({"content": "x"}, *deltas)) == calls


@pytest.mark.parametrize(
    ("message", "calls"),
    [
        (fragments(piece("f", '{"a":1}', id="c1")), [("f", {"a": 1})]),
        (fragments(piece("f", "{}"), piece("f", "{}")), [("f", {}), ("f", {})]),
        (fragments(piece("f", {"a": 1}, id="c1", index=0)), [("f", {"a": 1})]),
        (fragments({"custom": {"name": "sh", "input": "ls"}}), [("sh", {"input": "ls"})]),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [("f", {})]),
    ],
    ids=["one", "two without ids", "object", "custom", "legacy"],
)
def test_tool_calls_of_a_whole_answer_are_read(
    message: Json, calls: list[tuple[str, Json]]
) -> None:
    found = read_whole({"content": None, **message}, "stop")
    assert brief(found.tool_calls or []) == calls
    assert found.stop_reason == "tool_calls"


@pytest.mark.parametrize(
    ("arguments", "raw", "why"),
    [
        ('{"a": 1', '{"a": 1', "not valid JSON"),
        ('{"a":1}{"a":2}', '{"a":1}{"a":2}', "not valid JSON"),
        ('{"a": NaN}', '{"a": NaN}', "not valid JSON"),
        ("[" * 100_000, "[" * 100_000, "not valid JSON"),
        ("[1]", "[1]", "a JSON list, not an object"),
        ('"text"', '"text"', "a JSON str, not an object"),
        ([1], "[1]", "a JSON list, not an object"),
        ([], "[]", "a JSON list, not an object"),
        (False, "false", "a JSON bool, not an object"),
        (5, "5", "a JSON int, not an object"),
    ],
    ids=["cut off", "two objects", "nan", "too deep", "list text", "string text", "list",
         "empty list", "false", "number"],
)  # fmt: skip
def test_arguments_that_cannot_be_used_are_kept_raw_and_never_become_empty(
    arguments: object, raw: str, why: str
) -> None:
    fragment = fragments({"index": 0, "function": {"name": "f", "arguments": arguments}})
    for call in (*calls_of(fragment), *(read_whole(fragment).tool_calls or [])):
        assert call.raw_arguments == raw
        assert call.error is not None
        assert why in call.error
        assert call.arguments == {}


def test_ids_are_made_up_where_missing_and_never_occur_twice() -> None:
    calls = read_whole(
        fragments(
            piece("f", "{}", id="same"),
            piece("f", "{}", id=""),
            piece("f", "{}", id=None),
            piece("f", "{}"),
        )
    ).tool_calls
    assert calls is not None
    assert calls[0].id == "same"
    assert len({call.id for call in calls}) == 4
    assert all(call.id for call in calls)


TWICE: list[tuple[str, list[Json]]] = [
    (
        "under another index",
        [
            fragments(piece("f", '{"a":1}', id="c", index=0)),
            fragments(piece("f", '{"a":1}', id="c", index=1)),
        ],
    ),
    (
        "under the same index",
        [
            fragments(piece("f", '{"a":1}', id="c", index=0)),
            fragments(piece("f", '{"a":1}', id="c", index=0)),
        ],
    ),
    (
        "whole after its pieces",
        [
            fragments(piece("f", '{"a"', id="c", index=0)),
            fragments(piece(None, ":1}", index=0)),
            fragments(piece("f", '{"a":1}', id="c", index=0)),
        ],
    ),
    (
        "whole without a name",
        [
            fragments(piece("f", '{"a"', id="c", index=0)),
            fragments(piece(None, ":1}", index=0)),
            fragments(piece(None, '{"a":1}', index=0)),
        ],
    ),
    (
        "without an index",
        [
            fragments(piece("f", '{"a":1}', id="c")),
            fragments(piece("f", '{"a":1}', id="c")),
        ],
    ),
]


@pytest.mark.parametrize("deltas", [one[1] for one in TWICE], ids=[one[0] for one in TWICE])
def test_a_call_that_is_sent_twice_is_one_call(deltas: list[Json]) -> None:
    (call,) = calls_of(*deltas)
    assert (call.id, call.name, call.arguments) == ("c", "f", {"a": 1})
    assert call.error is None


def test_equal_calls_under_their_own_ids_are_two_calls() -> None:
    calls = calls_of(
        fragments(piece("f", "{}", id="c1", index=0)), fragments(piece("f", "{}", id="c2", index=1))
    )
    assert [call.id for call in calls] == ["c1", "c2"]


def test_one_id_for_two_calls_is_made_two() -> None:
    calls = read_whole(
        fragments(piece("f", '{"a":1}', id="c"), piece("f", '{"a":2}', id="c"))
    ).tool_calls
    assert calls is not None
    assert [call.arguments for call in calls] == [{"a": 1}, {"a": 2}]
    assert calls[0].id == "c" != calls[1].id


def test_arguments_after_whole_ones_are_no_arguments() -> None:
    (call,) = calls_of(
        fragments(piece("f", '{"a":1}', index=0, id="c")), fragments(piece(None, '{"b"', index=0))
    )
    assert call.error is not None
    assert call.raw_arguments == '{"a":1}{"b"'


WRAPPED = {
    "tool_uses": [
        {"recipient_name": "functions.look", "parameters": {"at": "a"}},
        {"recipient_name": "find", "parameters": '{"text":"b"}'},
        {"recipient_name": "functions.look"},
        {"parameters": {}},
        "odd",
    ]
}


@pytest.mark.parametrize("text", [True, False], ids=["text", "object"])
def test_calls_in_openais_wrapper_are_taken_out(text: bool) -> None:
    arguments = json.dumps(WRAPPED) if text else WRAPPED
    calls = read_whole(fragments(piece("multi_tool_use.parallel", arguments, id="c"))).tool_calls
    assert calls is not None
    assert [(call.id, call.name, call.arguments) for call in calls] == [
        ("c_0", "look", {"at": "a"}),
        ("c_1", "find", {"text": "b"}),
        ("c_2", "look", {}),
    ]


def test_odd_arguments_in_the_wrapper_are_refused() -> None:
    uses = {"tool_uses": [{"recipient_name": "functions.look", "parameters": [1]}]}
    (call,) = calls_of(fragments(piece("multi_tool_use.parallel", json.dumps(uses))))
    assert (call.name, call.raw_arguments) == ("look", "[1]")
    assert call.error is not None


@pytest.mark.parametrize("arguments", ["{}", '{"tool_uses":[]}', '{"tool_uses":{}}', "[", "[]"])
def test_an_odd_wrapper_stays_a_call_that_nobody_knows(arguments: str) -> None:
    (call,) = calls_of(fragments(piece("multi_tool_use.parallel", arguments)))
    assert call.name == "multi_tool_use.parallel"


def test_a_call_under_way_shows_as_a_sign_of_life() -> None:
    chunks, final = read_stream(
        fragments(piece("f", "", index=0, id="c")),
        fragments(piece(None, '{"a":', index=0)),
        fragments(piece(None, "1}", index=0)),
        event_of(finish="tool_calls"),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["f", '{"a":', "1}"]
    assert all(chunk.tool_calls is None for chunk in chunks)
    assert final.is_final
    assert [call.arguments for call in final.tool_calls or []] == [{"a": 1}]
