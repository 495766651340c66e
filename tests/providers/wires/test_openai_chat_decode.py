from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderServerError,
)
from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.types import CompletionResponse, StreamChunk, ToolCall, Usage

Json = dict[str, Any]


def _whole(message: Json | None = None, finish: object = "stop", **more: Any) -> CompletionResponse:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = {"choices": [choice], **more}
    return decode(json.dumps(body).encode(), provider="acme", model="asked")


def _event(delta: Json | None = None, finish: object = None, **more: Any) -> bytes:
    choice = {"index": 0, "delta": {} if delta is None else delta, "finish_reason": finish}
    return json.dumps({"choices": [choice], **more}).encode()


def _stream(*events: bytes | Json, done: bool = True) -> tuple[list[StreamChunk], StreamChunk]:
    """Feed events (a mapping is the delta of one) and return the chunks and the final one."""
    stream = ChatStream(provider="acme", model="asked")
    raw = [one if isinstance(one, bytes) else _event(one) for one in events]
    chunks = [chunk for data in raw if (chunk := stream.feed(data)) is not None]
    if done:
        assert stream.feed(b"[DONE]") is None
        assert stream.done
    return chunks, stream.finish()


def _calls(*deltas: Json) -> list[ToolCall]:
    _, final = _stream(*deltas, _event(finish="tool_calls"))
    return final.tool_calls or []


def _fragments(*fragments: Json) -> Json:
    return {"tool_calls": list(fragments)}


def _fragment(name: object = None, arguments: object = None, **more: object) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"function": {key: one for key, one in function.items() if one is not None}, **more}


def _brief(calls: list[ToolCall]) -> list[tuple[str, Json]]:
    assert all(call.error is None and call.raw_arguments is None for call in calls)
    return [(call.name, call.arguments) for call in calls]


# ---------------------------------------------------------------------------- whole answers


def test_a_whole_answer_has_everything_the_body_said() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    found = _whole({"role": "assistant", "content": "Hi"}, model="acme-1", usage=usage)
    assert found.content == "Hi"
    assert found.role == "assistant"
    assert found.stop_reason == "stop"
    assert found.model == "acme-1"
    assert found.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
    assert found.tool_calls is None
    assert found.reasoning is None
    assert found.provider_state is None
    assert found.raw_response["choices"][0]["message"]["content"] == "Hi"
    assert found == CompletionResponse.model_validate(found.model_dump())


MESSAGES = [
    pytest.param({"content": "a\u2028b [DONE]"}, "a\u2028b [DONE]", "", id="plain text"),
    pytest.param({"content": "x", "reasoning_content": "r"}, "x", "r", id="reasoning_content"),
    pytest.param({"content": "x", "reasoning": "r"}, "x", "r", id="reasoning"),
    pytest.param(
        {"content": "x", "reasoning_content": "r", "reasoning": "r"}, "x", "r", id="both the same"
    ),
    pytest.param(
        {"content": "x", "reasoning_content": None, "reasoning": 5}, "x", "", id="no reasoning"
    ),
    pytest.param(
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                {"type": "thinking", "thinking": "!"},
                {"type": "text", "text": "a"},
                {"type": "reference", "ids": [1]},
                "odd",
                {"type": "text", "text": "b"},
            ]
        },
        "ab",
        "hm!",
        id="list of parts",
    ),
    pytest.param(
        {"content": "x", "reasoning_details": [{"text": "d"}, {"summary": "s"}, {"data": 1}, 2]},
        "x",
        "ds",
        id="reasoning details alone",
    ),
    pytest.param(
        {"content": "x", "reasoning": "r", "reasoning_details": [{"text": "r"}]},
        "x",
        "r",
        id="reasoning details repeat the reasoning",
    ),
    pytest.param({"content": 5, "refusal": "No."}, "No.", "", id="refusal"),
]


