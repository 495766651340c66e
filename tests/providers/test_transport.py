from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import httpx
import pytest

from victor.errors import (
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderTimeoutError,
)
from victor.providers import transport
from victor.providers.transport import Transport
from victor.testing.faults import STALL, FaultServer, json_answer, sse_answer

OK = json_answer({"ok": True})


async def _fetch(url: str, **headers: str) -> bytes:
    connections = Transport("acme")
    try:
        response = await connections.send("POST", url, b"{}", headers)
        return await connections.read(response)
    finally:
        await connections.close()


async def _failure(url: str, **headers: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await _fetch(url, **headers)
    assert caught.value.provider == "acme"
    assert caught.value.raw_error is caught.value.__cause__
    return caught.value


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue is full: connecting to it is neither accepted nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield port


async def test_a_host_that_accepts_no_connection_is_named(
    full_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_TIMEOUT", httpx.Timeout(None, connect=0.05))
    error = await _failure(f"http://127.0.0.1:{full_port}")
    assert type(error) is ProviderTimeoutError
    assert str(error) == f"127.0.0.1:{full_port} did not accept a connection in 15 s"


async def test_a_timeout_of_the_library_names_what_took_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_TIMEOUT", httpx.Timeout(0.05))
    async with FaultServer([STALL]) as server:
        error = await _failure(server.url)
    assert type(error) is ProviderTimeoutError
    assert str(error).endswith("took too long while waiting for an answer")


async def test_an_address_nobody_can_connect_to_is_named() -> None:
    error = await _failure("http://255.255.255.255:9")
    assert type(error) is ProviderConnectionError
    assert "255.255.255.255:9" in str(error)


async def test_a_host_with_several_addresses_that_all_refuse_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    error = await _failure(f"http://localhost:{port}")
    assert str(error) == f"localhost:{port} refused the connection; is the server running?"


async def test_a_proxy_that_refuses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer([json_answer({}, 407)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = await _failure("https://api.acme.example/v1")
        assert proxy.requests[0].method == "CONNECT"
    assert type(error) is ProviderConnectionError
    assert str(error).startswith("the proxy refused to connect to api.acme.example: 407")


async def test_a_request_that_is_none_is_not_sent() -> None:
    async with FaultServer([OK]) as server:
        error = await _failure(server.url, flavour="mild\nand more")
        assert server.requests == []
    assert type(error) is ProviderInvalidRequestError
    assert str(error).startswith(f"cannot send this request to {server.url[7:]}: ")


async def test_a_flood_after_the_last_event_is_not_read_to_its_end() -> None:
    flood = b": more\n\n" * 4_000_000
    async with FaultServer([sse_answer([flood])]) as server:
        connections = Transport("acme")
        response = await connections.send("POST", server.url, b"", {})
        blocks = connections.blocks(response)
        await connections.drain(blocks)
        assert await anext(blocks)
        await blocks.aclose()
        await connections.release(response)
        await connections.close()


def test_closing_after_the_loop_is_gone_is_quiet() -> None:
    connections = Transport("acme")

    async def fetch() -> bytes:
        async with FaultServer([sse_answer([])]) as server:
            return await connections.read(await connections.send("POST", server.url, b"", {}))

    assert asyncio.run(fetch()) == b"data: [DONE]\n\n"
    asyncio.run(connections.close())
    assert asyncio.run(fetch()) == b"data: [DONE]\n\n"
    asyncio.run(connections.close())
