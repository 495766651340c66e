from __future__ import annotations

import asyncio
import gc
import gzip
import json
import logging
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from victor.blocking import run_blocking
from victor.config.catalog import VENDORS, Vendor
from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    ProviderTLSError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from victor.providers import transport
from victor.providers.http import HTTPProvider
from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    FaultServer,
    Request,
    html_answer,
    json_answer,
    redirect_answer,
    sse_answer,
    truncated_answer,
)
from victor.types import Attachment, Capability, Message, StreamChunk, ToolDefinition, Usage

KEY = "sk-very-secret"
HI = [Message(role="user", content="Hi")]
ROW = VENDORS["openai-compatible"]
CONSTRAINED = replace(ROW, tool_mode="constrained")
ADD = ToolDefinition(
    name="add",
    description="Add.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "additionalProperties": False,
    },
)
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def _body(text: str | None = "Hello", **message: Any) -> dict[str, Any]:
    choice = {"message": {"role": "assistant", "content": text, **message}, "finish_reason": "stop"}
    return {"model": "m-1", "choices": [choice], "usage": USAGE}


def _deltas(*texts: str) -> list[object]:
    return [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]


def _events(*texts: str) -> list[object]:
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [*_deltas(*texts), end, {"choices": [], "usage": USAGE}]


CHAT = json_answer(_body())
STREAM = sse_answer(_events("Hel", "lo"))
DOWN = json_answer({"error": {"message": "down"}}, 500)


