from __future__ import annotations

from typing import Any

import pytest

from tests.providers.wires.gemini_bodies import (
    COUNTS,
    WIRE,
    Json,
    brief_of,
    decode,
    read,
    value_of,
)
from victor.errors import (
    ContentFilterError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderRateLimitError,
)


def test_text_and_thoughts_are_told_apart_and_joined() -> None:
    answer = read(
        {"text": "hm", "thought": True},
        {"text": "Hel"},
        {"text": "lo", "thought": False},
        modelVersion="gemini-x",
        usageMetadata=COUNTS,
    )
    assert (answer.content, answer.reasoning, answer.stop_reason) == ("Hello", "hm", "stop")
    assert (answer.model, answer.tool_calls, answer.provider_state) == ("gemini-x", None, None)
    assert answer.raw_response["modelVersion"] == "gemini-x"


def test_an_answer_without_a_finish_reason_is_whole_in_one_body() -> None:
    answer = read({"text": "Hi"}, finish=None)
    assert (answer.content, answer.stop_reason, answer.model) == ("Hi", "stop", "asked")
    assert answer.usage is None


def test_an_array_of_objects_is_read_to_its_end() -> None:
    first = value_of({"text": "Hel"}, finish=None, usageMetadata={"promptTokenCount": 7})
    answer = decode([first, value_of({"text": "lo"}, usageMetadata=COUNTS)])
    assert (answer.content, answer.stop_reason) == ("Hello", "stop")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 9
    assert len(answer.raw_response) == 2


def test_calls_make_the_stop_reason_whatever_the_server_says() -> None:
    answer = read({"text": "I add."}, {"functionCall": {"name": "add", "args": {"a": 1}}})
    assert (answer.content, answer.stop_reason) == ("I add.", "tool_calls")
    assert brief_of(answer) == [("add", {"a": 1}, True)]
    assert answer.provider_state is None


@pytest.mark.parametrize(
    ("call", "brief"),
    [
        ({"name": "now"}, [("now", {}, True)]),
        ({"name": "now", "args": None}, [("now", {}, True)]),
        ({"name": "now", "args": '{"a": 2}'}, [("now", {"a": 2}, True)]),
        ({"name": "now", "args": [1]}, [("now", {}, False)]),
        ({"name": "now", "args": 5}, [("now", {}, False)]),
        ({"name": "", "args": {}}, []),
        ({"args": {"a": 1}}, []),
        ({"name": 3}, []),
    ],
    ids=str,
)
def test_arguments_of_any_type_are_read_or_kept_from_being_run(
    call: Json, brief: list[tuple[str, Json, bool]]
) -> None:
    assert brief_of(read({"text": "x"}, {"functionCall": call})) == brief


def test_missing_and_repeated_ids_are_made_up() -> None:
    call = {"functionCall": {"id": "same", "name": "now"}}
    answer = read(call, call, {"functionCall": {"name": "now"}}, {"functionCall": {"name": "now"}})
    ids = [one.id for one in answer.tool_calls or []]
    assert ids[0] == "same"
    assert len(set(ids)) == 4


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("LANGUAGE", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("OTHER", "other"),
        ("SOMETHING_NEW", "other"),
        (1, "stop"),
        (2, "length"),
        (3, "content_filter"),
        (5, "other"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
        (0, "stop"),
        ({"odd": 1}, "other"),
        ([], "other"),
    ],
    ids=str,
)
def test_every_finish_reason_is_one_of_ours(raw: object, stop: str) -> None:
    assert read({"text": "Hi"}, finish=raw).stop_reason == stop


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("UNEXPECTED_TOOL_CALL", "tool_calls"),
        ("OTHER", "tool_calls"),
    ],
)
def test_calls_give_way_to_a_limit_and_a_filter_only(raw: str, stop: str) -> None:
    assert read({"functionCall": {"name": "now"}}, finish=raw).stop_reason == stop


