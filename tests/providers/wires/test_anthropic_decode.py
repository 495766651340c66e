from __future__ import annotations

import json
from typing import Any

import pytest

from victor.errors import (
    ContentFilterError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderServerError,
)
from victor.providers.request import PAUSED, ChatRequest
from victor.providers.wires.anthropic.content import blocks_of
from victor.providers.wires.anthropic.decode import decode
from victor.types import CompletionResponse, Message, Usage

Json = dict[str, Any]

SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}
REDACTED = {"type": "redacted_thinking", "data": "x/y+z=="}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "a"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"url": "u"}]}
USE = {"type": "tool_use", "id": "toolu_1", "name": "add", "input": {"a": 1}}


def _text(text: str, **more: Any) -> Json:
    return {"type": "text", "text": text, **more}


def _read(*content: Any, stop: Any = "end_turn", **more: Any) -> CompletionResponse:
    body = {"type": "message", "content": list(content), "stop_reason": stop, **more}
    return decode(json.dumps(body).encode(), provider="acme", model="asked")


def _stored(answer: CompletionResponse) -> Any:
    """Return the blocks of the state, after the way to a session's file and back."""
    message = Message.model_validate_json(answer.to_message().model_dump_json())
    state = message.provider_state
    return None if state is None else state["anthropic"]["blocks"]


def _again(answer: CompletionResponse) -> list[Json]:
    return blocks_of(answer.to_message(), provider="acme", unsigned=False)


# ---------------------------------------------------------------------------- what comes


def test_text_is_content_and_needs_no_state() -> None:
    answer = _read(_text("Hel"), _text("lo", citations=None), model="claude-1")
    assert (answer.content, answer.reasoning, answer.stop_reason) == ("Hello", None, "stop")
    assert answer.model == "claude-1"
    assert answer.provider_state is None
    assert answer.raw_response["content"][0]["text"] == "Hel"


def test_thinking_is_reasoning_and_goes_back_byte_for_byte() -> None:
    blocks = [SIGNED, REDACTED, _text("Hi"), SIGNED, USE]
    answer = _read(*blocks, stop="tool_use")
    assert (answer.content, answer.reasoning) == ("Hi", "Hm.Hm.")
    assert _stored(answer) == [SIGNED, REDACTED, _text("Hi"), SIGNED, {"type": "tool_use"}]
    assert _again(answer) == blocks


def test_calls_are_ours_and_tools_of_the_server_are_not() -> None:
    mcp = {"type": "mcp_tool_use", "id": "m1", "name": "x", "server_name": "y", "input": {}}
    answer = _read(SEARCH, FOUND, mcp, _text("So:"), USE, stop="tool_use")
    (call,) = answer.tool_calls or []
    assert (call.id, call.name, call.arguments) == ("toolu_1", "add", {"a": 1})
    assert answer.stop_reason == "tool_calls"
    assert _again(answer) == [SEARCH, FOUND, mcp, _text("So:"), USE]


def test_plain_calls_need_no_state() -> None:
    direct = {**USE, "caller": {"type": "direct"}}
    answer = _read(_text("So:"), direct, {**USE, "id": "toolu_2"}, stop="tool_use")
    assert answer.provider_state is None
    assert [call.id for call in answer.tool_calls or []] == ["toolu_1", "toolu_2"]


@pytest.mark.parametrize(
    "block",
    [
        _text("Hi", citations=[{"type": "char_location", "cited_text": "x"}]),
        {**USE, "caller": {"type": "code_execution_20260120", "tool_id": "s"}},
        {"type": "compaction", "content": "so far"},
        {"type": "of tomorrow", "anything": [1, {"a": None}]},
    ],
    ids=["citation", "caller", "compaction", "unknown"],
)
def test_what_no_field_of_ours_holds_is_kept(block: Json) -> None:
    answer = _read(_text("a"), block, _text("b"))
    assert _again(answer) == [_text("a"), block, _text("b")]


def test_text_after_a_call_keeps_its_place() -> None:
    assert _again(_read(USE, _text("then"))) == [USE, _text("then")]


@pytest.mark.parametrize(
    ("sent", "arguments", "error"),
    [
        ({"a": 1}, {"a": 1}, False),
        (None, {}, False),
        ("", {}, False),
        ('{"a": 1}', {"a": 1}, False),
        ("{", {}, True),
        ([1], {}, True),
        (5, {}, True),
    ],
    ids=["object", "null", "empty", "text", "broken text", "list", "number"],
)
def test_input_is_an_object_or_an_error(sent: Any, arguments: Json, error: bool) -> None:
    (call,) = _read({**USE, "input": sent}).tool_calls or []
    assert call.arguments == arguments
    assert (call.error is not None) is error


def test_calls_without_id_get_one_and_without_name_are_dropped() -> None:
    nameless = {**USE, "name": ""}
    answer = _read(
        SIGNED, {**USE, "id": None}, nameless, USE, {**USE, "input": {"a": 2}}, stop="tool_use"
    )
    calls = answer.tool_calls or []
    assert [call.arguments for call in calls] == [{"a": 1}, {"a": 1}, {"a": 2}]
    assert len({call.id for call in calls}) == 3
    assert [block["id"] for block in _again(answer)[1:]] == [call.id for call in calls]


def test_after_a_fallback_only_the_second_models_calls_count() -> None:
    seam = {"type": "fallback", "from": {"model": "one"}, "to": {"model": "two"}}
    other = {**USE, "id": "toolu_2"}
    answer = _read(_text("a"), USE, seam, _text("b"), other, model="one", stop="tool_use")
    assert [call.id for call in answer.tool_calls or []] == ["toolu_2"]
    assert answer.model == "two"
    assert _again(answer) == [_text("a"), seam, _text("b"), other]


