from __future__ import annotations

import json
from typing import Any

import pytest

from victor.config.catalog import Vendor
from victor.errors import (
    ContentFilterError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderServerError,
)
from victor.providers.reader import StreamReader
from victor.providers.wires.anthropic.stream import AnthropicStream
from victor.providers.wires.anthropic.wire import AnthropicMessages
from victor.types import StreamChunk, Usage

Json = dict[str, Any]


def _start(**message: Any) -> Json:
    return {"type": "message_start", "message": {"content": [], "model": "claude-1", **message}}


def _begin(index: Any, kind: str, **block: Any) -> Json:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **block}}


def _delta(index: Any, kind: str, **delta: Any) -> Json:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def _text(text: Any, index: Any = 0) -> Json:
    return _delta(index, "text_delta", text=text)


def _json(text: Any, index: Any = 0) -> Json:
    return _delta(index, "input_json_delta", partial_json=text)


def _end(stop: Any = "end_turn", usage: Any = None, **delta: Any) -> Json:
    return {"type": "message_delta", "delta": {"stop_reason": stop, **delta}, "usage": usage}


STOP = {"type": "message_stop"}


def _read(*events: Json | bytes) -> tuple[list[StreamChunk], StreamChunk]:
    stream = AnthropicStream(provider="acme", model="asked")
    raw = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
    chunks = [chunk for data in raw if (chunk := stream.feed(data)) is not None]
    return chunks, stream.finish()


def _final(*events: Json) -> StreamChunk:
    return _read(*events)[1]


def _blocks(final: StreamChunk) -> Any:
    assert final.provider_state is not None
    return final.provider_state["anthropic"]["blocks"]


# ---------------------------------------------------------------------------- text and thinking


def test_a_stream_is_text_and_then_one_final_chunk() -> None:
    chunks, final = _read(
        _start(), _begin(0, "text", text=""), _text("Hel"), _text("lo"), _end(), STOP
    )
    assert chunks == [StreamChunk("Hel"), StreamChunk("lo")]
    assert final == StreamChunk(stop_reason="stop", is_final=True, model="claude-1")


def test_thinking_is_reasoning_and_its_signature_is_kept() -> None:
    chunks, final = _read(
        _start(),
        _begin(0, "thinking", thinking="", signature=""),
        _delta(0, "thinking_delta", thinking="H"),
        _delta(0, "thinking_delta", thinking="m"),
        _delta(0, "signature_delta", signature="sig=="),
        _begin(1, "redacted_thinking", data="x/y"),
        _begin(2, "text", text=""),
        _text("Hi", 2),
        _end(),
        STOP,
    )
    assert chunks == [StreamChunk("", "H"), StreamChunk("", "m"), StreamChunk("Hi")]
    assert _blocks(final) == [
        {"type": "thinking", "thinking": "Hm", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "x/y"},
        {"type": "text", "text": "Hi"},
    ]


def test_a_start_may_have_the_first_text() -> None:
    chunks, final = _read(
        _start(),
        _begin(0, "thinking", thinking="Hm"),
        _begin(1, "text", text="He"),
        _text("y", 1),
        _end(),
    )
    assert chunks == [StreamChunk("", "Hm"), StreamChunk("He"), StreamChunk("y")]
    assert _blocks(final)[1] == {"type": "text", "text": "Hey"}


def test_citations_are_kept_and_are_no_text() -> None:
    first, second = {"cited_text": "a"}, {"cited_text": "b"}
    chunks, final = _read(
        _start(),
        _begin(0, "text", text="", citations=[]),
        _delta(0, "citations_delta", citation=first),
        _text("It is."),
        _delta(0, "citations_delta", citation=second),
        _begin(1, "text"),
        _delta(1, "citations_delta", citation=first),
        _text("So."),
        _end(),
    )
    assert "".join(chunk.content for chunk in chunks) == "It is.So."
    assert _blocks(final)[0]["citations"] == [first, second]
    assert _blocks(final)[1]["citations"] == [first]


def test_a_block_whose_start_was_lost_begins_with_its_first_piece() -> None:
    chunks, final = _read(
        _delta(0, "thinking_delta", thinking="Hm"),
        _text("Hi", 1),
        _text("!", 1),
        _delta(1, "thinking_delta", thinking="?"),
        _text(".", None),
        _text(".", [1]),
        _end(),
    )
    assert "".join(chunk.content for chunk in chunks) == "Hi!.."
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm?"
    assert [block["type"] for block in _blocks(final)] == ["thinking", "text", "thinking", "text"]


def test_an_index_that_begins_again_is_another_block() -> None:
    _, final = _read(
        _start(),
        _begin(0, "text", text=""),
        _text("Hi"),
        _begin(0, "tool_use", id="t", name="add"),
        _json('{"a": 1}'),
        _end("tool_use"),
    )
    (call,) = final.tool_calls or []
    assert call.arguments == {"a": 1}


