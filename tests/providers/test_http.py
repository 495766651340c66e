from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import pytest

from tests.providers.loopback import (
    ADD,
    CHAT,
    CONSTRAINED,
    HI,
    KEY,
    STREAM,
    all_events,
    ask,
    connect,
    either,
    failures,
    good,
    kept_open,
    sse_body,
    text_events,
    whole_body,
)
from victor.errors import (
    ConfigError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from victor.providers import transport
from victor.providers.registry import create_provider
from victor.testing.faults import (
    Answer,
    FaultServer,
    html_answer,
    json_answer,
    redirect_answer,
    sse_answer,
    truncated_answer,
)
from victor.types import Attachment, Message, Usage

# ---------------------------------------------------------------------------- calls


async def test_a_call_sends_one_request_and_returns_its_answer() -> None:
    async with FaultServer([CHAT]) as server, connect(server) as provider:
        answer = await provider.chat(HI, model="m", seed=7)
        assert answer.content == "Hello"
        assert answer.model == "m-1"
        assert answer.stop_reason == "stop"
        assert answer.usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
        (request,) = server.requests
        assert (request.method, request.path) == ("POST", "/chat/completions")
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["accept-encoding"] == "identity"
        assert request.headers["user-agent"] == "victor"
        assert request.json() == {
            "model": "m",
            "messages": [{"role": "user", "content": "Hi"}],
            "temperature": 0.7,
            "max_tokens": 4096,
            "seed": 7,
        }


async def test_a_stream_yields_the_text_and_one_final_chunk() -> None:
    async with FaultServer([STREAM]) as server, connect(server) as provider:
        chunks = [chunk async for chunk in provider.stream(HI, model="m")]
        assert [chunk.content for chunk in chunks] == ["Hel", "lo", ""]
        assert chunks[-1].is_final
        assert chunks[-1].stop_reason == "stop"
        assert chunks[-1].usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
        (request,) = server.requests
        assert request.headers["accept"] == "text/event-stream"
        assert request.json()["stream_options"] == {"include_usage": True}


async def test_tools_go_out_and_calls_come_back() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
    delta = {"choices": [{"index": 0, "delta": {"tool_calls": [{**call, "index": 0}]}}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    answers = [json_answer(whole_body(None, tool_calls=[call])), sse_answer([delta, end])]
    async with FaultServer(answers) as server, connect(server) as provider:
        answer = await provider.chat(HI, model="m", tools=[ADD])
        chunks = [chunk async for chunk in provider.stream(HI, model="m", tools=[ADD])]
        for calls in (answer.tool_calls, chunks[-1].tool_calls):
            assert calls is not None
            assert [(one.id, one.name, one.arguments) for one in calls] == [("c1", "add", {"a": 1})]
        assert chunks[-1].stop_reason == answer.stop_reason == "tool_calls"
        assert [one.json()["tools"][0]["function"]["name"] for one in server.requests] == [
            "add", "add",
        ]  # fmt: skip


CALL_TEXT = '{"tool": "add", "arguments": {"a": 1}}'


@pytest.mark.parametrize(
    "text", [CALL_TEXT, '{"tool": "answer", "arguments": {"text": "Hello"}}'], ids=["call", "text"]
)
async def test_a_model_without_calls_of_its_own_is_given_tools_by_a_schema(text: str) -> None:
    answers = [json_answer(whole_body(text)), sse_answer(all_events(*text))]
    async with FaultServer(answers) as server, connect(server, CONSTRAINED) as provider:
        answer = await provider.chat(HI, model="m", tools=[ADD])
        chunks = [chunk async for chunk in provider.stream(HI, model="m", tools=[ADD])]
        streamed = "".join(chunk.content for chunk in chunks)
        for content, calls in (
            (answer.content, answer.tool_calls),
            (streamed, chunks[-1].tool_calls),
        ):
            assert content == ("" if text == CALL_TEXT else "Hello")
            assert [one.arguments for one in calls or []] == [{"a": 1}] * (text == CALL_TEXT)
        for request in server.requests:
            assert "tools" not in request.json()
            assert request.json()["response_format"]["type"] == "json_schema"


async def test_a_model_without_calls_of_its_own_is_asked_as_usual_without_tools() -> None:
    async with FaultServer(good) as server, connect(server, CONSTRAINED) as provider:
        assert await ask(provider, "chat") == "Hello"
        assert await ask(provider, "stream") == "Hello"
        assert "response_format" not in server.requests[0].json()


@either
async def test_once_the_schema_is_done_with_the_answer_is_plain_text(how: str) -> None:
    call = {"name": "add", "arguments": {"a": 1}, "id": "c"}
    history = [
        *HI,
        Message.model_validate({"role": "assistant", "tool_calls": [call]}),
        Message(role="tool", tool_call_id="c", name="add", content="1"),
    ]
    async with FaultServer(good) as server, connect(server, CONSTRAINED) as provider:
        if how == "chat":
            text = (await provider.chat(history, model="m", tools=[ADD])).content
        else:
            found = [chunk async for chunk in provider.stream(history, model="m", tools=[ADD])]
            text = "".join(chunk.content for chunk in found)
        assert text == "Hello"
        assert "response_format" not in server.requests[0].json()


async def test_what_cannot_be_sent_is_not_sent_and_no_failure() -> None:
    film = Attachment(media_type="video/mp4", data=b"x")
    messages = [Message(role="user", content="?", attachments=[film])]
    async with FaultServer([CHAT]) as server, connect(server, max_retries=3) as provider:
        with pytest.raises(UnsupportedFeatureError):
            await provider.chat(messages, model="m")
        with pytest.raises(UnsupportedFeatureError):
            await anext(aiter(provider.stream(messages, model="m")))
        assert server.requests == []
        assert failures(provider) == 0


async def test_fifty_calls_at_once_are_answered() -> None:
    async with FaultServer(good) as server, connect(server) as provider:
        hows = ["chat", "stream"] * 25
        answers = await asyncio.gather(*(ask(provider, how) for how in hows))
        assert answers == ["Hello"] * 50
        assert len(server.requests) == 50


# ---------------------------------------------------------------------------- other answers


async def test_a_server_that_answers_a_stream_with_one_body_is_understood() -> None:
    async with FaultServer([CHAT]) as server, connect(server) as provider:
        chunks = [chunk async for chunk in provider.stream(HI, model="m")]
        assert [chunk.content for chunk in chunks] == ["Hello", ""]
        assert chunks[-1].is_final
        assert chunks[-1].usage == Usage(prompt_tokens=3, completion_tokens=2, total_tokens=5)
        assert chunks[-1].model == "m-1"


@either
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"code": "insufficient_quota", "message": "x"}}, ProviderQuotaError),
        ([{"error": {"code": 429, "message": "x"}}], ProviderRateLimitError),
        ({"hello": "world"}, ProviderInvalidResponseError),
    ],
    ids=["object", "array", "another shape"],
)
async def test_an_error_with_a_success_status_is_that_error(
    how: str, body: object, kind: type[ProviderError]
) -> None:
    async with FaultServer([json_answer(body)]) as server, connect(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider, how)
        assert type(caught.value) is kind