def test_the_container_of_the_servers_code_is_kept() -> None:
    answer = _read(SEARCH, FOUND, _text("Hi"), container={"id": "c1", "expires_at": "x"})
    assert answer.provider_state is not None
    assert answer.provider_state["anthropic"]["container"] == "c1"


# ---------------------------------------------------------------------------- stop reasons


@pytest.mark.parametrize(
    ("raw", "stop", "with_calls"),
    [
        ("end_turn", "stop", "tool_calls"),
        ("stop_sequence", "stop", "tool_calls"),
        ("tool_use", "stop", "tool_calls"),
        ("max_tokens", "length", "length"),
        ("model_context_window_exceeded", "length", "length"),
        ("refusal", "content_filter", "content_filter"),
        ("pause_turn", PAUSED, "tool_calls"),
        ("compaction", PAUSED, "tool_calls"),
        ("of_tomorrow", "other", "tool_calls"),
        (None, "stop", "tool_calls"),
        (7, "stop", "tool_calls"),
    ],
)
def test_stop_reasons_are_translated(raw: Any, stop: str, with_calls: str) -> None:
    assert _read(_text("Hi"), stop=raw).stop_reason == stop
    assert _read(_text("Hi"), USE, stop=raw).stop_reason == with_calls


@pytest.mark.parametrize("raw", ["max_tokens", "pause_turn"])
def test_an_answer_cut_short_or_paused_may_have_no_text(raw: str) -> None:
    assert _read(SIGNED, stop=raw).content == ""


@pytest.mark.parametrize(
    ("details", "says"),
    [
        (None, "acme refused before any text came"),
        ({"category": "bio", "explanation": None}, r"came \(bio\)"),
        ({"category": "cyber", "explanation": "It is."}, r"came \(cyber: It is\.\)"),
    ],
    ids=["bare", "category", "explained"],
)
def test_a_refusal_without_text_says_why(details: Any, says: str) -> None:
    with pytest.raises(ContentFilterError, match=says):
        _read(stop="refusal", stop_details=details)


@pytest.mark.parametrize("content", [[], [SIGNED], [_text("")], [SEARCH, FOUND]], ids=str)
def test_an_empty_answer_is_none(content: list[Json]) -> None:
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        _read(*content)


def test_an_answer_stopped_by_an_error_is_one() -> None:
    with pytest.raises(ProviderError, match="stop_reason 'error'"):
        _read(stop="error")


# ---------------------------------------------------------------------------- usage


@pytest.mark.parametrize(
    ("sent", "usage"),
    [
        (
            {"input_tokens": 10, "output_tokens": 5},
            Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15),
        ),
        (
            {
                "input_tokens": 10,
                "cache_read_input_tokens": 100,
                "cache_creation_input_tokens": 1000,
                "output_tokens": 5,
                "output_tokens_details": {"thinking_tokens": 3},
            },
            Usage(
                prompt_tokens=1110,
                completion_tokens=5,
                total_tokens=1115,
                cached_tokens=100,
                cache_write_tokens=1000,
                reasoning_tokens=3,
            ),
        ),
        ({"output_tokens": 5}, Usage(completion_tokens=5)),
        ({"service_tier": "standard"}, None),
        ({"input_tokens": "ten", "output_tokens": [5]}, None),
        ([], None),
        (None, None),
    ],
    ids=["plain", "cached", "no prompt", "no figures", "odd figures", "list", "null"],
)
def test_the_prompt_includes_what_the_cache_has(sent: Any, usage: Usage | None) -> None:
    assert _read(_text("Hi"), usage=sent).usage == usage


# ---------------------------------------------------------------------------- no answers


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Busy"}},
            ProviderOverloadedError,
            "Busy",
        ),
        ({"error": {"type": "authentication_error"}}, ProviderAuthError, "no details"),
        ({"type": "error"}, ProviderServerError, "sent an error"),
        ({"detail": "gone"}, ProviderServerError, "gone"),
        ({"message": "lost"}, ProviderServerError, "lost"),
        ({"choices": []}, ProviderInvalidResponseError, "has no content"),
        ({"content": None}, ProviderInvalidResponseError, "has no content"),
        ([], ProviderInvalidResponseError, "JSON list"),
        ("<html>", ProviderInvalidResponseError, "JSON str"),
    ],
    ids=["error", "bare", "untold", "detail", "message", "other", "null", "list", "text"],
)
def test_what_is_no_message_is_a_typed_error(
    body: Any, kind: type[ProviderError], says: str
) -> None:
    with pytest.raises(kind, match=says) as caught:
        decode(json.dumps(body).encode(), provider="acme", model="asked")
    assert (caught.value.provider, caught.value.model) == ("acme", "asked")


def test_content_may_be_bare_text_and_odd_blocks_are_passed_over() -> None:
    body = json.dumps({"content": "Hi", "type": "message"}).encode()
    assert decode(body, provider="acme", model="asked").content == "Hi"
    odd = [None, 3, "x", {}, {"type": None}, {"type": ["text"]}, {"type": "text", "text": 5}]
    answer = _read(*odd, _text("Hi"))
    assert answer.content == "Hi"
    assert answer.provider_state is None


def test_an_answer_can_be_asked_on() -> None:
    answer = _read(SIGNED, _text("Hi"))
    request = ChatRequest([answer.to_message()], "m")
    assert request.messages[0].reasoning == "Hm."
