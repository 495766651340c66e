from __future__ import annotations

import json
from typing import Any

import pytest

from tests.providers.wires.responses_bodies import (
    Json,
    call,
    read_whole,
    said,
    thought,
    wire,
)
from victor.errors import (
    ContentFilterError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
)
from victor.types import Usage


def test_an_answer_has_text_model_and_usage() -> None:
    answer = read_whole(
        said("Hello"),
        model="acme-1",
        usage={
            "input_tokens": 12,
            "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
            "output_tokens": 5,
            "output_tokens_details": {"reasoning_tokens": 3},
            "total_tokens": 17,
        },
    )
    assert answer.content == "Hello"
    assert answer.role == "assistant"
    assert answer.stop_reason == "stop"
    assert answer.model == "acme-1"
    assert answer.tool_calls is None
    assert answer.reasoning is None
    assert answer.provider_state is None
    assert answer.raw_response["output"][0]["id"] == "msg_1"
    assert answer.usage == Usage(
        prompt_tokens=12,
        completion_tokens=5,
        total_tokens=17,
        cached_tokens=8,
        cache_write_tokens=2,
        reasoning_tokens=3,
    )


def test_without_a_model_the_one_that_was_asked_is_named() -> None:
    assert read_whole(said("x"), model=None).model == "asked"


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        (None, None),
        ({}, None),
        ("much", None),
        ({"input_tokens": 3}, Usage(prompt_tokens=3)),
        (
            {"input_tokens": 3, "output_tokens": 4},
            Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7),
        ),
        ({"input_tokens": "3", "output_tokens_details": [1]}, Usage()),
        ({"input_tokens": True, "output_tokens": 2.0}, Usage(completion_tokens=2)),
    ],
    ids=["null", "empty", "text", "half", "no total", "wrong types", "odd numbers"],
)
def test_usage_is_what_was_sent_and_nothing_more(usage: Any, read: Usage | None) -> None:
    assert read_whole(said("x"), usage=usage).usage == read


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}], "ab"),
        ("plain", "plain"),
        (["a", 1, None, {"type": "output_text"}, {"text": 3}, {"text": "b"}], "ab"),
    ],
    ids=["parts", "string", "odd parts"],
)
def test_text_is_all_that_messages_say(content: Any, text: str) -> None:
    assert read_whole({"type": "message", "content": content}).content == text


def test_messages_and_summaries_are_joined_without_a_separator() -> None:
    answer = read_whole(thought("Hm", "m."), said("a"), thought("So."), said("b"))
    assert (answer.content, answer.reasoning) == ("ab", "Hmm.So.")


@pytest.mark.parametrize(
    ("item", "reasoning"),
    [
        (thought(content=[{"type": "reasoning_text", "text": "raw"}]), "raw"),
        (thought("short", content=[{"type": "reasoning_text", "text": "raw"}]), "shortraw"),
        (thought("same", content=[{"type": "reasoning_text", "text": "same"}]), "same"),
        (thought(content="raw"), "raw"),
        ({"type": "reasoning", "summary": ["a", 1, {"text": None}], "content": {}}, "a"),
        ({"type": "reasoning", "summary": None}, None),
    ],
    ids=["raw", "both", "twice the same", "string", "odd", "nothing"],
)
def test_reasoning_is_summary_and_raw_thinking(item: Json, reasoning: str | None) -> None:
    assert read_whole(item, said("x")).reasoning == reasoning


def test_text_that_stands_beside_the_items_only_is_text() -> None:
    assert read_whole(output_text="Hi").content == "Hi"


@pytest.mark.parametrize(
    ("status", "reason", "stop"),
    [
        ("completed", None, "stop"),
        ("complete", None, "stop"),
        (None, None, "stop"),
        ("incomplete", "max_output_tokens", "length"),
        ("incomplete", "content_filter", "content_filter"),
        ("incomplete", "boredom", "other"),
        ("incomplete", None, "other"),
        ("cancelled", None, "other"),
        ("in_progress", None, "other"),
        (7, None, "stop"),
    ],
)
def test_the_stop_reason_is_the_status_and_why(status: Any, reason: Any, stop: str) -> None:
    details = {"reason": reason} if reason else None
    answer = read_whole(said("x"), status=status, incomplete_details=details)
    assert answer.stop_reason == stop


def test_calls_are_read_with_the_id_their_results_need() -> None:
    answer = read_whole(call(), call("now", "", "c2"))
    assert [(one.id, one.name, one.arguments) for one in answer.tool_calls or []] == [
        ("c1", "add", {"a": 1}),
        ("c2", "now", {}),
    ]
    assert answer.stop_reason == "tool_calls"
    assert answer.provider_state is None


