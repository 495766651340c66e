from __future__ import annotations

import json

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
    found = read_whole(message)
    assert (found.content, found.reasoning or "") == (text, reasoning)
    chunks, _ = read_stream(message, event_of(finish="stop"))
    assert ("".join(chunk.content for chunk in chunks)) == text
    assert ("".join(chunk.reasoning for chunk in chunks)) == reasoning


def test_reasoning_details_are_kept_for_the_next_request() -> None:
    details: list[Json] = [{"type": "reasoning.encrypted", "data": "x"}]
    kept = {"openai-chat": {"reasoning_details": [*details, *details]}}
    message = {"content": "ok", "reasoning_details": [*details, *details]}
    assert read_whole(message).provider_state == kept
    _, final = read_stream(
        {"reasoning_details": details},
        {"content": "ok", "reasoning_details": details},
        event_of(finish="stop"),
    )
    assert final.provider_state == kept


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
        ("error", "error"),
        ("abort", "other"),
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
    assert read_whole({"content": "x"}, **more).usage == usage
    _, final = read_stream({"content": "x"}, event_of(finish="stop"), json.dumps(more).encode())
    assert final.usage == usage
    _, final = read_stream({"content": "x"}, event_of({"content": "y"}, "stop", **more))
    assert final.usage == usage


def test_repeated_usage_is_cumulative_and_never_added_up() -> None:
    def usage(count: int) -> Json:
        return {"usage": {"prompt_tokens": 2, "completion_tokens": count}}

    _, final = read_stream(
        event_of({"content": "a"}, **usage(1)),
        event_of({"content": "b"}, **usage(2)),
        event_of(finish="stop", **usage(3)),
        json.dumps({"choices": [], **usage(3)}).encode(),
        json.dumps({"choices": [], "usage": None}).encode(),
    )
    assert final.usage == Usage(prompt_tokens=2, completion_tokens=3)


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