def _kept(body: bytes, kind: str = "text/event-stream") -> Answer:
    """Answer in chunks, so that the connection can be used again."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
    return Answer(head.encode() + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body), "keep")


def _sse(events: Sequence[object]) -> bytes:
    lines = [f"data: {json.dumps(event)}\n\n" for event in events]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()


def _good(request: Request) -> Answer:
    return _kept(_sse(_events("Hel", "lo"))) if request.json().get("stream") else CHAT


def _provider(server: FaultServer | str, vendor: Vendor = ROW, **options: Any) -> HTTPProvider:
    url = server if isinstance(server, str) else server.url
    defaults = {"api_key": KEY, "max_retries": 0, "retry_delay": 0.001, "timeout": 5}
    return HTTPProvider(vendor, base_url=url, **{**defaults, **options})


async def _ask(provider: HTTPProvider, how: str, **options: Any) -> str:
    if how == "chat":
        return (await provider.chat(HI, model="m", **options)).content
    chunks = [chunk async for chunk in provider.stream(HI, model="m", **options)]
    assert [chunk.is_final for chunk in chunks].index(True) == len(chunks) - 1
    return "".join(chunk.content for chunk in chunks)


def _failures(provider: HTTPProvider) -> int:
    assert provider.breaker is not None
    return provider.breaker.snapshot().failures


either = pytest.mark.parametrize("how", ["chat", "stream"])


# ---------------------------------------------------------------------------- calls


async def test_a_call_sends_one_request_and_returns_its_answer() -> None:
    async with FaultServer([CHAT]) as server, _provider(server) as provider:
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
    async with FaultServer([STREAM]) as server, _provider(server) as provider:
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
    answers = [json_answer(_body(None, tool_calls=[call])), sse_answer([delta, end])]
    async with FaultServer(answers) as server, _provider(server) as provider:
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
    answers = [json_answer(_body(text)), sse_answer(_events(*text))]
    async with FaultServer(answers) as server, _provider(server, CONSTRAINED) as provider:
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
    async with FaultServer(_good) as server, _provider(server, CONSTRAINED) as provider:
        assert await _ask(provider, "chat") == "Hello"
        assert await _ask(provider, "stream") == "Hello"
        assert "response_format" not in server.requests[0].json()


@either
async def test_once_the_schema_is_done_with_the_answer_is_plain_text(how: str) -> None:
    call = {"name": "add", "arguments": {"a": 1}, "id": "c"}
    history = [
        *HI,
        Message.model_validate({"role": "assistant", "tool_calls": [call]}),
        Message(role="tool", tool_call_id="c", name="add", content="1"),
    ]
    async with FaultServer(_good) as server, _provider(server, CONSTRAINED) as provider:
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
    async with FaultServer([CHAT]) as server, _provider(server, max_retries=3) as provider:
        with pytest.raises(UnsupportedFeatureError):
            await provider.chat(messages, model="m")
        with pytest.raises(UnsupportedFeatureError):
            await anext(aiter(provider.stream(messages, model="m")))
        assert server.requests == []
        assert _failures(provider) == 0


async def test_fifty_calls_at_once_are_answered() -> None:
    async with FaultServer(_good) as server, _provider(server) as provider:
        hows = ["chat", "stream"] * 25
        answers = await asyncio.gather(*(_ask(provider, how) for how in hows))
        assert answers == ["Hello"] * 50
        assert len(server.requests) == 50


# ---------------------------------------------------------------------------- other answers


async def test_a_server_that_answers_a_stream_with_one_body_is_understood() -> None:
    async with FaultServer([CHAT]) as server, _provider(server) as provider:
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
    async with FaultServer([json_answer(body)]) as server, _provider(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, how)
        assert type(caught.value) is kind


@pytest.mark.parametrize("texts", [(), ("Hel",)], ids=["at once", "after text"])
async def test_an_error_in_the_stream_is_that_error(texts: tuple[str, ...]) -> None:
    # Sent byte by byte, so that the text arrives before the error does.
    events = [*_deltas(*texts), {"error": {"code": 400, "message": "Token limit reached"}}]
    answer = sse_answer(events, pace_s=0.0)
    async with FaultServer([answer]) as server, _provider(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, "stream")
        error = caught.value.__cause__ if texts else caught.value
        assert isinstance(error, ContextWindowExceededError)
        assert isinstance(caught.value, StreamInterruptedError) is bool(texts)
        assert _failures(provider) == 0


@either
async def test_a_web_page_asks_whether_the_address_is_right(how: str) -> None:
    async with FaultServer([html_answer()]) as server, _provider(server) as provider:
        with pytest.raises(ProviderInvalidResponseError) as caught:
            await _ask(provider, how)
        assert str(caught.value) == (
            f"{server.url} answered with a web page, not with openai-compatible's API; "
            "is base_url right?"
        )
        assert _failures(provider) == 1


async def test_a_stream_under_a_wrong_content_type_is_read() -> None:
    answer = _kept(_sse(_events("Hello")), "application/json")
    async with FaultServer([answer]) as server, _provider(server) as provider:
        assert await _ask(provider, "stream") == "Hello"


async def test_a_stream_in_answer_to_a_call_is_a_typed_error() -> None:
    async with FaultServer([STREAM]) as server, _provider(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match="not valid JSON"):
            await _ask(provider, "chat")


def _compressed(body: bytes, encoding: str = "gzip") -> Answer:
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n"
    return Answer(head.encode() + body, "keep")


@either
async def test_a_body_that_is_compressed_all_the_same_is_read(how: str) -> None:
    body = _sse(_events("Hello")) if how == "stream" else json.dumps(_body()).encode()
    answer = _compressed(gzip.compress(body))
    async with FaultServer([answer]) as server, _provider(server) as provider:
        assert await _ask(provider, how) == "Hello"
        assert server.requests[0].headers["accept-encoding"] == "identity"


@either
async def test_a_damaged_compressed_body_is_a_typed_error(how: str) -> None:
    async with FaultServer([_compressed(b"\x1f\x8bnope")]) as server, _provider(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match="damaged compressed body"):
            await _ask(provider, how)


async def test_a_body_over_the_cap_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_BODY_BYTES", 100_000)
    bomb = _compressed(gzip.compress(b" " * 10_000_000))
    long = json_answer(_body("x" * 200_000))
    async with FaultServer([bomb, long, CHAT]) as server, _provider(server) as provider:
        for _ in range(2):
            with pytest.raises(ProviderInvalidResponseError, match="longer than 100,000 bytes"):
                await _ask(provider, "chat")
        assert await _ask(provider, "chat") == "Hello"


async def test_an_endless_error_body_does_not_hide_the_status(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "MAX_ERROR_BYTES", 1000)
    answers = [json_answer({"error": "x" * 5000}, 503), truncated_answer(b"{}")]
    async with FaultServer(answers) as server, _provider(server) as provider:
        with pytest.raises(ProviderServerError, match="answered 503: no details"):
            await _ask(provider, "chat")


@pytest.mark.parametrize("begin", [b"data: ", b'{"x": "'], ids=["endless event", "endless body"])
async def test_an_endless_line_in_a_stream_is_a_typed_error(
    begin: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("victor.providers.http.MAX_EVENT_BYTES", 100_000)
    answer = _kept(begin + b"x" * 17_000_000)
    async with FaultServer([answer]) as server, _provider(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match="not an event stream"):
            await _ask(provider, "stream")


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
    async with FaultServer([answer]) as server, _provider(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, how)
        error = caught.value
        assert type(error) is kind
        assert (error.status_code, error.retry_after, error.request_id) == (status, 100.0, "r1")
        assert (error.provider, error.model) == ("openai-compatible", "m")


@either
async def test_a_redirect_is_not_followed_and_the_key_stays_here(how: str) -> None:
    async with (
        FaultServer([CHAT]) as thief,
        FaultServer([redirect_answer(f"{thief.url}/v1")]) as server,
        _provider(server, max_retries=3) as provider,
    ):
        with pytest.raises(ProviderInvalidRequestError, match=thief.url):
            await _ask(provider, how)
        assert thief.connections == 0
        assert len(server.requests) == 1


# ---------------------------------------------------------------------------- connections


@either
@pytest.mark.parametrize("vendor", [ROW, CONSTRAINED], ids=["native", "constrained"])
async def test_one_connection_serves_call_after_call(how: str, vendor: Vendor) -> None:
    async with FaultServer(_good) as server, _provider(server, vendor) as provider:
        for _ in range(10):
            assert await _ask(provider, how) == "Hello"
        assert server.connections == 1


async def test_errors_leave_the_connection_usable() -> None:
    answers = [DOWN, json_answer({"error": "x"}, 400), html_answer(), CHAT]
    async with FaultServer(answers) as server, _provider(server) as provider:
        for _ in range(3):
            with pytest.raises(ProviderError):
                await _ask(provider, "chat")
        assert await _ask(provider, "chat") == "Hello"
        assert server.connections == 1


async def test_a_server_that_does_not_end_after_its_last_event_delays_nobody() -> None:
    answer = sse_answer(_events("Hello"), then="stall")
    async with FaultServer([answer]) as server, _provider(server) as provider:
        async with asyncio.timeout(3):
            assert await _ask(provider, "stream") == "Hello"
        assert _failures(provider) == 0


async def test_a_server_that_goes_on_after_its_last_event_delays_nobody() -> None:
    answer = sse_answer(_events("Hello"), then="beat", pace_s=0.0)
    async with FaultServer([answer]) as server, _provider(server) as provider:
        async with asyncio.timeout(3):
            assert await _ask(provider, "stream") == "Hello"


@asynccontextmanager
async def _silent_server(first: bytes = b"") -> Any:
    """Take one request, send some bytes, and tell when the client is there and when it left."""
    arrived, left = asyncio.Event(), asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        arrived.set()
        while await reader.read(1000):
            pass
        left.set()
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    async with server:
        yield f"http://127.0.0.1:{port}", arrived, left


@either
@pytest.mark.parametrize("vendor", [ROW, CONSTRAINED], ids=["native", "constrained"])
async def test_cancelling_closes_the_connection_and_is_no_failure(how: str, vendor: Vendor) -> None:
    async with (
        _silent_server() as (url, arrived, left),
        _provider(url, vendor, max_retries=3) as provider,
    ):
        task = asyncio.create_task(_ask(provider, how, tools=[ADD]))
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 5)
        assert _failures(provider) == 0


@pytest.fixture
async def abandoned() -> AsyncIterator[list[str]]:
    """Names of the generators that were left to the garbage collector instead of being closed."""
    found: list[str] = []
    before = sys.get_asyncgen_hooks()

    def finalize(generator: Any) -> None:
        found.append(generator.__qualname__)
        assert before.finalizer is not None
        before.finalizer(generator)

    sys.set_asyncgen_hooks(firstiter=before.firstiter, finalizer=finalize)
    yield found
    sys.set_asyncgen_hooks(*before)


@pytest.mark.parametrize("vendor", [ROW, CONSTRAINED], ids=["native", "constrained"])
async def test_leaving_a_stream_closes_the_connection_before_going_on(
    vendor: Vendor, abandoned: list[str]
) -> None:
    text = '{"tool": "answer", "arguments": {"text": "Hel'
    first = sse_answer(_deltas(text), done=None).data
    async with _silent_server(first) as (url, _, left), _provider(url, vendor) as provider:
        stream = provider.stream(HI, model="m", tools=[ADD])
        async with aclosing(stream) as chunks:  # type: ignore[type-var]
            assert (await anext(aiter(chunks))).content.endswith("Hel")
        gc.collect()
        assert abandoned == []
        await asyncio.wait_for(left.wait(), 5)
        assert _failures(provider) == 0


async def test_closing_twice_is_allowed_and_a_closed_provider_connects_anew() -> None:
    async with FaultServer(_good) as server:
        provider = _provider(server)
        await provider.close()
        assert await _ask(provider, "chat") == "Hello"
        await provider.close()
        await provider.close()
        assert await _ask(provider, "chat") == "Hello"
        await provider.close()
        assert server.connections == 2


def test_a_provider_serves_one_event_loop_after_another() -> None:
    server = FaultServer(_good)
    run_blocking(server.__aenter__())
    try:
        provider = _provider(server)

        async def ask_both(*, close: bool) -> list[str]:
            answers = [await _ask(provider, how) for how in ("chat", "stream")]
            if close:
                await provider.close()
            return answers

        assert asyncio.run(ask_both(close=True)) == ["Hello", "Hello"]
        assert asyncio.run(ask_both(close=True)) == ["Hello", "Hello"]
        assert run_blocking(ask_both(close=False)) == ["Hello", "Hello"]
        assert server.connections == 3

        async def ask_on_two_loops() -> list[str]:
            here = await ask_both(close=False)
            there = await asyncio.to_thread(run_blocking, ask_both(close=False))
            return here + there + await ask_both(close=True)

        assert asyncio.run(ask_on_two_loops()) == ["Hello"] * 6
        assert server.connections == 4  # each loop has kept its own
    finally:
        run_blocking(server.__aexit__())


async def test_closing_on_another_loop_is_quiet() -> None:
    async with FaultServer(_good) as server:
        provider = _provider(server)
        await _ask(provider, "chat")
        await asyncio.to_thread(asyncio.run, provider.close())
        assert await _ask(provider, "chat") == "Hello"
        await provider.close()


# ---------------------------------------------------------------------------- no connection


async def _unused_port() -> int:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port: int = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    return port


@either
async def test_a_server_that_is_not_there_is_named(how: str) -> None:
    port = await _unused_port()
    async with _provider(f"http://127.0.0.1:{port}/v1") as provider:
        with pytest.raises(ProviderConnectionError) as caught:
            await _ask(provider, how)
        assert str(caught.value) == (
            f"127.0.0.1:{port} refused the connection; is the server running?"
        )
        assert caught.value.provider == "openai-compatible"
        assert _failures(provider) == 1


async def test_a_name_that_does_not_resolve_is_named() -> None:
    async with _provider("http://no-such-host.invalid/v1") as provider:
        with pytest.raises(ProviderConnectionError, match=r"no-such-host\.invalid does not"):
            await _ask(provider, "chat")


@pytest.fixture
async def plain_port() -> Any:
    """A server without TLS, which answers what it does not understand as they all do."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_tls_to_a_port_without_it_is_neither_retried_nor_a_failure(plain_port: int) -> None:
    async with _provider(f"https://127.0.0.1:{plain_port}", max_retries=3) as provider:
        with pytest.raises(ProviderTLSError, match=f"127.0.0.1:{plain_port} is not trusted"):
            await _ask(provider, "chat")
        assert _failures(provider) == 0