# ---------------------------------------------------------------------------- calls


def test_calls_are_put_together_from_their_pieces() -> None:
    chunks, final = _read(
        _start(),
        _begin(0, "tool_use", id="t1", name="add", input={}),
        _json(""),
        _json('{"a"'),
        _begin(1, "tool_use", id="t2", name="sub", input={}),
        _json('{"b": 2}', 1),
        _json(": 1}"),
        _end("tool_use"),
        STOP,
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["add", '{"a"', "sub", '{"b": 2}', ": 1}"]
    calls = [(call.id, call.name, call.arguments) for call in final.tool_calls or []]
    assert calls == [("t1", "add", {"a": 1}), ("t2", "sub", {"b": 2})]
    assert final.stop_reason == "tool_calls"
    assert final.provider_state is None


@pytest.mark.parametrize(
    ("given", "pieces", "arguments", "error"),
    [
        ({}, [""], {}, False),
        ({}, [], {}, False),
        (None, [" "], {}, False),
        ({"a": 1}, [""], {"a": 1}, False),
        ({"a": 1}, ['{"a": 2}'], {"a": 2}, False),
        ({}, ['{"a": '], {}, True),
        ({}, ["[1]"], {}, True),
        ({}, [None, 3], {}, False),
    ],
    ids=["placeholder", "no pieces", "blank", "whole", "pieces win", "broken", "list", "odd"],
)
def test_arguments_are_in_the_start_or_in_the_pieces(
    given: Any, pieces: list[Any], arguments: Json, error: bool
) -> None:
    begin = _begin(0, "tool_use", id="t", name="add", input=given)
    (call,) = _final(_start(), begin, *map(_json, pieces), _end("tool_use")).tool_calls or []
    assert call.arguments == arguments
    assert (call.error is not None) is error


def test_a_call_cut_off_by_the_cap_is_kept_with_its_error() -> None:
    begin = _begin(0, "tool_use", id="t", name="add", input={})
    final = _final(_start(), begin, _json('{"a'), _end("max_tokens"), STOP)
    assert final.stop_reason == "length"
    (call,) = final.tool_calls or []
    assert (call.raw_arguments, call.error is None) == ('{"a', False)


def test_tools_of_the_server_are_kept_and_nobody_runs_them() -> None:
    chunks, final = _read(
        _start(),
        _begin(0, "server_tool_use", id="s", name="web_search", input={}),
        _json('{"q": 1}'),
        _begin(1, "web_search_tool_result", tool_use_id="s", content=[]),
        _begin(2, "server_tool_use", id="s2", name="web_fetch", input={"url": "u"}),
        _begin(3, "text", text=""),
        _text("Hi", 3),
        _end(container={"id": "c1"}),
        STOP,
    )
    assert chunks[0].tool_call_delta == "web_search"
    assert final.tool_calls is None
    assert _blocks(final) == [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "server_tool_use", "id": "s2", "name": "web_fetch", "input": {"url": "u"}},
        {"type": "text", "text": "Hi"},
    ]
    assert final.provider_state is not None
    assert final.provider_state["anthropic"]["container"] == "c1"


def test_deltas_that_are_not_read_are_kept() -> None:
    final = _final(
        _start(),
        _begin(0, "compaction", content=None),
        _delta(0, "compaction_delta", content="So far.", encrypted_content=None),
        _begin(1, "text", text="Hi"),
        _end(),
    )
    assert _blocks(final)[0] == {"type": "compaction", "content": "So far."}


def test_a_message_may_start_with_blocks() -> None:
    use = {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}
    content = [use, {"type": "text", "text": "Hi"}, None]
    chunks, final = _read(_start(content=content, stop_reason="tool_use"))
    assert chunks == [StreamChunk("Hi", tool_call_delta="add")]
    assert [call.arguments for call in final.tool_calls or []] == [{"a": 1}]


