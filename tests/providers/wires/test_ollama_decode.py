from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.odd import blamed, odd_json
from victor.config.catalog import Vendor
from victor.errors import (
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderServerError,
)
from victor.providers.reader import StreamReader
from victor.providers.wires.ollama.wire import OllamaChat
from victor.types import CompletionResponse, StreamChunk, Usage

WIRE = OllamaChat(Vendor("acme", "http://test", wire="ollama"))
Json = dict[str, Any]
TIMES = {"total_duration": 5_000_000_000, "load_duration": 7, "eval_duration": 9}


def _line(content: object = "", *, done: object = False, **more: Any) -> Json:
    message: Json = {"role": "assistant", "content": content}
    for name in ("thinking", "tool_calls", "images"):
        if name in more:
            message[name] = more.pop(name)
    named: Json = {"model": "m-1", "created_at": "2026-01-01T00:00:00Z"}
    return {**named, "message": message, "done": done, **more}


def _call(name: str, arguments: object, **more: Any) -> Json:
    return {"function": {"name": name, "arguments": arguments}, **more}


def _read(body: object) -> CompletionResponse:
    return WIRE.decode(json.dumps(body).encode(), model="asked")


def _stream(*lines: Json | bytes) -> tuple[list[StreamChunk], StreamChunk]:
    decoder = WIRE.stream_decoder(model="asked")
    raw = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in lines]
    chunks = [chunk for data in raw if (chunk := decoder.feed(data)) is not None]
    return chunks, decoder.finish()


def test_an_answer_is_read() -> None:
    body = _line("Hello", done=True, done_reason="stop", prompt_eval_count=26, eval_count=4)
    answer = _read(body | TIMES)
    assert (answer.content, answer.stop_reason, answer.model) == ("Hello", "stop", "m-1")
    assert answer.usage == Usage(prompt_tokens=26, completion_tokens=4, total_tokens=30)
    assert answer.reasoning is None
    assert answer.tool_calls is None
    assert answer.provider_state is None
    assert answer.raw_response["load_duration"] == 7


@pytest.mark.parametrize(
    ("counts", "read"),
    [
        pytest.param(TIMES, None, id="durations are no tokens"),
        pytest.param({"eval_count": 4}, Usage(completion_tokens=4), id="the prompt was cached"),
        pytest.param({"prompt_eval_count": 4}, Usage(prompt_tokens=4), id="no answer counted"),
        pytest.param({"eval_count": "4", "prompt_eval_count": None}, None, id="no numbers"),
    ],
)
def test_what_was_not_counted_is_unknown(counts: Json, read: Usage | None) -> None:
    assert _read(_line("x", done=True, **counts)).usage == read


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("", "stop"),
        (None, "stop"),
        ("load", "other"),
        ("new", "other"),
        (3, "stop"),
    ],
)
def test_a_done_reason_becomes_a_stop_reason(reason: object, stop: str) -> None:
    assert _read(_line("x", done=True, done_reason=reason)).stop_reason == stop


@pytest.mark.parametrize(
    ("reason", "stop"), [("stop", "tool_calls"), ("load", "tool_calls"), ("length", "length")]
)
def test_calls_decide_the_stop_reason_but_for_length(reason: str, stop: str) -> None:
    body = _line(done=True, done_reason=reason, tool_calls=[_call("add", {})])
    assert _read(body).stop_reason == stop


@pytest.mark.parametrize(
    ("arguments", "read"),
    [({"a": 1}, {"a": 1}), (None, {}), ({}, {}), ('{"a": 1}', {"a": 1}), ("", {})],
)
def test_arguments_are_read(arguments: object, read: Json) -> None:
    body = _line(done=True, tool_calls=[_call("add", arguments, id="c1")])
    (call,) = _read(body).tool_calls or []
    assert (call.id, call.name, call.arguments, call.error) == ("c1", "add", read, None)


@pytest.mark.parametrize("arguments", ["{", [1], 5, "[1]"])
def test_arguments_that_are_none_are_kept_to_be_refused(arguments: object) -> None:
    (call,) = _read(_line(done=True, tool_calls=[_call("add", arguments)])).tool_calls or []
    assert call.arguments == {}
    assert call.error


def test_calls_without_ids_get_their_own() -> None:
    calls = [_call("a", {"x": 1}), _call("a", {"x": 1}), None, "x", _call("", {}), {}]
    found = _read(_line(done=True, tool_calls=calls)).tool_calls or []
    assert [call.name for call in found] == ["a", "a"]
    assert len({call.id for call in found}) == 2


def test_thinking_is_reasoning() -> None:
    answer = _read(_line("4", done=True, thinking="2+2"))
    assert (answer.content, answer.reasoning) == ("4", "2+2")


@pytest.mark.parametrize("reason", ["stop", "load"])
def test_an_empty_answer_is_an_error(reason: str) -> None:
    with pytest.raises(ProviderInvalidResponseError, match=reason):
        _read(_line(done=True, done_reason=reason, thinking="hm"))


