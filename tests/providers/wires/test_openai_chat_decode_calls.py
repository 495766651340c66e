from __future__ import annotations

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
from victor.providers.wires.openai_chat.decode import ChatStream

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


def test_a_call_that_comes_twice_runs_under_two_ids() -> None:
    again = piece("f", '{"a":1}', id="same")
    stream = ChatStream(provider="acme", model="asked")
    stream.feed(event_of(fragments({**again, "index": 0})))
    stream.feed(event_of(fragments({**again, "index": 1})))
    stream.feed(event_of(finish="tool_calls"))
    calls = stream.finish().tool_calls or []
    assert [call.arguments for call in calls] == [{"a": 1}, {"a": 1}]
    assert calls[0].id == "same"
    assert calls[1].id not in {"", "same"}


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