@pytest.mark.parametrize(("message", "text", "reasoning"), MESSAGES)
def test_text_and_thinking_are_found_wherever_they_are(
    message: Json, text: str, reasoning: str
) -> None:
    found = _whole(message)
    assert (found.content, found.reasoning or "") == (text, reasoning)
    chunks, _ = _stream(message, _event(finish="stop"))
    assert ("".join(chunk.content for chunk in chunks)) == text
    assert ("".join(chunk.reasoning for chunk in chunks)) == reasoning


def test_reasoning_details_are_kept_for_the_next_request() -> None:
    details: list[Json] = [{"type": "reasoning.encrypted", "data": "x"}]
    kept = {"openai-chat": {"reasoning_details": [*details, *details]}}
    message = {"content": "ok", "reasoning_details": [*details, *details]}
    assert _whole(message).provider_state == kept
    _, final = _stream(
        {"reasoning_details": details},
        {"content": "ok", "reasoning_details": details},
        _event(finish="stop"),
    )
    assert final.provider_state == kept


def test_a_refusal_is_an_answer_that_says_so() -> None:
    assert _whole({"content": None, "refusal": "I won't."}).stop_reason == "content_filter"
    _, final = _stream({"refusal": "I "}, {"refusal": "won't."}, _event(finish="stop"))
    assert final.stop_reason == "content_filter"


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("abort", "other"),
        ("", "stop"),
        (None, "stop"),
        (1, "stop"),
    ],
    ids=repr,
)
def test_a_finish_reason_becomes_a_stop_reason(raw: object, stop: str) -> None:
    assert _whole({"content": "x"}, raw).stop_reason == stop
    _, final = _stream({"content": "x"}, _event(finish=raw))
    assert final.stop_reason == stop


@pytest.mark.parametrize(
    ("raw", "stop"), [("stop", "tool_calls"), ("eos", "tool_calls"), ("length", "length")]
)
def test_calls_make_it_tool_calls_unless_the_answer_was_cut(raw: str, stop: str) -> None:
    delta = _fragments(_fragment("f", "{}", index=0, id="c"))
    assert _whole(delta, raw).stop_reason == stop
    _, final = _stream(delta, _event(finish=raw))
    assert final.stop_reason == stop


USAGES = [
    pytest.param({"usage": None}, None, id="null"),
    pytest.param({"usage": {}}, None, id="empty"),
    pytest.param({}, None, id="absent"),
    pytest.param({"usage": [1]}, None, id="not an object"),
    pytest.param({"usage": {"prompt_tokens": 7}}, Usage(prompt_tokens=7), id="a part is unknown"),
    pytest.param(
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        Usage(prompt_tokens=0, completion_tokens=0, total_tokens=0),
        id="zeros are known",
    ),
    pytest.param(
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 4,
                "total_tokens": 14,
                "prompt_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 1},
                "completion_tokens_details": {"reasoning_tokens": 3},
            }
        },
        Usage(
            prompt_tokens=10,
            completion_tokens=4,
            total_tokens=14,
            cached_tokens=8,
            cache_write_tokens=1,
            reasoning_tokens=3,
        ),
        id="details",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "prompt_tokens_details": None, "queue_time": 0.5}},
        Usage(prompt_tokens=5),
        id="null details and unknown fields",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 5, "prompt_cache_hit_tokens": 2}},
        Usage(prompt_tokens=5, cached_tokens=2),
        id="deepseek's cache",
    ),
    pytest.param(
        {"usage": {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 31}},
        Usage(prompt_tokens=10, completion_tokens=21, total_tokens=31),
        id="thinking is only in the total",
    ),
    pytest.param(
        {"x_groq": {"usage": {"prompt_tokens": 6}}}, Usage(prompt_tokens=6), id="under x_groq"
    ),
    pytest.param({"x_groq": {"id": "r"}}, None, id="x_groq without usage"),
    pytest.param(
        {"usage": {"prompt_tokens": 6.0, "completion_tokens": True, "total_tokens": "9"}},
        Usage(prompt_tokens=6),
        id="odd types",
    ),
    pytest.param({"usage": {"prompt_tokens": float("inf")}}, Usage(), id="infinite"),
]


