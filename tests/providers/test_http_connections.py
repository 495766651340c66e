from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Literal

import pytest

from tests.providers.loopback import (
    ADD,
    CHAT,
    CONSTRAINED,
    DOWN,
    HI,
    ROW,
    all_events,
    ask,
    connect,
    either,
    failures,
    good,
    kept_open,
    sse_body,
    text_events,
)
from victor.blocking import run_blocking
from victor.config.catalog import Vendor
from victor.errors import (
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    ProviderTLSError,
    StreamInterruptedError,
)
from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    FaultServer,
    html_answer,
    json_answer,
    sse_answer,
    truncated_answer,
)

# ---------------------------------------------------------------------------- connections


@either
@pytest.mark.parametrize("vendor", [ROW, CONSTRAINED], ids=["native", "constrained"])
async def test_one_connection_serves_call_after_call(how: str, vendor: Vendor) -> None:
    async with FaultServer(good) as server, connect(server, vendor) as provider:
        for _ in range(10):
            assert await ask(provider, how) == "Hello"
        assert server.connections == 1


@either
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_kept_connection_that_had_ended_costs_no_attempt(
    how: str, end: Literal["close", "reset"]
) -> None:
    fine = CHAT if how == "chat" else kept_open(sse_body(all_events("Hel", "lo")))
    async with FaultServer([fine, Answer(b"", end), fine]) as server, connect(server) as provider:
        assert await ask(provider, how) == "Hello"
        assert await ask(provider, how) == "Hello"
        assert len(server.requests) == 3
        assert failures(provider) == 0


@either
async def test_a_new_connection_that_ends_at_once_is_a_failure(how: str) -> None:
    async with FaultServer([Answer(b"", "close")]) as server, connect(server) as provider:
        with pytest.raises(ProviderConnectionError):
            await ask(provider, how)
        assert len(server.requests) == 1
        assert failures(provider) == 1


async def test_errors_leave_the_connection_usable() -> None:
    answers = [DOWN, json_answer({"error": "x"}, 400), html_answer(), CHAT]
    async with FaultServer(answers) as server, connect(server) as provider:
        for _ in range(3):
            with pytest.raises(ProviderError):
                await ask(provider, "chat")
        assert await ask(provider, "chat") == "Hello"
        assert server.connections == 1


async def test_a_server_that_does_not_end_after_its_last_event_delays_nobody() -> None:
    answer = sse_answer(all_events("Hello"), then="stall")
    async with FaultServer([answer]) as server, connect(server) as provider:
        async with asyncio.timeout(3):
            assert await ask(provider, "stream") == "Hello"
        assert failures(provider) == 0


async def test_a_server_that_goes_on_after_its_last_event_delays_nobody() -> None:
    answer = sse_answer(all_events("Hello"), then="beat", pace_s=0.0)
    async with FaultServer([answer]) as server, connect(server) as provider:
        async with asyncio.timeout(3):
            assert await ask(provider, "stream") == "Hello"


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
        connect(url, vendor, max_retries=3) as provider,
    ):
        task = asyncio.create_task(ask(provider, how, tools=[ADD]))
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 5)
        assert failures(provider) == 0


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
    first = sse_answer(text_events(text), done=None).data
    async with _silent_server(first) as (url, _, left), connect(url, vendor) as provider:
        stream = provider.stream(HI, model="m", tools=[ADD])
        async with aclosing(stream) as chunks:  # type: ignore[type-var]
            assert (await anext(aiter(chunks))).content.endswith("Hel")
        gc.collect()
        assert abandoned == []
        await asyncio.wait_for(left.wait(), 5)
        assert failures(provider) == 0


async def test_closing_twice_is_allowed_and_a_closed_provider_connects_anew() -> None:
    async with FaultServer(good) as server:
        provider = connect(server)
        await provider.close()
        assert await ask(provider, "chat") == "Hello"
        await provider.close()
        await provider.close()
        assert await ask(provider, "chat") == "Hello"
        await provider.close()
        assert server.connections == 2


def test_a_provider_serves_one_event_loop_after_another() -> None:
    server = FaultServer(good)
    run_blocking(server.__aenter__())
    try:
        provider = connect(server)

        async def ask_both(*, close: bool) -> list[str]:
            answers = [await ask(provider, how) for how in ("chat", "stream")]
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
    async with FaultServer(good) as server:
        provider = connect(server)
        await ask(provider, "chat")
        await asyncio.to_thread(asyncio.run, provider.close())
        assert await ask(provider, "chat") == "Hello"
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
    async with connect(f"http://127.0.0.1:{port}/v1") as provider:
        with pytest.raises(ProviderConnectionError) as caught:
            await ask(provider, how)
        assert str(caught.value) == (
            f"127.0.0.1:{port} refused the connection; is the server running?"
        )
        assert caught.value.provider == "openai-compatible"
        assert failures(provider) == 1


async def test_a_name_that_does_not_resolve_is_named() -> None:
    async with connect("http://no-such-host.invalid/v1") as provider:
        with pytest.raises(ProviderConnectionError, match=r"no-such-host\.invalid does not"):
            await ask(provider, "chat")


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
    async with connect(f"https://127.0.0.1:{plain_port}", max_retries=3) as provider:
        with pytest.raises(ProviderTLSError, match=f"127.0.0.1:{plain_port} is not trusted"):
            await ask(provider, "chat")
        assert failures(provider) == 0


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
    async with FaultServer([fault]) as server, connect(server, max_retries=2) as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider, how)
        assert type(caught.value) is kind
        assert says in str(caught.value)
        assert server.url.removeprefix("http://") in str(caught.value)
        assert len(server.requests) == 3
        assert failures(provider) == 3


async def test_an_answer_that_is_cut_off_is_a_failure() -> None:
    fault = truncated_answer(b'{"choices"')
    async with FaultServer([fault]) as server, connect(server) as provider:
        with pytest.raises(ProviderConnectionError, match="while reading the answer"):
            await ask(provider, "chat")


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
    fault = sse_answer(text_events(*events), done=None, then=then, pace_s=0.0)
    async with FaultServer([fault]) as server, connect(server) as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider, "stream")
        if partial is None:
            assert type(caught.value) is ProviderConnectionError
        else:
            assert isinstance(caught.value, StreamInterruptedError)
            assert caught.value.partial == partial
            assert isinstance(caught.value.__cause__, ProviderConnectionError)
        assert failures(provider) == 1


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
        ("stream", sse_answer(text_events("x"), done=None, then="stall"), StreamInterruptedError),
        ("stream", sse_answer(text_events("x"), done=None, then="beat", pace_s=0.0),
         StreamInterruptedError),
    ],
    ids=["chat before headers", "stream before headers", "within headers", "within the body",
         "drip", "stream before content", "heartbeats before content", "stream after content",
         "heartbeats after content"],
)  # fmt: skip
async def test_a_server_that_stalls_ends_at_the_deadline(
    how: str, fault: Answer, kind: type[ProviderError]
) -> None:
    async with FaultServer([fault]) as server, connect(server, timeout=0.2) as provider:
        with pytest.raises(ProviderError) as caught:
            await ask(provider, how)
        assert type(caught.value) is kind
        assert failures(provider) == 1