@either
@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (RESET, ProviderConnectionError, "broke the connection while waiting for an answer"),
        (GARBAGE, ProviderConnectionError, "broke the connection while waiting for an answer"),
        (Answer(), ProviderConnectionError, "broke the connection while waiting for an answer"),
    ],
    ids=["reset", "no http", "end"],
)
async def test_a_connection_that_breaks_before_the_answer_is_a_failure(
    how: str, fault: Answer, kind: type[ProviderError], says: str
) -> None:
    async with FaultServer([fault]) as server, _provider(server, max_retries=2) as provider:
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, how)
        assert type(caught.value) is kind
        assert says in str(caught.value)
        assert server.url.removeprefix("http://") in str(caught.value)
        assert len(server.requests) == 3
        assert _failures(provider) == 3


async def test_an_answer_that_is_cut_off_is_a_failure() -> None:
    fault = truncated_answer(b'{"choices"')
    async with FaultServer([fault]) as server, _provider(server) as provider:
        with pytest.raises(ProviderConnectionError, match="while reading the answer"):
            await _ask(provider, "chat")


@pytest.mark.parametrize(
    ("events", "then", "partial"),
    [
        ((), "close", None),
        ((), "reset", None),
        (("Hel", "lo"), "close", "Hello"),
        (("Hel", "lo"), "reset", "Hello"),
    ],
    ids=["end at once", "reset at once", "end after text", "reset after text"],
)
async def test_a_stream_that_breaks_off_is_never_an_answer(
    events: tuple[str, ...], then: Any, partial: str | None
) -> None:
    fault = sse_answer(_deltas(*events), done=None, then=then, pace_s=0.0)
    async with FaultServer([fault]) as server, _provider(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, "stream")
        if partial is None:
            assert type(caught.value) is ProviderConnectionError
        else:
            assert isinstance(caught.value, StreamInterruptedError)
            assert caught.value.partial == partial
            assert isinstance(caught.value.__cause__, ProviderConnectionError)
        assert _failures(provider) == 1


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("how", "fault", "kind"),
    [
        ("chat", STALL, ProviderTimeoutError),
        ("stream", STALL, ProviderTimeoutError),
        ("chat", Answer(HEAD, "stall"), ProviderTimeoutError),
        ("chat", Answer(HEAD + b"content-length: 9\r\n\r\n{", "stall"), ProviderTimeoutError),
        ("chat", Answer(HEAD + b"x: " + b"y" * 9999, pace_s=0.001), ProviderTimeoutError),
        ("stream", sse_answer([], done=None, then="stall"), ProviderTimeoutError),
        ("stream", sse_answer([], done=None, then="beat", pace_s=0.001), ProviderTimeoutError),
        ("stream", sse_answer(_deltas("x"), done=None, then="stall"), StreamInterruptedError),
        ("stream", sse_answer(_deltas("x"), done=None, then="beat", pace_s=0.0),
         StreamInterruptedError),
    ],
    ids=["chat before headers", "stream before headers", "within headers", "within the body",
         "drip", "stream before content", "heartbeats before content", "stream after content",
         "heartbeats after content"],
)  # fmt: skip
async def test_a_server_that_stalls_ends_at_the_deadline(
    how: str, fault: Answer, kind: type[ProviderError]
) -> None:
    async with FaultServer([fault]) as server, _provider(server, timeout=0.2) as provider:
        with pytest.raises(ProviderError) as caught:
            await _ask(provider, how)
        assert type(caught.value) is kind
        assert _failures(provider) == 1