@pytest.mark.parametrize(("more", "usage"), USAGES)
def test_usage_is_read_and_what_is_unknown_stays_none(more: Json, usage: Usage | None) -> None:
    assert _whole({"content": "x"}, **more).usage == usage
    _, final = _stream({"content": "x"}, _event(finish="stop"), json.dumps(more).encode())
    assert final.usage == usage
    _, final = _stream({"content": "x"}, _event({"content": "y"}, "stop", **more))
    assert final.usage == usage


def test_repeated_usage_is_cumulative_and_never_added_up() -> None:
    def usage(count: int) -> Json:
        return {"usage": {"prompt_tokens": 2, "completion_tokens": count}}

    _, final = _stream(
        _event({"content": "a"}, **usage(1)),
        _event({"content": "b"}, **usage(2)),
        _event(finish="stop", **usage(3)),
        json.dumps({"choices": [], **usage(3)}).encode(),
        json.dumps({"choices": [], "usage": None}).encode(),
    )
    assert final.usage == Usage(prompt_tokens=2, completion_tokens=3)


# ---------------------------------------------------------------------------- tool calls


@pytest.mark.parametrize(
    ("deltas", "calls"),
    [
        pytest.param(
            [
                _fragments(_fragment("add", "", index=0, id="c1")),
                _fragments(_fragment(None, '{"a"', index=0)),
                _fragments(_fragment(None, ":1}", index=0)),
            ],
            [("add", {"a": 1})],
            id="pieces",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", '{"a":', index=0, id="c1")),
                _fragments(_fragment("g", '{"b":', index=1, id="c2")),
                _fragments(_fragment(None, "2}", index=1), _fragment(None, "1}", index=0)),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="interleaved by index",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", "{}", index=1, id="c1")),
                _fragments(_fragment("g", "{}", index=7, id="c2")),
            ],
            [("f", {}), ("g", {})],
            id="sparse indexes from one",
        ),
        pytest.param(
            [_fragments(_fragment("f", '{"a":1}', id="c1"), _fragment("f", '{"a":2}', id="c2"))],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="without indexes in one delta",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", '{"a":', id="c1")),
                _fragments(_fragment("g", '{"b":', id="c2")),
                _fragments(_fragment(None, "1}", id="c1")),
                _fragments(_fragment(None, "2}", id="c2")),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="interleaved by id",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", '{"a":')),
                _fragments(_fragment(None, "1}")),
                _fragments(_fragment("f", '{"a":2}')),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="neither index nor id",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", '{"a":1}', index=0, id="c1")),
                _fragments(_fragment("f", '{"a":2}', index=0, id="c2")),
            ],
            [("f", {"a": 1}), ("f", {"a": 2})],
            id="index 0 for all, ids differ",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", '{"a":1}', index=0)),
                _fragments(_fragment("g", '{"b":2}', index=0)),
            ],
            [("f", {"a": 1}), ("g", {"b": 2})],
            id="index 0 for all, names differ",
        ),
        pytest.param(
            [
                _fragments(_fragment("f", "", index=0, id="c1")),
                _fragments(_fragment("f", '{"a":', index=0, id="c1")),
                _fragments(_fragment("f", "1}", index=0, id="c1")),
            ],
            [("f", {"a": 1})],
            id="id and name on every fragment",
        ),
        pytest.param(
            [
                _fragments(_fragment("get_", "", index=0, id="c1")),
                _fragments(_fragment("time", None, index=0)),
                _fragments(_fragment("", "{}", index=0, id="")),
            ],
            [("get_time", {})],
            id="name in pieces",
        ),
        pytest.param([_fragments(_fragment("f", index=0, id="c"))], [("f", {})], id="no arguments"),
        pytest.param(
            [_fragments({"index": 0, "id": "c", "function": {"name": "f", "arguments": None}})],
            [("f", {})],
            id="null arguments",
        ),
        pytest.param([_fragments(_fragment("f", "", index=0))], [("f", {})], id="empty arguments"),
        pytest.param([_fragments(_fragment("f", " \n"))], [("f", {})], id="blank arguments"),
        pytest.param([_fragments(_fragment("f", "null"))], [("f", {})], id="the text null"),
        pytest.param(
            [_fragments(_fragment("f", {"a": [1]}, index=0))], [("f", {"a": [1]})], id="an object"
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
                _fragments({"index": 0, "id": "c", "custom": {"name": "sh", "input": ""}}),
                _fragments({"index": 0, "custom": {"input": "ls "}}),
                _fragments({"index": 0, "custom": {"input": "-l"}}),
            ],
            [("sh", {"input": "ls -l"})],
            id="custom tool in pieces",
        ),
        pytest.param(
            [_fragments({**_fragment("f", '{"a":1}', index=0), "custom": {}})],
            [("f", {"a": 1})],
            id="function beside an empty custom",
        ),
        pytest.param(
            [_fragments(_fragment("f", "{}", index=[1], id=7))], [("f", {})], id="odd index and id"
        ),
        pytest.param([_fragments(_fragment(None, "{}", index=0, id="c"))], [], id="nameless"),
        pytest.param([_fragments(_fragment(["f"], "{}"))], [], id="name that is no text"),
        pytest.param([{"tool_calls": ["f", None, {}], "function_call": 1}], [], id="nonsense"),
        pytest.param([{"tool_calls": None, "function_call": None}], [], id="nulls"),
    ],
)  # fmt: skip
def test_tool_calls_are_put_together(deltas: list[Json], calls: list[tuple[str, Json]]) -> None:
    assert _brief(_calls({"content": "x"}, *deltas)) == calls