def test_an_empty_answer_that_was_cut_at_its_length_is_none() -> None:
    answer = _read(_line(done=True, done_reason="length", thinking="hm"))
    assert (answer.content, answer.reasoning, answer.stop_reason) == ("", "hm", "length")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"error": "model 'x' not found"}, ModelNotFoundError, id="no model"),
        pytest.param({"error": {"message": "broken"}}, ProviderServerError, id="an object"),
        pytest.param(
            {"error": "the request exceeds the available context size"},
            ContextWindowExceededError,
            id="too long",
        ),
        pytest.param({"models": []}, ProviderInvalidResponseError, id="no message"),
        pytest.param({"message": "x"}, ProviderInvalidResponseError, id="a strange message"),
        pytest.param([], ProviderInvalidResponseError, id="a list"),
        pytest.param(_line("x", done=False), ProviderConnectionError, id="not done"),
    ],
)
def test_what_is_no_answer_is_an_error(body: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        _read(body)


def test_a_server_need_not_say_that_a_whole_answer_is_done() -> None:
    assert _read({"message": {"content": "x"}}).content == "x"


def test_a_stream_is_read() -> None:
    chunks, final = _stream(
        _line("", thinking="Hm"),
        _line("Hel"),
        _line("lo", images=None),
        _line("", done=True, done_reason="stop", prompt_eval_count=2, eval_count=3, **TIMES),
    )
    assert chunks == [StreamChunk("", "Hm"), StreamChunk("Hel"), StreamChunk("lo")]
    assert final == StreamChunk(
        stop_reason="stop",
        usage=Usage(prompt_tokens=2, completion_tokens=3, total_tokens=5),
        is_final=True,
        model="m-1",
    )


def test_the_last_line_may_have_text_or_no_message() -> None:
    assert _stream(_line("a"), _line("b", done=True))[0] == [StreamChunk("a"), StreamChunk("b")]
    assert _stream(_line("a"), {"done": True, "eval_count": 1})[1].stop_reason == "stop"


def test_calls_come_on_lines_of_their_own_all_with_the_same_index() -> None:
    chunks, final = _stream(
        _line(tool_calls=[{"function": {"index": 0, "name": "a", "arguments": {"x": 1}}}]),
        _line(tool_calls=[{"function": {"index": 0, "name": "b", "arguments": {"x": 2}}}]),
        _line(tool_calls=[_call("c", {}, id="c3")]),
        _line(tool_calls=[_call("c", {}, id="c3")], done=True, done_reason="stop"),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["a", "b", "c"]
    found = [(call.name, call.arguments) for call in final.tool_calls or []]
    assert found == [("a", {"x": 1}), ("b", {"x": 2}), ("c", {})]
    assert final.stop_reason == "tool_calls"


def test_a_stream_is_over_when_it_is_done_and_what_follows_is_not_read() -> None:
    decoder = WIRE.stream_decoder(model="asked")
    decoder.feed(json.dumps(_line("x")).encode())
    decoder.feed(json.dumps(_line(done=True)).encode())
    assert decoder.done
    assert decoder.feed(b"not JSON") is None
    assert decoder.finish().stop_reason == "stop"


def test_what_a_gateway_adds_is_passed_over() -> None:
    chunks, _ = _stream(b"", _line("x"), b"[DONE]", _line(done=True))
    assert chunks == [StreamChunk("x")]


def test_a_stream_that_is_not_done_is_cut_off() -> None:
    with pytest.raises(ProviderConnectionError, match="ended before"):
        _stream(_line("x", done_reason="stop"))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        pytest.param({"error": "unexpected EOF"}, ProviderServerError, id="error"),
        pytest.param(_line("x") | {"error": "broken"}, ProviderServerError, id="beside text"),
        pytest.param({"error": "model 'x' not found"}, ModelNotFoundError, id="no model"),
        pytest.param(b"<html>", ProviderInvalidResponseError, id="a web page"),
        pytest.param(b"{", ProviderInvalidResponseError, id="half a line"),
        pytest.param(b"[]", ProviderInvalidResponseError, id="a list"),
        pytest.param(b"[" * 5000, ProviderInvalidResponseError, id="deep"),
    ],
)
def test_an_error_in_a_stream_is_raised(line: Any, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        _stream(_line("x"), line)


def _through(blocks: list[bytes]) -> object:
    reader = StreamReader(WIRE, "asked")
    try:
        chunks = [chunk for block in blocks for chunk in reader.feed(block)]
        chunks += reader.close()
        return "".join(chunk.content for chunk in chunks), reader.final()
    except ProviderError as error:
        return type(error), str(error)


_WHOLE = "\r\n".join(
    json.dumps(one, ensure_ascii=False)
    for one in (_line("", thinking="h\u2028m"), _line("Grüße 🎉"), _line("!", done=True))
).encode()


@given(st.lists(st.integers(0, len(_WHOLE)), max_size=12))
@settings(max_examples=80, deadline=None)
def test_it_does_not_matter_where_the_network_cuts(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(_WHOLE)]
    blocks = [_WHOLE[places[n] : places[n + 1]] for n in range(len(places) - 1)]
    assert _through(blocks) == _through([_WHOLE])
    assert _through(blocks)[0] == "Grüße 🎉!"  # type: ignore[index] # it is an answer


def test_a_stream_is_cut_off_at_any_line_before_its_last() -> None:
    lines = _WHOLE.splitlines(keepends=True)
    for count in range(len(lines)):
        assert _through(lines[:count])[0] is ProviderConnectionError  # type: ignore[index] # failed


_NAMES = """
    message content thinking tool_calls function id name
    arguments done done_reason eval_count prompt_eval_count model role
    error
"""
_JSON = odd_json(_NAMES.split())


@given(st.lists(_JSON, max_size=4), _JSON)
@settings(max_examples=150, deadline=None)
def test_nothing_a_server_sends_is_a_crash(lines: list[Any], odd: Any) -> None:
    for read in (
        lambda: _stream(*(json.dumps(one).encode() for one in lines), _line(done=True)),
        lambda: _stream(_line(odd), _line("x", thinking=odd, tool_calls=odd), _line(done=odd)),
        lambda: _read({"message": odd, "done": True, "eval_count": odd, "done_reason": odd}),
        lambda: _read(odd),
    ):
        assert blamed(read, "acme")
