from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.config.catalog import Vendor
from victor.errors import (
    ContentFilterError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderRateLimitError,
)
from victor.providers.wires.bedrock.wire import BedrockConverse
from victor.types import CompletionResponse, Usage

WIRE = BedrockConverse(Vendor("bedrock", None, wire="bedrock", auth="aws"))
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"

SIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2ln"}}}
HIDDEN = {"reasoningContent": {"redactedContent": "aGlkZGVu"}}
UNSIGNED = {"reasoningContent": {"reasoningText": {"text": "Hm."}}}
RUN = {"toolUseId": "s1", "name": "nova_code_interpreter", "input": {"snippet": "1+1"}}
SERVER_CALL = {"toolUse": {**RUN, "type": "server_tool_use"}}
SERVER_RESULT = {"toolResult": {"toolUseId": "s1", "content": [{"json": {"stdOut": "2"}}]}}
CITED = {"citationsContent": {"content": [{"text": "It is so."}], "citations": [{"title": "T"}]}}


def call(call_id: object = "c1", name: object = "add", given: object = None) -> dict[str, Any]:
    return {"toolUse": {"toolUseId": call_id, "name": name, "input": given}}


def whole(content: object, stop: object = "end_turn", **more: Any) -> CompletionResponse:
    body = {"output": {"message": {"content": content, "role": "assistant"}}, "stopReason": stop}
    return WIRE.decode(json.dumps({**body, **more}).encode(), model=MODEL)


def test_texts_are_joined_and_figures_include_what_was_cached() -> None:
    usage = {
        "inputTokens": 10,
        "outputTokens": 5,
        "totalTokens": 1115,
        "cacheReadInputTokens": 1000,
        "cacheWriteInputTokens": 100,
    }
    answer = whole([{"text": "Hel"}, {"type": "text", "text": "lo"}], usage=usage)
    assert answer.content == "Hello"
    assert answer.stop_reason == "stop"
    assert answer.usage == Usage(
        prompt_tokens=1110,
        completion_tokens=5,
        total_tokens=1115,
        cached_tokens=1000,
        cache_write_tokens=100,
    )
    assert answer.model == MODEL
    assert (answer.tool_calls, answer.reasoning, answer.provider_state) == (None, None, None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, None),
        ({}, None),
        ("many", None),
        ({"inputTokens": "3"}, (None, None, None, None)),
        ({"inputTokens": 3, "outputTokens": 4}, (3, 4, 7, None)),
        ({"inputTokens": 3, "cacheReadInputTokenCount": 2}, (5, None, None, 2)),
        ({"inputTokens": 3, "cacheReadInputTokens": 0}, (3, None, None, 0)),
    ],
    ids=["none", "empty", "text", "wrong type", "no total", "old spelling", "nothing cached"],
)
def test_figures_that_were_not_sent_are_unknown(
    usage: object, expected: tuple[int | None, ...] | None
) -> None:
    found = whole([{"text": "x"}], usage=usage).usage
    if expected is None:
        assert found is None
    else:
        assert found is not None
        figures = (
            found.prompt_tokens,
            found.completion_tokens,
            found.total_tokens,
            found.cached_tokens,
        )
        assert figures == expected


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("tool_use", "tool_calls"),
        ("something_new", "other"),
        (None, "stop"),
        (["end_turn"], "stop"),
    ],
    ids=str,
)
def test_stop_reasons(raw: object, stop: str) -> None:
    assert whole([{"text": "x"}], raw).stop_reason == stop


@pytest.mark.parametrize(
    ("raw", "stop"),
    [
        ("end_turn", "tool_calls"),
        ("something_new", "tool_calls"),
        ("max_tokens", "length"),
        ("guardrail_intervened", "content_filter"),
    ],
)
def test_calls_are_the_reason_unless_something_cut_the_answer(raw: str, stop: str) -> None:
    assert whole([call()], raw).stop_reason == stop


def test_calls_have_their_ids_and_arguments() -> None:
    calls = whole([call(given={"a": 1}), call("c2", given=None)], "tool_use").tool_calls
    assert [(one.id, one.name, one.arguments, one.error) for one in calls or ()] == [
        ("c1", "add", {"a": 1}, None),
        ("c2", "add", {}, None),
    ]


@pytest.mark.parametrize("given", ["{", [1], 5, True], ids=str)
def test_arguments_that_are_no_object_are_never_executed(given: object) -> None:
    calls = whole([call(given=given)]).tool_calls
    assert calls
    assert calls[0].error
    assert calls[0].arguments == {}


def test_ids_that_are_missing_or_repeated_are_made_up_and_nameless_calls_dropped() -> None:
    calls = whole([call(None), call("c"), call("c"), call("d", None), call("e", "")]).tool_calls
    assert calls is not None
    ids = [one.id for one in calls]
    assert len(set(ids)) == len(ids) == 3
    assert ids[1] == "c"


