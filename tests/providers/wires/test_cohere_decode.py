from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.odd import blamed, odd_json
from victor.config.catalog import Vendor
from victor.errors import (
    ContentFilterError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
)
from victor.providers.request import ChatRequest
from victor.providers.wires.cohere.wire import CohereChat
from victor.types import CompletionResponse, Message, StreamChunk, Usage

WIRE = CohereChat(Vendor("acme", "http://test", wire="cohere"))
Json = dict[str, Any]


def _read(message: Any = None, finish: object = "COMPLETE", **more: Any) -> CompletionResponse:
    body = {"id": "r1", "message": message, "finish_reason": finish, **more}
    return WIRE.decode(json.dumps(body).encode(), model="asked")


def _text(text: str) -> Json:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


def _call(name: str, arguments: object, call_id: object = "c1") -> Json:
    return {
        "id": call_id,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def _delta(kind: str, message: Json | None = None, index: int | None = None) -> Json:
    event: Json = {"type": kind}
    if index is not None:
        event["index"] = index
    if message is not None:
        event["delta"] = {"message": message}
    return event


def _said(text: str, index: int = 0) -> Json:
    return _delta("content-delta", {"content": {"text": text}}, index)


def _end(finish: object = "COMPLETE", **more: Any) -> Json:
    return {"type": "message-end", "delta": {"finish_reason": finish, **more}}


def _stream(*events: Json | bytes) -> tuple[list[StreamChunk], StreamChunk]:
    decoder = WIRE.stream_decoder(model="asked")
    raw = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in events]
    chunks = [chunk for data in raw if (chunk := decoder.feed(data)) is not None]
    return chunks, decoder.finish()


def test_an_answer_is_read() -> None:
    tokens = {"input_tokens": 91.0, "output_tokens": 11}
    billed = {"input_tokens": 25, "output_tokens": 9}
    answer = _read(_text("Hello"), usage={"tokens": tokens, "billed_units": billed})
    assert (answer.content, answer.stop_reason, answer.model) == ("Hello", "stop", "asked")
    assert answer.reasoning is None
    assert answer.tool_calls is None
    assert answer.provider_state is None
    assert answer.raw_response["id"] == "r1"
    assert answer.usage == Usage(prompt_tokens=91, completion_tokens=11, total_tokens=102)


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        pytest.param(None, None, id="none"),
        pytest.param({"billed_units": {"input_tokens": 3}}, None, id="billed units alone"),
        pytest.param({"tokens": {"input_tokens": "3"}}, None, id="text"),
        pytest.param([1], None, id="a list"),
        pytest.param(
            {"tokens": {"input_tokens": 3}}, Usage(prompt_tokens=3), id="prompt tokens alone"
        ),
        pytest.param({"cached_tokens": 2}, Usage(cached_tokens=2), id="cached tokens alone"),
        pytest.param(
            {"tokens": {"input_tokens": 5, "output_tokens": 0}, "cached_tokens": 4},
            Usage(prompt_tokens=5, completion_tokens=0, total_tokens=5, cached_tokens=4),
            id="cached",
        ),
    ],
)
def test_tokens_are_counted_and_billed_units_are_not(usage: Any, read: Usage | None) -> None:
    assert _read(_text("x"), usage=usage).usage == read


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("COMPLETE", "stop"),
        ("complete", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("ERROR_LIMIT", "length"),
        ("ERROR_TOXIC", "content_filter"),
        ("ERROR", "error"),
        ("TIMEOUT", "error"),
        ("USER_CANCEL", "other"),
        (None, "stop"),
        (7, "stop"),
    ],
)
def test_a_finish_reason_becomes_a_stop_reason(finish: object, stop: str) -> None:
    assert _read(_text("x"), finish).stop_reason == stop


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("TOOL_CALL", "tool_calls"), ("COMPLETE", "tool_calls"), ("MAX_TOKENS", "length")],
)
def test_calls_decide_the_stop_reason_but_for_real_ends(finish: str, stop: str) -> None:
    answer = _read({"tool_calls": [_call("add", "{}")]}, finish)
    assert answer.stop_reason == stop


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"a":1}', {"a": 1}),
        ("null", {}),
        ("", {}),
        (None, {}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_arguments_are_read(arguments: object, read: Json) -> None:
    (call,) = _read({"tool_calls": [_call("add", arguments)]}, "TOOL_CALL").tool_calls or []
    assert (call.id, call.name, call.arguments, call.error) == ("c1", "add", read, None)


@pytest.mark.parametrize("arguments", ['{"a":', "[1]", [1], 5])
def test_arguments_that_are_none_are_kept_to_be_refused(arguments: object) -> None:
    (call,) = _read({"tool_calls": [_call("add", arguments)]}, "TOOL_CALL").tool_calls or []
    assert call.arguments == {}
    assert call.error


def test_several_calls_get_ids_of_their_own() -> None:
    calls = [_call("a", "{}"), _call("b", "{}"), _call("c", "{}", None), _call("", "{}")]
    found = _read({"tool_calls": calls}, "TOOL_CALL").tool_calls or []
    assert [call.name for call in found] == ["a", "b", "c"]
    assert len({call.id for call in found}) == 3


def test_text_and_thinking_are_told_apart() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm"},
        {"type": "text", "text": "A"},
        {"type": "text", "text": "B"},
        {"type": "image"},
        None,
    ]
    answer = _read({"content": content})
    assert (answer.content, answer.reasoning) == ("AB", "Hm")
    assert answer.provider_state == {"cohere": {"provider": "acme", "tool_plan": ""}}