@pytest.mark.parametrize("texts", [(), ("Hel",)], ids=["at once", "after text"])
async def test_an_error_in_the_stream_is_that_error(texts: tuple[str, ...]) -> None:
    # Sent byte by byte, so that the text arrives before the error does.
    events = [*text_events(*texts), {"error": {"code": 400, "message": "Token limit reached"}}]
    answer = sse_answer(events, pace_s=0.0)
    async with FaultServer([answer]) as server, connect(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider, "stream")
        error = caught.value.__cause__ if texts else caught.value
        assert isinstance(error, ContextWindowExceededError)
        assert isinstance(caught.value, StreamInterruptedError) is bool(texts)
        assert failures(provider) == 0


@either
async def test_a_web_page_asks_whether_the_address_is_right(how: str) -> None:
    async with FaultServer([html_answer()]) as server, connect(server) as provider:
        with pytest.raises(ProviderInvalidResponseError) as caught:
            await ask(provider, how)
        assert str(caught.value) == (
            f"{server.url} answered with a web page, not with openai-compatible's API; "
            "is base_url right?"
        )
        assert failures(provider) == 1


async def test_a_stream_under_a_wrong_content_type_is_read() -> None:
    answer = kept_open(sse_body(all_events("Hello")), "application/json")
    async with FaultServer([answer]) as server, connect(server) as provider:
        assert await ask(provider, "stream") == "Hello"