@pytest.mark.parametrize(
    ("message", "calls"),
    [
        (_fragments(_fragment("f", '{"a":1}', id="c1")), [("f", {"a": 1})]),
        (_fragments(_fragment("f", "{}"), _fragment("f", "{}")), [("f", {}), ("f", {})]),
        (_fragments(_fragment("f", {"a": 1}, id="c1", index=0)), [("f", {"a": 1})]),
        (_fragments({"custom": {"name": "sh", "input": "ls"}}), [("sh", {"input": "ls"})]),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [("f", {})]),
    ],
    ids=["one", "two without ids", "object", "custom", "legacy"],
)
def test_tool_calls_of_a_whole_answer_are_read(
    message: Json, calls: list[tuple[str, Json]]
) -> None:
    found = _whole({"content": None, **message}, "stop")
    assert _brief(found.tool_calls or []) == calls
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
    fragment = _fragments({"index": 0, "function": {"name": "f", "arguments": arguments}})
    for call in (*_calls(fragment), *(_whole(fragment).tool_calls or [])):
        assert call.raw_arguments == raw
        assert call.error is not None
        assert why in call.error
        assert call.arguments == {}


def test_ids_are_made_up_where_missing_and_never_occur_twice() -> None:
    calls = _whole(
        _fragments(
            _fragment("f", "{}", id="same"),
            _fragment("f", "{}", id=""),
            _fragment("f", "{}", id=None),
            _fragment("f", "{}"),
        )
    ).tool_calls
    assert calls is not None
    assert calls[0].id == "same"
    assert len({call.id for call in calls}) == 4
    assert all(call.id for call in calls)


def test_a_call_that_comes_twice_runs_under_two_ids() -> None:
    again = _fragment("f", '{"a":1}', id="same")
    stream = ChatStream(provider="acme", model="asked")
    stream.feed(_event(_fragments({**again, "index": 0})))
    stream.feed(_event(_fragments({**again, "index": 1})))
    stream.feed(_event(finish="tool_calls"))
    calls = stream.finish().tool_calls or []
    assert [call.arguments for call in calls] == [{"a": 1}, {"a": 1}]
    assert calls[0].id == "same"
    assert calls[1].id not in {"", "same"}