def test_a_limit_reached_while_thinking_is_an_answer_without_text() -> None:
    value = {"candidates": [{"content": {"role": "model"}, "finishReason": "MAX_TOKENS"}]}
    answer = decode({**value, "usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": 2}})
    assert (answer.content, answer.stop_reason) == ("", "length")
    assert answer.usage is not None
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (5, 2, 7)


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        pytest.param(
            {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": COUNTS},
            ContentFilterError,
            "blocked the prompt.*SAFETY",
            id="prompt blocked",
        ),
        pytest.param(
            {"promptFeedback": {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "a trick"}},
            ContentFilterError,
            "a trick",
            id="prompt blocked with a message",
        ),
        pytest.param(
            {"candidates": [{"finishReason": "RECITATION", "finishMessage": "a poem"}]},
            ContentFilterError,
            "RECITATION: a poem",
            id="filtered",
        ),
        pytest.param(
            value_of(finish="MALFORMED_FUNCTION_CALL"),
            ProviderInvalidResponseError,
            "failed at calling a tool",
            id="malformed call",
        ),
        pytest.param(
            {
                "candidates": [
                    {"finishReason": "UNEXPECTED_TOOL_CALL", "finishMessage": "no such tool"}
                ]
            },
            ProviderInvalidResponseError,
            "no such tool",
            id="unexpected call",
        ),
        pytest.param(
            value_of({"text": "Well"}, finish="MALFORMED_FUNCTION_CALL"),
            ProviderInvalidResponseError,
            "failed at calling",
            id="malformed call after text",
        ),
        pytest.param(
            value_of({"text": "", "thoughtSignature": "AAA="}),
            ProviderInvalidResponseError,
            "neither text nor tool calls",
            id="empty",
        ),
        pytest.param(
            value_of({"text": "hm", "thought": True}),
            ProviderInvalidResponseError,
            "neither text nor tool calls",
            id="thoughts only",
        ),
        pytest.param(
            {"usageMetadata": COUNTS},
            ProviderInvalidResponseError,
            r"neither .*\(no reason\)",
            id="counts only",
        ),
        pytest.param({"a": 1}, ProviderInvalidResponseError, "no candidates", id="not ours"),
        pytest.param([], ProviderInvalidResponseError, "is a JSON list", id="empty array"),
        pytest.param([1], ProviderInvalidResponseError, "is a JSON list", id="array of numbers"),
        pytest.param("x", ProviderInvalidResponseError, "is a JSON str", id="string"),
        pytest.param(None, ProviderInvalidResponseError, "is a JSON NoneType", id="null"),
        pytest.param(
            {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}},
            ProviderRateLimitError,
            "slow down",
            id="error",
        ),
        pytest.param(
            [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "slow down"}}],
            ProviderRateLimitError,
            "slow down",
            id="error in an array",
        ),
        pytest.param(
            [value_of({"text": "Hi"}), {"error": {"code": 503, "message": "late"}}],
            ProviderError,
            "late",
            id="error at the end of an array",
        ),
        pytest.param(
            {"message": "not today", "code": 500}, ProviderError, "not today", id="bare error"
        ),
    ],
)
def test_what_is_no_answer_is_a_typed_error(value: Any, kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        decode(value)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (value_of(finish="MALFORMED_FUNCTION_CALL"), "model"),
        (value_of(), "empty"),
        ({"a": 1}, "form"),
    ],
)
def test_an_invalid_answer_says_whose_fault_it_is(value: Json, fault: str) -> None:
    with pytest.raises(ProviderInvalidResponseError) as caught:
        decode(value)
    assert caught.value.fault == fault


def test_a_body_that_is_no_json_or_a_web_page_is_said() -> None:
    with pytest.raises(ProviderInvalidResponseError, match="not valid JSON"):
        WIRE.decode(b'{"candidates": [', model="asked")
    with pytest.raises(ProviderInvalidResponseError, match="web page"):
        WIRE.decode(b"<html></html>", model="asked")


def test_a_filtered_answer_with_text_keeps_it() -> None:
    answer = read({"text": "Once"}, finish="SAFETY", promptFeedback={"blockReason": "SAFETY"})
    assert (answer.content, answer.stop_reason) == ("Once", "content_filter")


def test_an_image_is_an_answer_though_it_is_no_text() -> None:
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}}
    answer = read(image)
    assert (answer.content, answer.stop_reason) == ("", "stop")
    state = {"provider": "google", "parts": [image]}
    assert answer.provider_state == {"gemini": state}
    with pytest.raises(ProviderInvalidResponseError):
        read({**image, "thought": True})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (COUNTS, (7, 2, 9, None, None)),
        ({**COUNTS, "thoughtsTokenCount": 3, "totalTokenCount": 12}, (7, 5, 12, None, 3)),
        ({"promptTokenCount": 7, "toolUsePromptTokenCount": 4}, (11, None, None, None, None)),
        ({"promptTokenCount": 7, "cachedContentTokenCount": 5}, (7, None, None, 5, None)),
        ({"candidatesTokenCount": 2, "promptTokenCount": 1}, (1, 2, 3, None, None)),
        ({"totalTokenCount": "9", "promptTokenCount": 7.0}, (7, None, None, None, None)),
    ],
    ids=str,
)
def test_usage_counts_tools_and_thinking_in(counts: Json, expected: tuple[int | None, ...]) -> None:
    usage = read({"text": "Hi"}, usageMetadata=counts).usage
    assert usage is not None
    assert (
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
    ) == expected


@pytest.mark.parametrize("counts", [None, {}, {"trafficType": "ON_DEMAND"}, [], "9"], ids=str)
def test_counts_that_were_not_sent_are_not_known(counts: object) -> None:
    assert read({"text": "Hi"}, usageMetadata=counts).usage is None


def test_only_the_first_candidate_isread() -> None:
    value = value_of({"text": "one"})
    value["candidates"].insert(0, {"index": 1, "content": {"parts": [{"text": "two"}]}})
    assert decode(value).content == "one"


@pytest.mark.parametrize(
    "broken",
    [
        {"candidates": {}},
        {"candidates": [None, 3]},
        {"candidates": [{"content": None, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": {"text": "x"}}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": [None, "x", 3]}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": [{"text": 3}]}, "finishReason": "STOP"}]},
        {"candidates": [{"content": {"parts": [{"functionCall": "x"}]}}]},
        {"candidates": [], "promptFeedback": "x"},
    ],
    ids=str,
)
def test_odd_types_everywhere_are_an_empty_answer(broken: Json) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        decode(broken)