def test_content_may_be_plain_text() -> None:
    assert _read({"content": "Hi"}).content == "Hi"


def test_a_plan_is_reasoning_and_goes_back_as_a_plan() -> None:
    content = [{"type": "thinking", "thinking": "Hm. "}]
    message = {"content": content, "tool_plan": "I will add.", "tool_calls": [_call("add", "{}")]}
    answer = _read(message, "TOOL_CALL")
    assert answer.reasoning == "Hm. I will add."
    stored = Message.model_validate_json(answer.to_message().model_dump_json())
    result = Message(role="tool", content="3", tool_call_id="c1", name="add")
    history = [Message(role="user", content="Add"), stored, result]
    sent = json.loads(WIRE.encode(ChatRequest(history, "m")).body)["messages"][1]
    assert sent == {**message, "role": "assistant"}


@pytest.mark.parametrize(
    ("finish", "error"),
    [
        ("COMPLETE", ProviderInvalidResponseError),
        ("ERROR_TOXIC", ContentFilterError),
        ("ERROR", ProviderServerError),
        ("TIMEOUT", ProviderTimeoutError),
    ],
)
def test_an_empty_answer_is_an_error(finish: str, error: type[ProviderError]) -> None:
    with pytest.raises(error) as caught:
        _read(_text(""), finish)
    assert caught.value.provider == "acme"
    assert caught.value.model == "asked"