def test_a_call_under_way_shows_as_a_sign_of_life() -> None:
    chunks, final = _stream(
        _fragments(_fragment("f", "", index=0, id="c")),
        _fragments(_fragment(None, '{"a":', index=0)),
        _fragments(_fragment(None, "1}", index=0)),
        _event(finish="tool_calls"),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["f", '{"a":', "1}"]
    assert all(chunk.tool_calls is None for chunk in chunks)
    assert final.is_final
    assert [call.arguments for call in final.tool_calls or []] == [{"a": 1}]


# ---------------------------------------------------------------------------- streams


def test_a_stream_is_text_and_then_one_final_chunk() -> None:
    chunks, final = _stream(
        _event({"role": "assistant", "content": ""}, model="acme-1"),
        {"content": "Hel"},
        {"content": "lo"},
        _event(finish="stop"),
    )
    assert [(chunk.content, chunk.is_final) for chunk in chunks] == [("Hel", False), ("lo", False)]
    assert final == StreamChunk(stop_reason="stop", is_final=True, model="acme-1")


def test_what_follows_done_is_not_read() -> None:
    stream = ChatStream(provider="acme", model="asked")
    stream.feed(_event({"content": "x"}))
    assert stream.feed(b" [DONE] ") is None
    assert stream.feed(b'{"error": {"message": "late"}}') is None
    assert stream.feed(b"nonsense") is None
    assert stream.finish().stop_reason == "stop"


def test_done_within_text_is_text() -> None:
    chunks, final = _stream({"content": "[DONE]"}, _event(finish="stop"), done=False)
    assert [chunk.content for chunk in chunks] == ["[DONE]"]
    assert final.stop_reason == "stop"
    with pytest.raises(ProviderInvalidResponseError):
        ChatStream(provider="acme", model="asked").feed(b"[DONE] and more")


@pytest.mark.parametrize("done", [True, False], ids=["with done", "without done"])
def test_either_a_finish_reason_or_done_ends_a_stream(done: bool) -> None:
    _, final = _stream({"content": "x"}, *([] if done else [_event(finish="stop")]), done=done)
    assert final.is_final


@pytest.mark.parametrize(
    "events",
    [[], [{"content": "x"}], [_fragments(_fragment("f", "{}"))], [_event({"content": "x"}, "")]],
    ids=["nothing", "text", "call", "blank finish reason"],
)
def test_a_stream_that_breaks_off_is_never_an_answer(events: list[bytes | Json]) -> None:
    with pytest.raises(ProviderConnectionError, match="stream of acme ended before") as caught:
        _stream(*events, done=False)
    assert caught.value.model == "asked"


@pytest.mark.parametrize(
    "event",
    [
        json.dumps({"choices": [], "prompt_filter_results": [{}]}).encode(),
        json.dumps({"id": "x", "object": "chat.completion.chunk"}).encode(),
        json.dumps({"choices": None}).encode(),
        json.dumps({"choices": [None]}).encode(),
        json.dumps({"choices": [{"delta": None}]}).encode(),
        json.dumps({"choices": [{"delta": "text"}]}).encode(),
        json.dumps({"choices": [{"delta": {"content": None}}]}).encode(),
        json.dumps({"choices": [{"delta": {"content": "", "obfuscation": "xx"}}]}).encode(),
        json.dumps({"error": None, "choices": []}).encode(),
        json.dumps({"error": {}, "choices": []}).encode(),
        b"",
        b"  ",
    ],
    ids=["filter results", "no choices", "null choices", "null choice", "null delta", "odd delta",
         "null content", "unknown key", "null error", "empty error", "empty data", "blank data"],
)  # fmt: skip
def test_events_without_content_are_heartbeats(event: bytes) -> None:
    chunks, final = _stream({"content": "a"}, event, {"content": "b"}, _event(finish="stop"))
    assert [chunk.content for chunk in chunks] == ["a", "b"]
    assert final.stop_reason == "stop"


def test_only_the_first_choice_is_read() -> None:
    def other(delta: Json, finish: str | None) -> bytes:
        choice = {"index": 1, "delta": delta, "finish_reason": finish}
        return json.dumps({"choices": [choice]}).encode()

    chunks, final = _stream(
        {"content": "mine"},
        other({"content": "theirs"}, None),
        other({}, "length"),
        {"content": "!"},
        _event(finish="stop"),
        other({"content": "late"}, "content_filter"),
    )
    assert "".join(chunk.content for chunk in chunks) == "mine!"
    assert final.stop_reason == "stop"


def test_a_second_finish_reason_replaces_the_first() -> None:
    _, final = _stream({"content": "x"}, _event(finish="stop"), _event({"content": ""}, "length"))
    assert final.stop_reason == "length"


# ---------------------------------------------------------------------------- no answers


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        ({"error": {"message": "boom"}}, ProviderServerError, "boom"),
        ({"error": "boom"}, ProviderServerError, "boom"),
        ({"error": {"code": 503, "message": "full"}}, ProviderOverloadedError, "full"),
        ({"error": {"type": "overloaded_error"}}, ProviderOverloadedError, "no details"),
        (
            {"error": {"code": "content_filter", "status": 400, "message": "filtered"}},
            ContentFilterError,
            "filtered",
        ),
        (
            {"error": {"code": 400, "message": "Token limit reached"}, "choices": [{"delta": {}}]},
            ContextWindowExceededError,
            "Token limit reached",
        ),
        ([{"error": {"code": 404, "message": "no model x"}}], ModelNotFoundError, "no model x"),
        ({"object": "error", "message": "bad", "code": 503}, ProviderOverloadedError, "bad"),
        ({"detail": "failed to decode"}, ProviderServerError, "failed to decode"),
    ],
    ids=["object", "string", "code", "type", "azure filter", "beside choices", "array", "vllm",
         "detail"],
)  # fmt: skip
def test_an_error_with_a_success_status_is_that_error(
    error: object, kind: type[ProviderError], says: str
) -> None:
    body = json.dumps(error).encode()
    with pytest.raises(ProviderError, match="acme sent an error in a 200 answer") as caught:
        decode(body, provider="acme", model="asked")
    assert type(caught.value) is kind
    assert says in str(caught.value)
    stream = ChatStream(provider="acme", model="asked")
    stream.feed(_event({"content": "x"}))
    with pytest.raises(ProviderError, match="acme sent an error in the stream") as in_stream:
        stream.feed(body)
    assert type(in_stream.value) is kind
    assert in_stream.value.model == "asked"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"<!DOCTYPE html><html>Sign in</html>", "is a web page; is base_url right?"),
        (b"  <html>", "is a web page; is base_url right?"),
        (b"", "is not valid JSON"),
        (b'{"choices": [', "is not valid JSON"),
        (b'{"choices": "\xff"}', "is not valid JSON"),
        (b"[" * 200_000, "is not valid JSON"),
        (b"[]", "is a JSON list, not an object"),
        (b'"hello"', "is a JSON str, not an object"),
        (b"null", "is a JSON NoneType, not an object"),
    ],
    ids=["page", "page after blanks", "nothing", "cut off", "no utf-8", "too deep", "list",
         "string", "null"],
)  # fmt: skip
def test_a_body_that_is_not_the_apis_says_what_it_is(body: bytes, says: str) -> None:
    with pytest.raises(ProviderInvalidResponseError) as caught:
        decode(body, provider="acme", model="asked")
    assert says in str(caught.value)
    if body:
        with pytest.raises(ProviderInvalidResponseError) as in_stream:
            ChatStream(provider="acme", model="asked").feed(body)
        assert says in str(in_stream.value)