# ---------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("first", "last", "usage"),
    [
        (
            {"input_tokens": 10, "output_tokens": 1},
            {"output_tokens": 7},
            Usage(prompt_tokens=10, completion_tokens=7, total_tokens=17),
        ),
        (
            {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1},
            {"input_tokens": 30, "cache_read_input_tokens": 0, "output_tokens": 7},
            Usage(prompt_tokens=30, completion_tokens=7, total_tokens=37, cached_tokens=0),
        ),
        (
            {"input_tokens": 10, "output_tokens": 1},
            {"input_tokens": 0, "output_tokens": 7},
            Usage(prompt_tokens=10, completion_tokens=7, total_tokens=17),
        ),
        (
            {"input_tokens": 0, "output_tokens": 0},
            {"input_tokens": 10, "output_tokens": 7},
            Usage(prompt_tokens=10, completion_tokens=7, total_tokens=17),
        ),
        (
            {"input_tokens": 10, "output_tokens": 1},
            {"input_tokens": None, "output_tokens": 7},
            Usage(prompt_tokens=10, completion_tokens=7, total_tokens=17),
        ),
        (None, {"output_tokens": 7}, Usage(completion_tokens=7)),
        (None, None, None),
    ],
    ids=["once", "revised", "zero at the end", "zero at the start", "null", "no start", "none"],
)
def test_later_figures_replace_earlier_ones(first: Any, last: Any, usage: Usage | None) -> None:
    final = _final(_start(usage=first), _begin(0, "text", text="Hi"), _end(usage=last), STOP)
    assert final.usage == usage


# ---------------------------------------------------------------------------- ends and errors


@pytest.mark.parametrize("ends", [[_end()], [STOP], [_end(), STOP]], ids=["reason", "stop", "both"])
def test_a_reason_or_the_last_event_ends_a_stream(ends: list[Json]) -> None:
    assert _final(_start(), _begin(0, "text", text="Hi"), *ends).stop_reason == "stop"


@pytest.mark.parametrize(
    "events",
    [[], [_start()], [_start(), _begin(0, "text", text="Hi")], [_start(), _text("Hi"), _end(None)]],
    ids=["nothing", "start", "text", "null reason"],
)
def test_a_stream_that_breaks_off_is_never_an_answer(events: list[Json]) -> None:
    with pytest.raises(ProviderConnectionError, match="stream of acme ended before"):
        _read(*events)


def test_what_follows_the_last_event_is_not_read() -> None:
    stream = AnthropicStream(provider="acme", model="asked")
    for event in (_text("Hi"), STOP):
        stream.feed(json.dumps(event).encode())
    assert stream.done
    assert stream.feed(b"nonsense") is None
    assert stream.finish().stop_reason == "stop"


@pytest.mark.parametrize(
    "event",
    [
        b"",
        b" ",
        b"[DONE]",
        b'{"type": "ping"}',
        b'{"type": "of_tomorrow", "delta": {"type": "x"}}',
        b'{"type": "content_block_stop", "index": 0}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ""}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": null}',
        b"{}",
    ],
    ids=["empty", "blank", "done", "ping", "unknown", "block stop", "no text", "no thinking",
         "null delta", "nothing"],
)  # fmt: skip
def test_events_without_content_are_heartbeats(event: bytes) -> None:
    chunks, final = _read(_start(), _text("a"), event, _text("b"), _end())
    assert [chunk.content for chunk in chunks] == ["a", "b"]
    assert final.stop_reason == "stop"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "error": {"type": "overloaded_error"}}, ProviderOverloadedError),
        ({"type": "error", "error": {"type": "api_error"}}, ProviderServerError),
        ({"detail": "failed to decode"}, ProviderServerError),
        ({"error": "lost"}, ProviderServerError),
    ],
    ids=["overloaded", "api", "detail", "bare"],
)
def test_errors_in_the_stream_are_typed(event: Json, kind: type[ProviderError]) -> None:
    with pytest.raises(kind, match="in the stream") as caught:
        _read(_start(), _text("Hi"), event)
    assert caught.value.model == "asked"


def test_a_message_begun_twice_is_an_error_once_anything_came() -> None:
    assert _final(_start(), _start(), _text("Hi"), _end()).stop_reason == "stop"
    with pytest.raises(ProviderInvalidResponseError, match="second message"):
        _read(_start(), _begin(0, "text", text=""), _start())


def test_a_refusal_says_why_and_is_an_answer_once_text_came() -> None:
    details = {"type": "refusal", "category": "bio"}
    with pytest.raises(ContentFilterError, match="bio"):
        _read(_start(), _end("refusal", stop_details=details), STOP)
    assert _final(_start(), _text("I"), _end("refusal")).stop_reason == "content_filter"


@pytest.mark.parametrize(
    "event", [b"nonsense", b"[1]", b'"text"', b"5", b"null", b'{"type": "ping"', b'"\\ud800"']
)
def test_what_is_no_json_object_is_a_typed_error(event: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError):
        _read(_start(), event)


def test_a_server_that_cannot_stream_may_answer_whole() -> None:
    wire = AnthropicMessages(Vendor("acme", None, wire="anthropic"))
    reader = StreamReader(wire, "asked")
    body = {
        "type": "message",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
    }
    assert reader.feed(json.dumps(body).encode()) == []
    assert reader.close() == [StreamChunk("Hi")]
    assert reader.final().stop_reason == "stop"