# ---------------------------------------------------------------------------- votes


@either
@pytest.mark.parametrize("fault", [DOWN, RESET, STALL], ids=["500", "reset", "stall"])
async def test_an_endpoint_that_is_down_is_left_alone(how: str, fault: Answer) -> None:
    async with FaultServer([fault]) as server, _provider(server, timeout=0.1) as provider:
        for _ in range(5):
            with pytest.raises(ProviderError):
                await _ask(provider, how)
        with pytest.raises(CircuitOpenError, match=server.url):
            await _ask(provider, how)
        assert len(server.requests) == 5


@either
async def test_refusals_leave_the_endpoint_open(how: str) -> None:
    answers = [json_answer({"error": "no"}, status) for status in (400, 401, 404, 413, 422, 429)]
    async with FaultServer(answers) as server, _provider(server) as provider:
        for _ in range(12):
            with pytest.raises(ProviderError):
                await _ask(provider, how)
        assert len(server.requests) == 12
        assert _failures(provider) == 0


# ---------------------------------------------------------------------------- keys, addresses

ACME = Vendor("acme", "https://api.acme.example/v1", ("ACME_API_KEY",), "acme-large")


async def test_a_missing_key_warns_at_once_and_fails_at_the_call(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with FaultServer([CHAT]) as server:
        with caplog.at_level(logging.WARNING):
            provider = _provider(server, ACME, api_key=None, max_retries=3)
        message = "no API key for acme: run `victor keys set acme`, or set ACME_API_KEY"
        assert caplog.messages == [message]
        for how in ("chat", "stream"):
            with pytest.raises(ProviderAuthError) as caught:
                await _ask(provider, how)
            assert str(caught.value) == message
        with pytest.raises(ProviderAuthError):
            await provider.list_models()
        assert server.connections == 0
        assert _failures(provider) == 0


def test_the_key_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_API_KEY", " from-environment\n")
    assert HTTPProvider(ACME).api_key == "from-environment"
    assert HTTPProvider(ACME, api_key="mine").api_key == "mine"


async def test_a_server_of_ones_own_is_asked_without_a_key() -> None:
    async with FaultServer([CHAT]) as server:
        async with _provider(server, api_key=None) as provider:
            await _ask(provider, "chat")
        assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "key",
    ["sk-secret\nx", "sk-secret\rx", "sk\u2013secret", "sk-secret\x00x", "sk-secret\u200b"],
    ids=ascii,
)
def test_a_key_that_cannot_be_sent_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(ConfigError, match="victor keys set acme") as caught:
        HTTPProvider(ACME, api_key=key)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "fault",
    [RESET, GARBAGE, html_answer(), DOWN, redirect_answer("https://x.io"), truncated_answer(b"{")],
    ids=["reset", "garbage", "page", "500", "redirect", "cut"],
)  # fmt: skip
async def test_no_error_holds_the_key_or_the_prompt(fault: Answer) -> None:
    secret = [Message(role="user", content="my own diary")]
    async with FaultServer([fault]) as server, _provider(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.chat(secret, model="m")
        error: BaseException | None = caught.value
        while error is not None:
            assert KEY not in f"{error!r} {vars(error)}"
            assert "diary" not in f"{error!r} {vars(error)}"
            error = error.__cause__ or error.__context__
        assert KEY not in repr(provider)


@pytest.mark.parametrize(
    "url",
    ["ftp://x.example", "x.example/v1", "http://", "https:///v1", "http://[::1", "http://x:99999",
     "http://x:y", "https://user:geheim@x.example", "http://x.example\x00/"],
    ids=ascii,
)  # fmt: skip
def test_an_address_that_is_none_is_refused_when_the_provider_is_made(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url: ") as caught:
        HTTPProvider(ROW, base_url=url)
    assert "geheim" not in str(caught.value)


def test_a_vendor_without_an_address_asks_for_one() -> None:
    with pytest.raises(ConfigError, match="has no address of its own: pass base_url"):
        HTTPProvider(ROW)


async def test_a_trailing_slash_makes_no_difference() -> None:
    async with FaultServer([CHAT]) as server:
        async with _provider(f"{server.url}/v1/") as provider:
            assert provider.base_url == f"{server.url}/v1"
            await _ask(provider, "chat")
        assert server.requests[0].path == "/v1/chat/completions"


# ---------------------------------------------------------------------------- the rest


async def test_the_models_of_an_endpoint_are_listed() -> None:
    rows = {"object": "list", "data": [{"id": "b"}, {"id": "a", "owned_by": "x"}]}
    async with FaultServer([json_answer(rows), json_answer({"data": None})]) as server:
        async with _provider(server) as provider:
            assert await provider.list_models() == ["b", "a"]
            assert await provider.list_models() == []
        assert (server.requests[0].method, server.requests[0].path) == ("GET", "/models")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    "body", [b"[]", b"{", b"{}x", b'{"data": [1]}', b'{"data": [{}]}', b'{"data": 5}', b"<html>"]
)
async def test_a_list_of_models_that_is_none_is_a_typed_error(body: bytes) -> None:
    async with FaultServer([_kept(body)]) as server, _provider(server) as provider:
        with pytest.raises(ProviderInvalidResponseError, match=f"{server.url} answered with"):
            await provider.list_models()
        assert _failures(provider) == 1


async def test_a_dead_endpoint_is_not_asked_for_its_models() -> None:
    async with FaultServer([DOWN]) as server, _provider(server, max_retries=3) as provider:
        for _ in range(5):
            with pytest.raises(ProviderServerError):
                await provider.list_models()
        with pytest.raises(CircuitOpenError):
            await provider.list_models()
        with pytest.raises(CircuitOpenError):
            await _ask(provider, "chat")
        assert len(server.requests) == 5


async def test_capabilities_and_defaults_come_from_the_vendors_row() -> None:
    provider = HTTPProvider(replace(ACME, tool_mode="constrained"), api_key=KEY)
    assert provider.name == "acme"
    assert provider.default_model == "acme-large"
    assert provider.supports_tools()
    assert provider.supports_streaming()
    found = await provider.discover_capabilities("m")
    assert found.tool_mode == "constrained"
    assert Capability.STREAMING in found
    assert "tools" in found
    assert "vision" not in found


class Shouting(HTTPProvider):
    """Somebody's subclass, which builds on the streams of ours."""

    async def stream(self, *args: Any, **kwargs: Any) -> Any:
        async for chunk in super().stream(*args, **kwargs):
            yield StreamChunk(
                chunk.content.upper(), stop_reason=chunk.stop_reason, is_final=chunk.is_final
            )


async def test_a_subclass_that_builds_on_our_stream_is_guarded_once() -> None:
    async with (
        FaultServer([DOWN, DOWN, DOWN, STREAM]) as server,
        Shouting(ROW, base_url=server.url, max_retries=1, retry_delay=0.001) as provider,
    ):
        with pytest.raises(ProviderServerError):
            await _ask(provider, "stream")
        assert len(server.requests) == 2
        assert await _ask(provider, "stream") == "HELLO"
        assert _failures(provider) == 3