@pytest.mark.parametrize("body", [b'{"message": "hello"}', b'{"choices": {}}'])
def test_an_object_without_choices_is_shown_in_part(body: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="has no choices") as caught:
        decode(body + b" " * 5000, provider="acme", model="asked")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("finish", "kind"),
    [
        ("stop", ProviderInvalidResponseError),
        (None, ProviderInvalidResponseError),
        ("tool_calls", ProviderInvalidResponseError),
        ("content_filter", ContentFilterError),
        ("error", ProviderError),
    ],
    ids=repr,
)
def test_an_empty_answer_is_an_error(finish: object, kind: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as caught:
        _whole({"content": None}, finish)
    assert type(caught.value) is kind
    with pytest.raises(ProviderError) as in_stream:
        _stream({"content": ""}, _event({"reasoning": "only thoughts"}, finish))
    assert type(in_stream.value) is kind
    assert caught.value.provider == in_stream.value.provider == "acme"


@pytest.mark.parametrize("choices", [[], [None], ["x"], [{}], [{"message": None}]], ids=repr)
def test_choices_without_a_message_are_an_empty_answer(choices: list[object]) -> None:
    body = json.dumps({"choices": choices}).encode()
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        decode(body, provider="acme", model="asked")


def test_an_answer_cut_before_its_first_word_is_an_answer() -> None:
    found = _whole({"content": ""}, "length")
    assert (found.content, found.stop_reason) == ("", "length")
    _, final = _stream(_event({"reasoning": "long thoughts"}, "length"))
    assert final.stop_reason == "length"


def test_an_answer_filtered_after_some_text_keeps_the_text() -> None:
    found = _whole({"content": "So"}, "content_filter")
    assert (found.content, found.stop_reason) == ("So", "content_filter")


def test_a_model_name_that_is_no_text_is_not_taken_over() -> None:
    assert _whole({"content": "x"}, model={"id": 1}).model == "asked"
    _, final = _stream(_event({"content": "x"}, "stop", model=7))
    assert final.model == "asked"


# ---------------------------------------------------------------------------- anything

KEYS = st.sampled_from(
    ["arguments", "choices", "code", "content", "custom", "delta", "detail", "error", "errors",
     "finish_reason", "function", "function_call", "id", "index", "innererror", "input", "message",
     "metadata", "model", "name", "object", "prompt_tokens", "raw", "reasoning_details", "refusal",
     "status", "text", "thinking", "tool_calls", "type", "usage", "x_groq"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["²", "429", "1" * 5000, "9" * 400, "error", "text", "thinking"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
MESSAGE = st.dictionaries(KEYS, ANYTHING, max_size=4)
CHOICES = st.lists(
    st.fixed_dictionaries(
        {}, optional={"message": MESSAGE, "delta": MESSAGE, "finish_reason": ANYTHING}
    ),
    max_size=2,
)
BODY = st.one_of(
    ANYTHING,
    st.fixed_dictionaries({"choices": CHOICES}, optional={"usage": ANYTHING, "model": ANYTHING}),
    st.fixed_dictionaries({"error": ANYTHING}, optional={"code": ANYTHING}),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(BODY, max_size=4))
def test_any_json_gives_an_answer_or_a_typed_error(values: list[object]) -> None:
    bodies = [json.dumps(value).encode() for value in values]
    for body in bodies:
        try:
            found = decode(body, provider="acme", model="asked")
        except ProviderError:
            continue
        assert found == CompletionResponse.model_validate(found.model_dump())
    stream = ChatStream(provider="acme", model="asked")
    try:
        for body in bodies:
            chunk = stream.feed(body)
            assert chunk is None or chunk.content or chunk.reasoning or chunk.tool_call_delta
        final = stream.finish()
    except ProviderError:
        return
    assert final.is_final
    assert final.stop_reason