def test_an_empty_answer_that_was_cut_at_its_length_is_none() -> None:
    assert _read(_text(""), "MAX_TOKENS").stop_reason == "length"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        pytest.param({"message": "invalid api token"}, ProviderError, id="message"),
        pytest.param({"error": "invalid api key"}, ProviderAuthError, id="error"),
        pytest.param({"detail": "no"}, ProviderError, id="detail"),
        pytest.param({"id": "1"}, ProviderInvalidResponseError, id="no message"),
        pytest.param({"message": ["x"]}, ProviderInvalidResponseError, id="a strange message"),
        pytest.param([], ProviderInvalidResponseError, id="a list"),
        pytest.param("x", ProviderInvalidResponseError, id="text"),
    ],
)
def test_what_is_no_answer_is_an_error(body: object, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        WIRE.decode(json.dumps(body).encode(), model="asked")


def test_a_web_page_is_named() -> None:
    with pytest.raises(ProviderInvalidResponseError, match="base_url"):
        WIRE.decode(b"<html></html>", model="asked")


def test_a_stream_of_text_is_read() -> None:
    usage = {"tokens": {"input_tokens": 2, "output_tokens": 3}, "cached_tokens": 1}
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
    chunks, final = _stream(
        {"id": "r", "type": "message-start", "delta": {"message": start}},
        _delta("content-start", {"content": {"type": "thinking", "thinking": ""}}, 0),
        _delta("content-delta", {"content": {"thinking": "Hm"}}, 0),
        _delta("content-end", index=0),
        _delta("content-start", {"content": {"type": "text", "text": ""}}, 1),
        _said("Hel", 1),
        _said("lo", 1),
        _delta("citation-start", {"citations": {"start": 0}}, 0),
        _delta("citation-end", index=0),
        _delta("content-end", index=1),
        _end(usage=usage),
    )
    assert [(chunk.content, chunk.reasoning) for chunk in chunks] == [
        ("", "Hm"),
        ("Hel", ""),
        ("lo", ""),
    ]
    assert final == StreamChunk(
        stop_reason="stop",
        usage=Usage(prompt_tokens=2, completion_tokens=3, total_tokens=5, cached_tokens=1),
        is_final=True,
        provider_state={"cohere": {"provider": "acme", "tool_plan": ""}},
        model="asked",
    )


def test_a_stream_of_calls_is_read() -> None:
    def call(index: int, **fields: Any) -> Json:
        return _delta("tool-call-delta", {"tool_calls": fields}, index)

    chunks, final = _stream(
        _delta("tool-plan-delta", {"tool_plan": "I "}),
        _delta("tool-plan-delta", {"tool_plan": "add."}),
        _delta("tool-call-start", {"tool_calls": _call("add", "")}, 0),
        call(0, function={"arguments": '{"a"'}),
        call(0, function={"arguments": ":1}"}),
        _delta("tool-call-end", index=0),
        _delta("tool-call-start", {"tool_calls": _call("now", "", "c2")}, 1),
        _delta("tool-call-end", index=1),
        _end("TOOL_CALL"),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["", "", "add", '{"a"', ":1}", "now"]
    assert "".join(chunk.reasoning for chunk in chunks) == "I add."
    found = [(call.id, call.name, call.arguments) for call in final.tool_calls or []]
    assert found == [("c1", "add", {"a": 1}), ("c2", "now", {})]
    assert final.stop_reason == "tool_calls"
    assert final.provider_state == {"cohere": {"provider": "acme", "tool_plan": "I add."}}


def test_fragments_find_their_call_without_an_index_and_another_id_begins_another() -> None:
    _, final = _stream(
        _delta("tool-call-start", {"tool_calls": _call("a", '{"x":', "c1")}),
        _delta("tool-call-delta", {"tool_calls": {"function": {"arguments": "1}"}}}),
        _delta("tool-call-start", {"tool_calls": _call("b", "{}", "c2")}, 0),
        _delta("tool-call-start", {"tool_calls": _call("c", "{}", "c3")}, 0),
        _delta("tool-call-start", {"tool_calls": [_call("d", "{}", ""), _call("e", "{}", "")]}, 0),
        _end("TOOL_CALL"),
    )
    found = [(call.name, call.arguments) for call in final.tool_calls or []]
    assert found == [("a", {"x": 1}), ("b", {}), ("c", {}), ("d", {}), ("e", {})]


def test_a_stream_is_over_at_its_end_and_what_follows_is_not_read() -> None:
    decoder = WIRE.stream_decoder(model="asked")
    decoder.feed(json.dumps(_said("x")).encode())
    decoder.feed(json.dumps(_end()).encode())
    assert decoder.done
    assert decoder.feed(b"not JSON") is None
    assert decoder.finish().stop_reason == "stop"


def test_events_are_known_by_what_they_hold() -> None:
    chunks, final = _stream(
        {"delta": {"message": {"content": {"text": "x"}}}},
        b"  ",
        {"delta": {"finish_reason": "MAX_TOKENS"}},
    )
    assert chunks == [StreamChunk("x")]
    assert final.stop_reason == "length"


def test_done_ends_a_stream_too() -> None:
    assert _stream(_said("x"), b"[DONE]")[1].stop_reason == "stop"


def test_a_stream_without_its_end_is_cut_off() -> None:
    with pytest.raises(ProviderConnectionError, match="ended before"):
        _stream(_said("x"), _delta("content-end", index=0))


@pytest.mark.parametrize(
    ("event", "error"),
    [
        pytest.param({"message": "too many requests"}, ProviderError, id="message"),
        pytest.param({"type": "error", "error": {"message": "x"}}, ProviderError, id="error"),
        pytest.param(
            {"error": {"type": "rate_limit_exceeded", "message": "x"}},
            ProviderRateLimitError,
            id="with a type",
        ),
        pytest.param({**_said("x"), "error": "x"}, ProviderError, id="beside text"),
        pytest.param(_end("ERROR", error="it broke"), ProviderServerError, id="at the end"),
        pytest.param(
            _end("ERROR", error="your request resulted in an invalid tool generation"),
            ProviderInvalidResponseError,
            id="a call that the model got wrong",
        ),
        pytest.param(_end("ERROR"), ProviderServerError, id="without a word"),
        pytest.param(b"<html>", ProviderInvalidResponseError, id="a web page"),
        pytest.param(b"[1]", ProviderInvalidResponseError, id="a list"),
        pytest.param(b"\xff", ProviderInvalidResponseError, id="no UTF-8"),
        pytest.param(b"[" * 5000, ProviderInvalidResponseError, id="deep"),
    ],
)
def test_an_error_in_a_stream_is_raised(event: Any, error: type[ProviderError]) -> None:
    with pytest.raises(error):
        _stream(event)


_NAMES = """
    type delta message content text thinking tool_calls
    index tool_plan function id name arguments finish_reason
    usage tokens
"""
_JSON = odd_json(_NAMES.split())


@given(st.lists(_JSON, max_size=4), _JSON)
@settings(max_examples=150, deadline=None)
def test_nothing_a_server_sends_is_a_crash(events: list[Any], odd: Any) -> None:
    for read in (
        lambda: _stream(*(json.dumps(one).encode() for one in events)),
        lambda: _stream(_delta("x", odd), {**_said(""), "delta": odd}, _end(odd, usage=odd)),
        lambda: _read(odd, odd, usage=odd),
        lambda: _read({"content": odd, "tool_calls": odd, "tool_plan": odd}),
    ):
        assert blamed(read, "acme")
