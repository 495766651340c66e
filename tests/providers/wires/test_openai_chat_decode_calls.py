from __future__ import annotations

import pytest

from tests.providers.wires.bodies import (
    Json,
    brief,
    calls_of,
    event,
    fragment,
    fragments,
    stream,
    whole,
)
from victor.providers.wires.openai_chat.decode import ChatStream

# ---------------------------------------------------------------------------- tool calls


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [
                fragments(fragment("add", "", index=0, id="c1")),
                fragments(fragment(None, '{"a"', index=0)),
                fragments(fragment(None, ":1}", index=0)),
            ],
            [("add", {"a": 1})],
            id="pieces",
        ),
        pytest.param(
            [
                fragments(fragment("f", '{"a":', index=0, id="c1")),
                fragments(fragment("g", '{"b":', index=1, id="c2")),
                fragments(fragment(None, "2}", index=1), fragment(None, "1}", index=0)),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="interleaved by index",
        ),
        pytest.param(
            [
                fragments(fragment("f", "{}", index=1, id="c1")),
                fragments(fragment("g", "{}", index=7, id="c2")),
            ],
            [("f", {}), ("g", {})],
            id="sparse indexes from one",
        ),
        pytest.param(
            [fragments(fragment("f", '{"a":1}', id="c1"), fragment("f", '{"a":2}', id="c2"))],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="without indexes in one delta",
        ),
        pytest.param(
            [
                fragments(fragment("f", '{"a":', id="c1")),
                fragments(fragment("g", '{"b":', id="c2")),
                fragments(fragment(None, "1}", id="c1")),
                fragments(fragment(None, "2}", id="c2")),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="interleaved by id",
        ),
        pytest.param(
            [
                fragments(fragment("f", '{"a":')),
                fragments(fragment(None, "1}")),
                fragments(fragment("f", '{"a":2}')),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="neither index nor id",
        ),
        pytest.param(
            [
                fragments(fragment("f", '{"a":1}', index=0, id="c1")),
                fragments(fragment("f", '{"a":2}', index=0, id="c2")),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="index 0 for all, ids differ",
        ),
        pytest.param(
            [
                fragments(fragment("f", '{"a":1}', index=0)),
                fragments(fragment("g", '{"b":2}', index=0)),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="index 0 for all, names differ",
        ),
        pytest.param(
            [
                fragments(fragment("f", "", index=0, id="c1")),
                fragments(fragment("f", '{"a":', index=0, id="c1")),
                fragments(fragment("f", "1}", index=0, id="c1")),
            ],
            [("f", {"a": 1})],
            id="id and name on every fragment",
        ),
        pytest.param(
            [
                fragments(fragment("get_", "", index=0, id="c1")),
                fragments(fragment("time", None, index=0)),
                fragments(fragment("", "{}", index=0, id="")),
            ],
            [("get_time", {})],
            id="name in pieces",
        ),
        pytest.param([fragments(fragment("f", index=0, id="c"))], [("f", {})], id="no arguments"),
        pytest.param(
            [fragments({"index": 0, "id": "c", "function": {"name": "f", "arguments": None}})],
            [("f", {})],
            id="null arguments",
        ),
        pytest.param([fragments(fragment("f", "", index=0))], [("f", {})], id="empty arguments"),
        pytest.param([fragments(fragment("f", " \n"))], [("f", {})], id="blank arguments"),
        pytest.param([fragments(fragment("f", "null"))], [("f", {})], id="the text null"),
        pytest.param(
            [fragments(fragment("f", {"a": [1]}, index=0))], [("f", {"a": [1]})], id="an object"
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
            [fragments({**fragment("f", '{"a":1}', index=0), "custom": {}})],
            [("f", {"a": 1})],
            id="function beside an empty custom",
        ),
        pytest.param(
            [fragments(fragment("f", "{}", index=[1], id=7))], [("f", {})], id="odd index and id"
        ),
        pytest.param([fragments(fragment(None, "{}", index=0, id="c"))], [], id="nameless"),
        pytest.param([fragments(fragment(["f"], "{}"))], [], id="name that is no text"),
        pytest.param([{"tool_calls": ["f", None, {}], "function_call": 1}], [], id="nonsense"),
        pytest.param([{"tool_calls": None, "function_call": None}], [], id="nulls"),
    ],
)  # fmt: skip
def test_tool_calls_are_put_together(deltas: list[Json], calls: list[tuple[str, Json]]) -> None:
    assert brief(calls_of({"content": "x"}, *deltas)) == calls


@pytest.mark.parametrize(
    ("message", "calls"),
    [
        (fragments(fragment("f", '{"a":1}', id="c1")), [("f", {"a": 1})]),
        (fragments(fragment("f", "{}"), fragment("f", "{}")), [("f", {}), ("f", {})]),
        (fragments(fragment("f", {"a": 1}, id="c1", index=0)), [("f", {"a": 1})]),
        (fragments({"custom": {"name": "sh", "input": "ls"}}), [("sh", {"input": "ls"})]),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [("f", {})]),
    ],
    ids=["one", "two without ids", "object", "custom", "legacy"],
)
def test_tool_calls_of_a_whole_answer_are_read(
    message: Json, calls: list[tuple[str, Json]]
) -> None:
    found = whole({"content": None, **message}, "stop")
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
    for call in (*calls_of(fragment), *(whole(fragment).tool_calls or [])):
        assert call.raw_arguments == raw
        assert call.error is not None
        assert why in call.error
        assert call.arguments == {}


def test_ids_are_made_up_where_missing_and_never_occur_twice() -> None:
    calls = whole(
        fragments(
            fragment("f", "{}", id="same"),
            fragment("f", "{}", id=""),
            fragment("f", "{}", id=None),
            fragment("f", "{}"),
        )
    ).tool_calls
    assert calls is not None
    assert calls[0].id == "same"
    assert len({call.id for call in calls}) == 4
    assert all(call.id for call in calls)


def test_a_call_that_comes_twice_runs_under_two_ids() -> None:
    again = fragment("f", '{"a":1}', id="same")
    stream = ChatStream(provider="acme", model="asked")
    stream.feed(event(fragments({**again, "index": 0})))
    stream.feed(event(fragments({**again, "index": 1})))
    stream.feed(event(finish="tool_calls"))
    calls = stream.finish().tool_calls or []
    assert [call.arguments for call in calls] == [{"a": 1}, {"a": 1}]
    assert calls[0].id == "same"
    assert calls[1].id not in {"", "same"}


def test_a_call_under_way_shows_as_a_sign_of_life() -> None:
    chunks, final = stream(
        fragments(fragment("f", "", index=0, id="c")),
        fragments(fragment(None, '{"a":', index=0)),
        fragments(fragment(None, "1}", index=0)),
        event(finish="tool_calls"),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["f", '{"a":', "1}"]
    assert all(chunk.tool_calls is None for chunk in chunks)
    assert final.is_final
    assert [call.arguments for call in final.tool_calls or []] == [{"a": 1}]