async def test_a_stream_in_answer_to_a_call_is_a_typed_error() -> None:
    async with FaultServer([STREAM]) as server, connect(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match="not valid JSON"):
            await ask(provider, "chat")


def _compressed(body: bytes, encoding: str = "gzip") -> Answer:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n"
    return Answer(head.encode() + body, "keep")


@either
async def test_a_body_that_is_compressed_all_the_same_is_read(how: str) -> None:
    body = sse_body(all_events("Hello")) if how == "stream" else json.dumps(whole_body()).encode()
    answer = _compressed(gzip.compress(body))
    async with FaultServer([answer]) as server, connect(server) as provider:
        assert await ask(provider, how) == "Hello"
        assert server.requests[0].headers["accept-encoding"] == "identity"


@either
async def test_a_damaged_compressed_body_is_a_typed_error(how: str) -> None:
    async with FaultServer([_compressed(b"\x1f\x8bnope")]) as server, connect(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match="damaged compressed body"):
            await ask(provider, how)


async def test_a_body_over_the_cap_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 100_000)
    bomb = _compressed(gzip.compress(b" " * 10_000_000))
    long = json_answer(whole_body("x" * 200_000))
    async with FaultServer([bomb, long, CHAT]) as server, connect(server) as provider:
        for _ in range(2):
            with pytest.raises(ProviderInvalidResponseError, match="longer than 100,000 bytes"):
                await ask(provider, "chat")
        assert await ask(provider, "chat") == "Hello"


async def test_an_endless_error_body_does_not_hide_the_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "MAX_ERROR_BYTES", 1000)
    answers = [json_answer({"error": "x" * 5000}, 503), truncated_answer(b"{}")]
    async with FaultServer(answers) as server, connect(server) as provider:
        with pytest.raises(ProviderServerError, match="answered 503: no details"):
            await ask(provider, "chat")


@pytest.mark.parametrize("begin", [b"data: ", b'{"x": "'], ids=["endless event", "endless body"])
async def test_an_endless_line_in_a_stream_is_a_typed_error(
    begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.providers.reader.MAX_EVENT_BYTES", 100_000)
    answer = kept_open(begin + b"x" * 17_000_000)
    async with FaultServer([answer]) as server, connect(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match="not an event stream"):
            await ask(provider, "stream")


@either
@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {}, ProviderInvalidRequestError),
        (401, {}, ProviderAuthError),
        (402, {}, ProviderQuotaError),
        (403, {}, ProviderPermissionError),
        (404, {"error": "no model m"}, ModelNotFoundError),
        (429, {}, ProviderRateLimitError),
        (500, {}, ProviderServerError),
        (504, {}, ProviderTimeoutError),
    ],
)
async def test_a_status_becomes_its_error(
    how: str, status: int, body: object, kind: type[ProviderError]
) -> None:
    headers = {"retry-after": "100", "x-request-id": "r1"}
    answer = json_answer(body, status, headers)
    async with FaultServer([answer]) as server, connect(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider, how)
        error = caught.value
        assert type(error) is kind
        assert (error.status_code, error.retry_after, error.request_id) == (status, 100.0, "r1")
        assert (error.provider, error.model) == ("openai-compatible", "m")


@either
async def test_a_redirect_is_not_followed_and_the_key_stays_here(how: str) -> None:
    async with (
        FaultServer([CHAT]) as thief,
        FaultServer([redirect_answer(f"{thief.url}/v1")]) as server,
        connect(server, max_retries=3) as provider,
    ):
        with pytest.raises(ProviderInvalidRequestError, match=thief.url):
            await ask(provider, how)
        assert thief.connections == 0
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"modle": "x"}, "openai has no option modle$"),
        ({"max_retry": 1}, "openai has no option max_retry; did you mean max_retries[?]"),
        ({"model": "big"}, "give `model` to Agent, or to chat and stream"),
    ],
    ids=["unknown", "near", "model"],
)
def test_an_option_that_there_is_not_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        create_provider("openai", api_key="k", **options)
