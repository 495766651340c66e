from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest

from tests.faults.protocols import PROTOCOLS, How, Protocol
from tests.faults.support import HI, KEY, MODEL, ask, connect, half_open, votes
from victor.errors import (
    CircuitOpenError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
)
from victor.providers import transport
from victor.providers.http import HTTPProvider
from victor.testing.faults import (
    STALL,
    Answer,
    FaultServer,
    Request,
    json_answer,
    refusing,
)
from victor.types import StreamChunk

BOTH_HOWS = pytest.mark.parametrize("how", ["chat", "stream"])
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: str(one.name))
NINE_HOURS = 9 * 3600.0

# ---------------------------------------------------------------------------- F50: clocks


@pytest.fixture(params=[NINE_HOURS, -NINE_HOURS], ids=["forward", "back"])
def jumping(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the wall clock jump every time it is looked at."""
    real, jumps = time.time, iter(range(1_000_000))
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps) * request.param)


@pytest.mark.usefixtures("jumping")
@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f50_a_clock_that_jumps_changes_no_call(protocol: Protocol, how: How) -> None:
    limited = json_answer(protocol.error("rate_limit_error"), 429, {"retry-after": "0.01"})
    script = [protocol.well(how), limited, protocol.well(how)]
    async with FaultServer(script) as server, connect(server.url, protocol) as provider:
        assert await ask(provider, how) == "Hello"
        assert await ask(provider, how) == "Hello"
        assert len(server.requests) == 3


@pytest.mark.usefixtures("jumping")
@BOTH_PROTOCOLS
async def test_f50_a_clock_that_jumps_moves_no_deadline_and_no_circuit(protocol: Protocol) -> None:
    down = json_answer(protocol.error("api_error"), 500)

    def choose(request: Request) -> Answer:
        return STALL if len(server.requests) == 1 else down

    options = {"max_retries": 0, "timeout": 0.1}
    async with FaultServer(choose) as server, connect(server.url, protocol, **options) as provider:
        with pytest.raises(ProviderTimeoutError):
            await ask(provider, "chat")
        for _ in range(4):
            with pytest.raises(ProviderError):
                await ask(provider, "chat")
        for _ in range(3):
            with pytest.raises(CircuitOpenError) as caught:
                await ask(provider, "chat")
            assert 0 < (caught.value.retry_after or 0) <= 1
        assert len(server.requests) == 5


# ---------------------------------------------------------------------------- F51: descriptors


@contextmanager
def _no_descriptors_left() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - names only
    fillers: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 1, hard))
        while True:
            try:
                fillers.append(os.dup(0))
            except OSError:
                break
        yield
    finally:
        for filler in fillers:
            os.close(filler)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f51_no_descriptor_left_is_typed_and_says_nothing_of_the_endpoint(
    protocol: Protocol, how: How
) -> None:
    async with FaultServer(protocol.good) as server, connect(server.url, protocol) as provider:
        half_open(provider)
        with _no_descriptors_left(), pytest.raises(ProviderConnectionError) as caught:
            await ask(provider, how)
        assert "Too many open files" in str(caught.value)
        assert provider.breaker is not None
        assert provider.breaker.state == "half-open"
        assert await ask(provider, how) == "Hello"


async def _abandoned(provider: HTTPProvider) -> StreamChunk:
    stream = provider.stream(HI, model=MODEL)
    return await anext(aiter(stream))


@BOTH_PROTOCOLS
async def test_f51_abandoned_streams_give_their_connections_back(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_LIMITS", httpx.Limits(max_connections=2))
    stall = protocol.cut(protocol.text("Hello"), "stall")
    script = [stall, stall, protocol.well("chat")]
    async with FaultServer(script) as server, connect(server.url, protocol) as provider:
        for _ in range(2):
            await _abandoned(provider)
            gc.collect()
        assert await ask(provider, "chat") == "Hello"
        assert votes(provider) == (1, 0, 0)


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f51_all_connections_in_use_is_typed_and_released_on_close(
    protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_LIMITS", httpx.Limits(max_connections=1))
    monkeypatch.setitem(transport._TIMEOUTS, "pool", 0.02)
    script = [protocol.cut(protocol.text("Hello"), "stall"), protocol.well(how)]
    async with FaultServer(script) as server, connect(server.url, protocol) as provider:
        held = aiter(provider.stream(HI, model=MODEL))
        await anext(held)
        with pytest.raises(ProviderError, match=r"all connections to .* are in use"):
            await ask(provider, how)
        assert votes(provider) == (0, 0, 0)
        await held.aclose()  # type: ignore[attr-defined] # it is a generator
        assert await ask(provider, how) == "Hello"
        assert len(server.requests) == 2


# ---------------------------------------------------------------------------- F53: proxies

API = "http://api.acme.example/v1"


@asynccontextmanager
async def _behind(
    proxy: str, protocol: Protocol, monkeypatch: pytest.MonkeyPatch, address: str = API
) -> AsyncIterator[HTTPProvider]:
    # People write it with and without its scheme.
    monkeypatch.setenv("HTTP_PROXY", proxy.replace("http://", "ann:hunter2@"))
    monkeypatch.setenv("HTTPS_PROXY", proxy.replace("http://", "http://ann:hunter2@"))
    async with connect(address, protocol, timeout=0.15) as provider:
        yield provider


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f53_a_proxy_passes_a_request_on(
    protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer(protocol.good) as proxy:
        async with _behind(proxy.url, protocol, monkeypatch) as provider:
            assert await ask(provider, how) == "Hello"
        assert proxy.requests[0].path.startswith(API)


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f53_a_proxy_that_is_not_there_is_named(
    protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing() as url:
        async with _behind(url, protocol, monkeypatch) as provider:
            with pytest.raises(ProviderConnectionError) as caught:
                await ask(provider, how)
            told = f"{url.removeprefix('http://')} (the proxy for api.acme.example) refused"
            assert str(caught.value).startswith(told)
            assert "hunter2" not in str(caught.value)
            assert votes(provider) == (3, 3, 0)


@BOTH_HOWS
@BOTH_PROTOCOLS
@pytest.mark.parametrize("address", [API, API.replace("http:", "https:")], ids=["plain", "tunnel"])
async def test_f53_a_proxy_that_wants_a_password_is_named(
    protocol: Protocol, how: How, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer([json_answer({}, 407)]) as proxy:
        async with _behind(proxy.url, protocol, monkeypatch, address) as provider:
            with pytest.raises(ProviderError) as caught:
                await ask(provider, how)
            assert "answered 407: no details; a proxy wants a password" in str(caught.value)
            assert KEY not in str(caught.value)
            assert "hunter2" not in str(caught.value)
            assert votes(provider) == (1, 1, 0)
        assert len(proxy.requests) == 1
        if address.startswith("https"):
            assert proxy.requests[0].method == "CONNECT"
            assert KEY not in str(proxy.requests)


@BOTH_PROTOCOLS
async def test_f53_a_proxy_that_holds_a_stream_back_ends_at_the_deadline(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = protocol.cut([]).data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    async with (
        FaultServer([Answer(head, "stall")]) as proxy,
        _behind(proxy.url, protocol, monkeypatch) as provider,
    ):
        with pytest.raises(ProviderTimeoutError, match="no content within"):
            await ask(provider, "stream")
        assert votes(provider) == (3, 3, 0)


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f53_a_server_on_this_machine_is_asked_without_the_proxy(
    protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer([STALL]) as proxy, FaultServer(protocol.good) as server:
        async with _behind(proxy.url, protocol, monkeypatch, server.url) as provider:
            assert await ask(provider, how) == "Hello"
        assert proxy.connections == 0