@pytest.mark.parametrize(
    ("reason", "stop"), [("max_output_tokens", "length"), ("content_filter", "content_filter")]
)
def test_a_call_does_not_hide_why_an_answer_is_incomplete(reason: str, stop: str) -> None:
    answer = read_whole(
        call(arguments='{"a":'), status="incomplete", incomplete_details={"reason": reason}
    )
    (found,) = answer.tool_calls or []
    assert (answer.stop_reason, found.raw_arguments) == (stop, '{"a":')
    assert found.error


@pytest.mark.parametrize(
    ("arguments", "read"),
    [(None, {}), (" ", {}), ("null", {}), ({"a": 1}, {"a": 1})],
    ids=["null", "blank", "null text", "object"],
)
def test_arguments_may_be_missing_or_an_object(arguments: Any, read: Json) -> None:
    (found,) = read_whole(call(arguments=arguments)).tool_calls or []
    assert (found.arguments, found.error) == (read, None)


@pytest.mark.parametrize("arguments", [[1], 3, "[]", "{", False], ids=repr)
def test_arguments_that_are_no_object_are_an_error_and_never_empty(arguments: Any) -> None:
    (found,) = read_whole(call(arguments=arguments)).tool_calls or []
    assert found.error
    assert found.raw_arguments is not None


def test_a_call_without_call_id_has_that_of_its_item_or_a_made_up_one() -> None:
    answer = read_whole(call(call_id=None), call(call_id="", id=None), call(call_id=3, id="fc_1"))
    first, second, third = [one.id for one in answer.tool_calls or []]
    assert first == "fc_1"
    assert len({first, second, third}) == 3


def test_a_call_without_a_name_is_none() -> None:
    answer = read_whole(said("x"), call(None), call(""), call(3))
    assert (answer.tool_calls, answer.stop_reason) == (None, "stop")


def test_a_wrapper_of_parallel_calls_is_unwrapped() -> None:
    uses = [
        {"recipient_name": "functions.add", "parameters": {"a": 1}},
        {"recipient_name": "now"},
        {"recipient_name": None},
        "odd",
    ]
    answer = read_whole(call("multi_tool_use.parallel", json.dumps({"tool_uses": uses})))
    assert [(one.id, one.name, one.arguments) for one in answer.tool_calls or []] == [
        ("c1", "add", {"a": 1}),
        ("c1_1", "now", {}),
    ]


@pytest.mark.parametrize("arguments", ["{", "[]", "{}", '{"tool_uses":[1]}', None, {}], ids=repr)
def test_a_wrapper_with_nothing_in_it_stays_a_call(arguments: Any) -> None:
    (found,) = read_whole(call("multi_tool_use.parallel", arguments)).tool_calls or []
    assert found.name == "multi_tool_use.parallel"


CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c9", "name": "sql", "input": "A"}


def test_a_custom_call_has_its_text_as_input() -> None:
    (found,) = read_whole(thought(), CUSTOM).tool_calls or []
    assert (found.id, found.name, found.arguments) == ("c9", "sql", {"input": "A"})


def test_a_custom_call_that_was_answered_already_is_the_servers() -> None:
    answer = read_whole(CUSTOM, said("Done"))
    assert (answer.content, answer.tool_calls, answer.stop_reason) == ("Done", None, "stop")


@pytest.mark.parametrize(
    "kind",
    ["web_search_call", "file_search_call", "code_interpreter_call", "mcp_call", "new_call"],
)
def test_calls_of_the_servers_own_tools_are_kept_and_not_the_callers(kind: str) -> None:
    own = {"type": kind, "id": "x", "name": "tool", "call_id": "c", "arguments": "{}"}
    answer = read_whole(own, said("x"))
    assert answer.tool_calls is None
    assert answer.provider_state == {
        "openai-responses": {"provider": "acme", "items": [own, said("x")]}
    }


@pytest.mark.parametrize(
    "items",
    [
        [thought(encrypted_content="sealed"), said("x")],
        [call(), said("x")],
        [said("x"), said("y")],
        [said("x", phase="commentary")],
        [call(namespace="crm")],
        [thought("Hm.")],
    ],
    ids=["reasoning", "order", "two messages", "phase", "namespace", "only reasoning"],
)
def test_what_a_message_cannot_say_is_kept_as_state(items: list[Json]) -> None:
    answer = read_whole(
        *items, status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    )
    state = {"provider": "acme", "items": items}
    assert answer.provider_state == {"openai-responses": state}


