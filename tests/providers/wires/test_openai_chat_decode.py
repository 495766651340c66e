from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.wires.bodies import (
    Json,
    event_of,
    fragments,
    piece,
    read_stream,
    read_whole,
)
from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderServerError,
)
from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.types import CompletionResponse, Usage

# ---------------------------------------------------------------------------- whole answers


def test_a_whole_answer_has_everything_the_body_said() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    found = read_whole({"role": "assistant", "content": "Hi"}, model="acme-1", usage=usage)
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
                7,
                {"type": "text", "text": "b"},
            ]
        },
        "aoddb",
        "hm!",
        id="list of parts",
    ),
    pytest.param({"content": {"type": "text", "text": "a"}}, "a", "", id="one part"),
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
    found = read_whole(message)
    assert (found.content, found.reasoning or "") == (text, reasoning)
    chunks, _ = read_stream(message, event_of(finish="stop"))
    assert ("".join(chunk.content for chunk in chunks)) == text
    assert ("".join(chunk.reasoning for chunk in chunks)) == reasoning


def _kept(*details: Json) -> Json:
    return {"openai-chat": {"provider": "acme", "reasoning_details": list(details)}}


def test_reasoning_details_are_kept_for_the_next_request() -> None:
    secret: Json = {"type": "reasoning.encrypted", "data": "x", "index": 0}
    message = {"content": "ok", "reasoning_details": [secret, secret]}
    assert read_whole(message).provider_state == _kept(secret, secret)
    _, final = read_stream(
        {"reasoning_details": [secret]},
        {"content": "ok", "reasoning_details": [secret]},
        event_of(finish="stop"),
    )
    assert final.provider_state == _kept(secret, secret)


def test_pieces_of_reasoning_details_are_put_together() -> None:
    def text(piece: object, index: object = 0, **more: object) -> Json:
        return {"type": "reasoning.text", "text": piece, "index": index, **more}

    details: list[Any] = [
        text("a", signature=None, format="f"),
        text("b", format=None),
        text(None),
        text("", signature="s"),
        text("c"),
        text("d", 1),
        text("e", None),
        text("f", None),
        {"type": "reasoning.summary", "summary": "g", "index": 2},
        {"type": "reasoning.summary", "summary": "h", "index": 2},
        text("i", 2),
        7,
    ]
    events = [{"content": "x", "reasoning_details": [one]} for one in details]
    _, final = read_stream(*events, event_of(finish="stop"))
    assert final.provider_state == _kept(
        text("ab", signature="s", format="f"),
        text("c"),
        text("d", 1),
        text("e", None),
        text("f", None),
        {"type": "reasoning.summary", "summary": "gh", "index": 2},
        text("i", 2),
        details[-1],
    )


def test_a_refusal_is_an_answer_that_says_so() -> None:
    assert read_whole({"content": None, "refusal": "I won't."}).stop_reason == "content_filter"
    _, final = read_stream({"refusal": "I "}, {"refusal": "won't."}, event_of(finish="stop"))
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
        ("content_filter: RECITATION", "content_filter"),
        ("sensitive", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("error", "error"),
        ("insufficient_system_resource", "error"),
        ("abort", "other"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "other"),
        ("", "stop"),
        (None, "stop"),
        (1, "stop"),
    ],
    ids=repr,
)
def test_a_finish_reason_becomes_a_stop_reason(raw: object, stop: str) -> None:
    assert read_whole({"content": "x"}, raw).stop_reason == stop
    _, final = read_stream({"content": "x"}, event_of(finish=raw))
    assert final.stop_reason == stop


@pytest.mark.parametrize(
    ("raw", "stop"), [("stop", "tool_calls"), ("eos", "tool_calls"), ("length", "length")]
)
def test_calls_make_it_tool_calls_unless_the_answer_was_cut(raw: str, stop: str) -> None:
    delta = fragments(piece("f", "{}", index=0, id="c"))
    assert read_whole(delta, raw).stop_reason == stop
    _, final = read_stream(delta, event_of(finish=raw))
    assert final.stop_reason == stop


def test_of_several_choices_the_first_is_read_wherever_it_stands() -> None:
    def body(*choices: tuple[object, str]) -> bytes:
        rows = [
            {"index": index, "message": {"content": text}, "finish_reason": "stop"}
            for index, text in choices
        ]
        return json.dumps({"choices": rows}).encode()

    def text(body: bytes) -> str:
        return decode(body, provider="acme", model="asked").content

    assert text(body((1, "theirs"), (0, "mine"))) == "mine"
    assert text(body((1, "only one"))) == "only one"
    assert text(body((None, "mine"), (1, "theirs"))) == "mine"


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
        ({"code": 503, "message": "too busy", "data": None}, ProviderOverloadedError, "too busy"),
        (
            {"error": {"code": "tool_use_failed", "failed_generation": "{", "message": "no call"}},
            ProviderInvalidResponseError,
            "no call",
        ),
    ],
    ids=["object", "string", "code", "type", "azure filter", "beside choices", "array", "vllm",
         "detail", "bare code", "bad call"],
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
    stream.feed(event_of({"content": "x"}))
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
        ("content_filter: RECITATION", ContentFilterError),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", ProviderInvalidResponseError),
        ("insufficient_system_resource", ProviderOverloadedError),
        ("error", ProviderError),
    ],
    ids=repr,
)
def test_an_empty_answer_is_an_error(finish: object, kind: type[ProviderError]) -> None:
    with pytest.raises(ProviderError) as caught:
        read_whole({"content": None}, finish)
    assert type(caught.value) is kind
    with pytest.raises(ProviderError) as in_stream:
        read_stream({"content": ""}, event_of({"reasoning": "only thoughts"}, finish))
    assert type(in_stream.value) is kind
    assert caught.value.provider == in_stream.value.provider == "acme"


@pytest.mark.parametrize("choices", [[], [None], ["x"], [{}], [{"message": None}]], ids=repr)
def test_choices_without_a_message_are_an_empty_answer(choices: list[object]) -> None:
    body = json.dumps({"choices": choices}).encode()
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        decode(body, provider="acme", model="asked")


def test_an_answer_cut_before_its_first_word_is_an_answer() -> None:
    found = read_whole({"content": ""}, "length")
    assert (found.content, found.stop_reason) == ("", "length")
    _, final = read_stream(event_of({"reasoning": "long thoughts"}, "length"))
    assert final.stop_reason == "length"


def test_an_answer_filtered_after_some_text_keeps_the_text() -> None:
    found = read_whole({"content": "So"}, "content_filter")
    assert (found.content, found.stop_reason) == ("So", "content_filter")


def test_a_model_name_that_is_no_text_is_not_taken_over() -> None:
    assert read_whole({"content": "x"}, model={"id": 1}).model == "asked"
    _, final = read_stream(event_of({"content": "x"}, "stop", model=7))
    assert final.model == "asked"
