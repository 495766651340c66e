from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.bodies import (
    Json,
    event_of,
    fragments,
    piece,
    read_stream,
)
from victor.errors import (
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
)
from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.types import CompletionResponse, StreamChunk

# ---------------------------------------------------------------------------- streams


def test_a_stream_is_text_and_then_one_final_chunk() -> None:
    chunks, final = read_stream(
        event_of({"role": "assistant", "content": ""}, model="acme-1"),
        {"content": "Hel"},
        {"content": "lo"},
        event_of(finish="stop"),
    )
    assert [(chunk.content, chunk.is_final) for chunk in chunks] == [("Hel", False), ("lo", False)]
    assert final == StreamChunk(stop_reason="stop", is_final=True, model="acme-1")


def test_what_follows_done_is_not_read() -> None:
    stream = ChatStream(provider="acme", model="asked")
    stream.feed(event_of({"content": "x"}))
    assert stream.feed(b" [DONE] ") is None
    assert stream.feed(b'{"error": {"message": "late"}}') is None
    assert stream.feed(b"nonsense") is None
    assert stream.finish().stop_reason == "stop"


def test_done_within_text_is_text() -> None:
    chunks, final = read_stream({"content": "[DONE]"}, event_of(finish="stop"), done=False)
    assert [chunk.content for chunk in chunks] == ["[DONE]"]
    assert final.stop_reason == "stop"
    with pytest.raises(ProviderInvalidResponseError):
        ChatStream(provider="acme", model="asked").feed(b"[DONE] and more")


@pytest.mark.parametrize("done", [True, False], ids=["with done", "without done"])
def test_either_a_finish_reason_or_done_ends_a_stream(done: bool) -> None:
    _, final = read_stream(
        {"content": "x"}, *([] if done else [event_of(finish="stop")]), done=done
    )
    assert final.is_final


@pytest.mark.parametrize(
    "events",
    [
        [],
        [{"content": "x"}],
        [fragments(piece("f", "{}"))],
        [event_of({"content": "x"}, "")],
    ],
    ids=["nothing", "text", "call", "blank finish reason"],
)
def test_a_stream_that_breaks_off_is_never_an_answer(events: list[bytes | Json]) -> None:
    with pytest.raises(ProviderConnectionError, match="stream of acme ended before") as caught:
        read_stream(*events, done=False)
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
    chunks, final = read_stream({"content": "a"}, event, {"content": "b"}, event_of(finish="stop"))
    assert [chunk.content for chunk in chunks] == ["a", "b"]
    assert final.stop_reason == "stop"


def test_only_the_first_choice_is_read() -> None:
    def other(delta: Json, finish: str | None) -> bytes:
        choice = {"index": 1, "delta": delta, "finish_reason": finish}
        return json.dumps({"choices": [choice]}).encode()

    chunks, final = read_stream(
        {"content": "mine"},
        other({"content": "theirs"}, None),
        other({}, "length"),
        {"content": "!"},
        event_of(finish="stop"),
        other({"content": "late"}, "content_filter"),
    )
    assert "".join(chunk.content for chunk in chunks) == "mine!"
    assert final.stop_reason == "stop"


def test_choices_of_one_event_are_told_apart() -> None:
    def both(mine: str, theirs: str) -> bytes:
        return json.dumps(
            {"choices": [{"index": 1, "delta": {"content": theirs}}, {"delta": {"content": mine}}]}
        ).encode()

    chunks, final = read_stream(both("a", "x"), both("b", "y"), event_of(finish="stop"))
    assert [chunk.content for chunk in chunks] == ["a", "b"]
    assert final.stop_reason == "stop"


def test_a_whole_message_counts_where_no_delta_came() -> None:
    def whole(text: str) -> bytes:
        choice = {"index": 0, "message": {"content": text}, "finish_reason": "stop"}
        return json.dumps({"choices": [choice]}).encode()

    chunks, final = read_stream(whole("all of it"))
    assert [chunk.content for chunk in chunks] == ["all of it"]
    assert final.stop_reason == "stop"
    chunks, _ = read_stream({"content": "all of it"}, whole("all of it"))
    assert [chunk.content for chunk in chunks] == ["all of it"]


def test_a_second_finish_reason_replaces_the_first() -> None:
    _, final = read_stream(
        {"content": "x"}, event_of(finish="stop"), event_of({"content": ""}, "length")
    )
    assert final.stop_reason == "length"


# ---------------------------------------------------------------------------- anything

KEYS = st.sampled_from(
    ["arguments", "choices", "code", "content", "custom", "delta", "detail", "error", "errors",
     "extra_content", "finish_reason", "function", "function_call", "id", "index", "innererror",
     "input", "message", "metadata", "model", "name", "object", "parameters", "prompt_tokens",
     "raw", "reasoning_details", "recipient_name", "refusal", "signature", "status", "summary",
     "text", "thinking", "tool_calls", "tool_uses", "type", "usage", "x_groq"]
)  # fmt: skip
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
    | st.sampled_from(["²", "429", "1" * 5000, "9" * 400, "error", "text", "thinking",
                        "reasoning.text", "multi_tool_use.parallel", "{}", '{"tool_uses":[{}]}']),
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