def test_a_refusal_is_text_with_the_stop_reason_of_a_filter() -> None:
    parts = [{"type": "refusal", "refusal": "I cannot."}]
    answer = read_whole({"type": "message", "content": parts})
    assert (answer.content, answer.stop_reason) == ("I cannot.", "content_filter")


def test_filtered_without_text_is_an_error() -> None:
    with pytest.raises(ContentFilterError, match="acme filtered") as caught:
        read_whole(status="incomplete", incomplete_details={"reason": "content_filter"})
    assert caught.value.model == "asked"


def test_cut_by_length_without_text_is_an_answer() -> None:
    answer = read_whole(
        thought(), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
    )
    assert (answer.content, answer.stop_reason) == ("", "length")


@pytest.mark.parametrize(
    "item",
    [
        {"type": "image_generation_call", "result": "aGk="},
        {"type": "mcp_approval_request", "id": "m", "name": "f", "arguments": "{}"},
        {"type": "shell_call", "call_id": "c", "action": {}},
        {"type": "apply_patch_call", "call_id": "c"},
        {"type": "tool_search_call", "call_id": "c", "execution": "client"},
    ],
    ids=lambda item: str(item["type"]),
)
def test_a_picture_or_a_wish_for_a_hosted_tool_is_an_answer(item: Json) -> None:
    answer = read_whole(thought(), item)
    assert (answer.content, answer.stop_reason) == ("", "stop")
    assert answer.provider_state is not None


def test_a_job_in_the_background_is_an_answer_that_can_be_asked_for_later() -> None:
    answer = read_whole(status="queued", background=True)
    assert (answer.content, answer.stop_reason) == ("", "other")


@pytest.mark.parametrize(
    "output",
    [
        [],
        [said("")],
        [thought("Hm.")],
        [{"type": "web_search_call"}],
        [{"type": "shell_call", "call_id": "c"}, {"type": "shell_call_output", "call_id": "c"}],
        [{"type": "tool_search_call", "execution": "server"}],
        [{"type": "image_generation_call", "result": None}],
        [None, 3, "text", [], {}, {"type": None}],
    ],
    ids=[
        "nothing",
        "blank",
        "only thinking",
        "only a search",
        "shell that ran",
        "tool search that ran",
        "no picture",
        "no items",
    ],
)
def test_an_empty_answer_is_an_error(output: list[Any]) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        read_whole(*output)


def test_an_unfinished_job_nobody_put_into_the_background_is_an_error() -> None:
    with pytest.raises(ProviderInvalidResponseError, match="queued"):
        read_whole(status="queued")


@pytest.mark.parametrize(
    ("body", "error", "words"),
    [
        ({"error": {"code": "insufficient_quota", "message": "Pay."}}, ProviderQuotaError, "Pay"),
        ({"error": {"code": "rate_limit_exceeded"}}, ProviderRateLimitError, "200 answer"),
        ({"error": "Incorrect API key", "code": "x"}, ProviderAuthError, "Incorrect"),
        ({"status": "failed", "output": []}, ProviderServerError, "failed"),
        (
            {"status": "failed", "error": {"code": "server_error", "message": "Oh."}, "output": []},
            ProviderServerError,
            "Oh",
        ),
        ({"detail": "Not here"}, ProviderError, "Not here"),
        ({"object": "error", "message": "Bad"}, ProviderError, "Bad"),
        ({"type": "error", "message": "Bad"}, ProviderError, "Bad"),
    ],
    ids=["quota", "rate", "string", "failed", "why", "detail", "object", "type"],
)
def test_an_error_with_a_success_status_is_typed(
    body: Json, error: type[ProviderError], words: str
) -> None:
    with pytest.raises(error, match=words):
        wire().decode(json.dumps(body).encode(), model="asked")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "not valid JSON"),
        (b"<!doctype html><p>Hi", "web page"),
        (b"3", "not an object"),
        (b"{}", "has no output"),
        (b'{"choices":[]}', "has no output"),
        (b'{"output":{}}', "has no output"),
        (b"[" * 5000, "not valid JSON"),
    ],
    ids=["nothing", "page", "number", "empty", "chat", "object", "deep"],
)
def test_what_is_not_this_protocol_is_said_to_be_so(body: bytes, words: str) -> None:
    with pytest.raises(ProviderInvalidResponseError, match=words):
        wire().decode(body, model="asked")