@pytest.mark.parametrize(
    ("blocks", "reasoning", "kept"),
    [
        ([SIGNED, {"text": "x"}], "Hm.", [SIGNED, {"text": "x"}]),
        ([HIDDEN, {"text": "x"}], None, [HIDDEN, {"text": "x"}]),
        ([UNSIGNED, {"text": "x"}], "Hm.", None),
        (
            [SERVER_CALL, SERVER_RESULT, {"text": "x"}],
            None,
            [SERVER_CALL, SERVER_RESULT, {"text": "x"}],
        ),
        (
            [SIGNED, {"text": "x"}, call(given={"a": 1})],
            "Hm.",
            [SIGNED, {"text": "x"}, {"toolUse": {"toolUseId": "c1", "name": "add"}}],
        ),
        ([{"text": "x"}, {"type": "text", "text": ""}, call()], None, None),
        ([{"text": "x"}, {"newBlock": {"a": 1}}], None, [{"text": "x"}, {"newBlock": {"a": 1}}]),
        ([{"text": "x"}, {}, "y", None, {"toolUse": 5}, {"reasoningContent": []}], None, None),
    ],
    ids=[
        "signed",
        "redacted",
        "unsigned",
        "server's call",
        "signed with call",
        "nothing",
        "unknown",
        "junk",
    ],
)
def test_only_what_has_to_go_back_as_it_was_is_kept(
    blocks: list[object], reasoning: str | None, kept: list[object] | None
) -> None:
    answer = whole(blocks)
    assert answer.reasoning == reasoning
    state = answer.provider_state
    if kept is None:
        assert state is None
    else:
        assert state == {"bedrock": {"provider": "bedrock", "model": MODEL, "blocks": kept}}
        assert json.loads(json.dumps(state)) == state


def test_what_the_servers_ran_is_no_call_of_the_client_s() -> None:
    answer = whole([SERVER_CALL, SERVER_RESULT, {"text": "2"}])
    assert (answer.content, answer.tool_calls) == ("2", None)


def test_a_text_with_citations_is_text() -> None:
    answer = whole([{"text": "Yes. "}, CITED, {"citationsContent": {"content": "?"}}])
    assert answer.content == "Yes. It is so."


def test_a_router_s_choice_is_the_model_that_answered() -> None:
    trace = {"promptRouter": {"invokedModelId": "arn:chosen"}}
    assert whole([{"text": "x"}], trace=trace).model == "arn:chosen"


@pytest.mark.parametrize("content", [[], [{"text": ""}], [UNSIGNED], [SERVER_CALL], None], ids=str)
def test_an_answer_without_text_and_calls_is_an_error(content: object) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="end_turn") as caught:
        whole(content)
    assert caught.value.fault == "empty"


def test_no_room_for_a_word_is_an_answer_and_a_filter_before_one_is_an_error() -> None:
    assert whole([], "max_tokens").stop_reason == "length"
    with pytest.raises(ContentFilterError, match="guardrail_intervened"):
        whole([], "guardrail_intervened")


@pytest.mark.parametrize("raw", ["malformed_tool_use", "malformed_model_output"])
def test_a_call_that_bedrock_could_not_read_is_the_model_s_fault(raw: str) -> None:
    with pytest.raises(ProviderInvalidResponseError, match=raw) as caught:
        whole([{"text": "x"}], raw)
    assert caught.value.fault == "model"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            {"__type": "com.amazon#ThrottlingException", "message": "Slow down"},
            ProviderRateLimitError,
        ),
        ({"error": {"code": "ThrottlingException", "message": "x"}}, ProviderRateLimitError),
        ({"message": "Something is wrong"}, ProviderError),
        ({"Output": {"__type": "UnknownOperationException"}}, ProviderInvalidResponseError),
        ({"output": {"message": {"content": "text"}}}, ProviderInvalidResponseError),
        ([], ProviderInvalidResponseError),
    ],
    ids=["aws", "wrapped", "bare", "unknown operation", "no list", "array"],
)
def test_a_success_that_is_an_error_or_somebody_else_s(
    body: object, kind: type[ProviderError]
) -> None:
    with pytest.raises(kind):
        WIRE.decode(json.dumps(body).encode(), model=MODEL)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "text",
                    "toolUse",
                    "input",
                    "name",
                    "type",
                    "reasoningContent",
                    "reasoningText",
                    "signature",
                    "citationsContent",
                    "content",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@given(content=JSON, stop=JSON, usage=JSON, trace=JSON)
@settings(max_examples=150)
def test_any_json_is_read_or_is_a_typed_error(
    content: object, stop: object, usage: object, trace: object
) -> None:
    try:
        answer = whole(content, stop, usage=usage, trace=trace)
    except ProviderError:
        return
    assert isinstance(answer.content, str)
    json.dumps(answer.provider_state)


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"<html>", b"5", b'{"a":' * 5000, b'{"output": 1e999}'], ids=repr
)
def test_bytes_that_are_no_answer_raise_typed_errors(body: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError):
        WIRE.decode(body, model=MODEL)
