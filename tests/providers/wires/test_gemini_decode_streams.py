from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.wires.gemini_bodies import (
    COUNTS,
    SIGNED,
    WIRE,
    brief_of,
    decode,
    replayed,
    stream,
    value_of,
)
from victor.errors import (
    ContentFilterError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderRateLimitError,
)
from victor.types import StreamChunk


def test_a_stream_is_chunks_and_one_final_chunk() -> None:
    chunks, final = stream(
        value_of({"text": "hm", "thought": True}, finish=None, usageMetadata=COUNTS),
        value_of({"text": "Hel"}, finish=None, usageMetadata=COUNTS),
        value_of({"text": "lo"}, finish=None),
        value_of(
            {"text": "!"},
            usageMetadata={**COUNTS, "candidatesTokenCount": 5},
            modelVersion="gemini-x",
        ),
    )
    assert [(one.content, one.reasoning, one.is_final) for one in chunks] == [
        ("", "hm", False),
        ("Hel", "", False),
        ("lo", "", False),
        ("!", "", False),
    ]
    assert final.is_final
    assert (final.content, final.stop_reason, final.model) == ("", "stop", "gemini-x")
    assert final.usage is not None
    assert (final.usage.prompt_tokens, final.usage.completion_tokens) == (7, 5)
    assert final.provider_state is None


def test_counts_of_an_earlier_event_are_not_lost_to_one_without() -> None:
    _, final = stream(
        value_of({"text": "Hi"}, finish=None, usageMetadata=COUNTS),
        value_of({"text": "!"}, usageMetadata={"trafficType": "ON_DEMAND"}),
    )
    assert final.usage is not None
    assert final.usage.total_tokens == 9


def test_a_call_in_a_stream_shows_a_sign_of_life() -> None:
    chunks, final = stream(
        value_of({"functionCall": {"name": "add", "args": {"a": 1}}}, finish=None), value_of()
    )
    assert [(one.content, one.tool_call_delta) for one in chunks] == [("", "add")]
    assert (final.stop_reason, brief_of(final)) == ("tool_calls", [("add", {"a": 1}, True)])


def test_text_and_a_call_in_one_event_are_one_chunk() -> None:
    chunks, _ = stream(value_of({"text": "I add."}, SIGNED))
    assert [(one.content, one.tool_call_delta) for one in chunks] == [("I add.", "add")]


def test_an_event_that_is_an_array_is_read_whole() -> None:
    one, two = value_of({"text": "a"}, finish=None), value_of({"text": "b"})
    chunks, final = stream([one, two], [{"usageMetadata": COUNTS}])
    assert [chunk.content for chunk in chunks] == ["ab"]
    assert final.stop_reason == "stop"


@pytest.mark.parametrize(
    "values",
    [
        [],
        [value_of({"text": "Hi"}, finish=None)],
        [value_of({"text": "Hi"}, finish="")],
        [value_of({"text": "Hi"}, finish="FINISH_REASON_UNSPECIFIED")],
        [{"usageMetadata": COUNTS}],
        [b"  "],
        [{"candidates": [{"index": 1, "finishReason": "STOP"}]}],
    ],
    ids=str,
)
def test_a_stream_without_a_finish_reason_is_cut_off(values: list[Any]) -> None:
    with pytest.raises(ProviderConnectionError, match="ended before"):
        stream(*values)


def test_a_proxys_last_event_ends_a_stream_too() -> None:
    decoder = WIRE.stream_decoder(model="asked")
    first = decoder.feed(json.dumps(value_of({"text": "Hi"}, finish=None)).encode())
    assert first == StreamChunk("Hi")
    was_done = decoder.done
    assert decoder.feed(b"[DONE]") is None
    assert (was_done, decoder.done) == (False, True)
    assert decoder.feed(b"anything") is None
    assert decoder.finish().stop_reason == "stop"


def test_the_bytes_of_a_stream_are_server_sent_events() -> None:
    assert WIRE.splitter().feed(b"data: {}\r\n\r\ndata: 1") == [b"{}"]


def test_a_blocked_prompt_ends_astream() -> None:
    with pytest.raises(ContentFilterError):
        stream({"promptFeedback": {"blockReason": "OTHER"}})


def test_an_error_in_a_stream_is_raised_at_once() -> None:
    decoder = WIRE.stream_decoder(model="asked")
    error = {"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}
    with pytest.raises(ProviderRateLimitError, match="in the stream"):
        decoder.feed(json.dumps({**value_of({"text": "Hi"}, finish=None), **error}).encode())


@pytest.mark.parametrize("data", [b"null", b"3", b'"x"', b"{", b"\xff"], ids=repr)
def test_an_event_that_is_no_object_is_a_typed_error(data: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError):
        WIRE.stream_decoder(model="asked").feed(data)


# --------------------------------------------------------------------------------------- fuzz

_KEYS = [
    "candidates",
    "content",
    "parts",
    "text",
    "thought",
    "functionCall",
    "name",
    "args",
    "partialArgs",
    "jsonPath",
    "stringValue",
    "willContinue",
    "finishReason",
    "index",
    "usageMetadata",
    "promptTokenCount",
    "promptFeedback",
    "blockReason",
    "thoughtSignature",
    "error",
    "message",
    "code",
]
_JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_JUNK, max_size=4), _JUNK)
def test_no_answer_whatever_it_holds_raises_anything_but_a_typed_error(
    values: list[Any], part: Any
) -> None:
    for value in (*values, value_of(part), value_of({"functionCall": part})):
        try:
            answer = decode(value)
            replayed(answer)
        except ProviderError:
            pass
    try:
        chunks, final = stream(*values, value_of(part), value_of())
    except ProviderError:
        return
    assert final.is_final
    assert not any(chunk.is_final for chunk in chunks)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_but_a_typed_error(data: bytes) -> None:
    with pytest.raises(ProviderError):
        WIRE.decode(data, model="asked")


@pytest.mark.parametrize(
    "body",
    [
        b'{"candidates":' * 5_000,
        b"[" * 5_000,
        b'{"usageMetadata":{"promptTokenCount":' + b"9" * 5_000 + b"}}",
    ],
    ids=["deep objects", "deep arrays", "huge number"],
)
def test_hostile_json_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError):
        WIRE.decode(body, model="asked")
