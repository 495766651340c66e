from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpcore
import httpx
import pytest
import trustme

from victor.errors import ProviderTLSError
from victor.providers import transport
from victor.providers.sockets import AsyncioBackend, AsyncioPool
from victor.providers.transport import Transport

LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=10, keepalive_expiry=60)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _server(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)
    async with server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"content-length: 5\r\n\r\nhello")


async def _get(pool: AsyncioPool, url: str, content: bytes = b"") -> bytes:
    method = "POST" if content else "GET"
    response = await pool.handle_async_request(httpx.Request(method, url, content=content))
    try:
        return await response.aread()
    finally:
        await response.aclose()


@asynccontextmanager
async def _pool(context: ssl.SSLContext | None = None) -> AsyncIterator[AsyncioPool]:
    pool = AsyncioPool(context or ssl.create_default_context(), LIMITS)
    try:
        yield pool
    finally:
        await pool.aclose()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def serving(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_connection_is_used_again() -> None:
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await _hello(reader, writer)

    async with _server(serve) as port, _pool() as pool:
        for _ in range(5):
            assert await _get(pool, f"http://127.0.0.1:{port}/") == b"hello"
    assert opened == 1


async def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    opened = 0
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"content-length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with _server(serve) as port, _pool() as pool:
        for _ in range(3):
            assert await _get(pool, f"http://127.0.0.1:{port}/") == b"hello"
            await asyncio.wait_for(closed.wait(), 5)
            closed.clear()
            await asyncio.sleep(0)
    assert opened == 3


async def test_tls_with_a_trusted_certificate(
    serving: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    async with _server(_hello, serving) as port, _pool(trusting) as pool:
        for host in ("127.0.0.1", "localhost"):
            assert await _get(pool, f"https://{host}:{port}/") == b"hello"


@pytest.mark.parametrize("trusted", [True, False], ids=["a wrong host", "an unknown authority"])
async def test_an_untrusted_certificate_is_a_tls_error_of_its_own_type(
    serving: ssl.SSLContext,
    trusting: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
    trusted: bool,
) -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.read(100))

    host = "127.0.0.1"
    if trusted:
        monkeypatch.setattr(transport, "_trusted", lambda: trusting)
        other = trustme.CA()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        other.issue_cert("api.example").configure_cert(context)
        other.configure_trust(trusting)
        serving = context
    async with _server(serve, serving) as port:
        connections = Transport("acme")
        with pytest.raises(ProviderTLSError, match=f"certificate of {host}:{port} is not trusted"):
            await connections.send("POST", f"https://{host}:{port}/", b"{}", {"x-api-key": "k"})
        await connections.close()
    assert b"".join(asked) == b""


async def test_tls_to_a_port_without_it_is_a_tls_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with _server(serve) as port:
        connections = Transport("acme")
        with pytest.raises(ProviderTLSError):
            await connections.send("POST", f"https://127.0.0.1:{port}/", b"{}", {})
        await connections.close()


async def test_a_handshake_that_never_ends_is_given_up(trusting: ssl.SSLContext) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    async with _server(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
        with pytest.raises(httpcore.ConnectTimeout):
            await stream.start_tls(trusting, "127.0.0.1", timeout=0.05)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_large_body_goes_up_whole_to_a_slow_reader(
    serving: ssl.SSLContext, trusting: ssl.SSLContext, tls: bool
) -> None:
    body = bytes(range(256)) * 80_000  # 20 MB: far more than any buffer on the way
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while len(got) < len(body):
            got.extend(await reader.read(100_000))
            await asyncio.sleep(0)
        writer.write(HEAD + b"content-length: 5\r\n\r\nhello")

    scheme = "https" if tls else "http"
    async with _server(serve, serving if tls else None) as port, _pool(trusting) as pool:
        assert await _get(pool, f"{scheme}://127.0.0.1:{port}/", body) == b"hello"
    assert bytes(got) == body


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_slow_reader_makes_the_server_wait(
    serving: ssl.SSLContext, trusting: ssl.SSLContext, tls: bool
) -> None:
    block, count = b"x" * 65_536, 400  # 26 MB
    sent = 0
    stuck = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % (len(block) * count))
        for _ in range(count):
            writer.write(block)
            sent += 1
            if writer.transport.get_write_buffer_size() > 0:
                stuck.set()
            await writer.drain()

    scheme = "https" if tls else "http"
    async with _server(serve, serving if tls else None) as port, _pool(trusting) as pool:
        request = httpx.Request("GET", f"{scheme}://127.0.0.1:{port}/")
        response = await pool.handle_async_request(request)
        await asyncio.wait_for(stuck.wait(), 10)
        for _ in range(20):
            await asyncio.sleep(0)
        before = sent
        assert before < count
        body = await response.aread()
        assert len(body) == len(block) * count
        assert sent == count
        await response.aclose()


async def test_a_reset_names_the_systems_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        option = struct.pack("ii", 1, 0)  # closing sends a reset
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        writer.transport.abort()

    async with _server(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
        await stream.write(b"hello")
        with pytest.raises(httpcore.ReadError) as caught:
            await stream.read(100)
        assert isinstance(caught.value.__cause__, ConnectionResetError)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"more")
        await stream.aclose()


async def test_what_came_before_the_end_is_read_before_the_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"last words")

    async with _server(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
        assert stream.get_extra_info("is_readable") is False
        await stream.write(b"x")
        assert await stream.read(100) == b"last words"
        assert await stream.read(100) == b""
        await stream.aclose()


async def test_reads_and_connections_take_a_timeout() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with _server(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port, timeout=5)
        with pytest.raises(httpcore.ReadTimeout):
            await stream.read(100, timeout=0.02)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", port)
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
        assert stream.get_extra_info("ssl_object") is None
        await stream.aclose()


async def test_a_peer_that_reads_nothing_cannot_keep_a_connection_open() -> None:
    stuck = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stuck.wait()

    async with _server(serve) as port:
        stream = await AsyncioBackend().connect_tcp("127.0.0.1", port)
        with pytest.raises(httpcore.WriteTimeout):
            await stream.write(b"x" * 50_000_000, timeout=0.05)
        await asyncio.wait_for(stream.aclose(), 1)
        with pytest.raises(httpcore.WriteError):
            await stream.write(b"x")
        stuck.set()


async def test_a_cancelled_read_leaves_the_connection_usable_by_nobody_else() -> None:
    arrived = asyncio.Event()
    left = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        arrived.set()
        await reader.read()
        left.set()

    async with _server(serve) as port, _pool() as pool:
        task = asyncio.create_task(_get(pool, f"http://127.0.0.1:{port}/"))
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(left.wait(), 5)
