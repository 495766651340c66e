"""httpx's connection pool straight on asyncio's transports: TCP, TLS, flow control both ways.

httpcore's own backend goes through anyio, whose cancel scopes cost more per read than all the rest
of a streamed event. Knows nothing about HTTP. The interfaces are httpcore's and httpx's:
https://www.encode.io/httpcore/network-backends/ and
https://www.python-httpx.org/advanced/transports/#custom-transports
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import httpcore
import httpx

__all__ = ["AsyncioBackend", "AsyncioPool"]

_MOST_UNREAD = 256 * 1024
"""Bytes kept for a reader that is slower than the network; then the peer has to wait."""

_HAPPY_EYEBALLS_S = 0.25
_STALE_S = 0.5
"""An end that comes later than this after a request is one of the request, not of the idle time."""
_STALE_TRIES = 2
"""Head start of one address of a host over the next (https://www.rfc-editor.org/rfc/rfc8305)."""

_SocketOptions = Iterable[tuple[int, int, int | bytes] | tuple[int, int, None, int]]


class AsyncioPool(httpx.AsyncBaseTransport):
    """Connections without a proxy, for the event loop they are first used on.

    Raises httpcore's exceptions, which have the names of httpx's.

    Args:
        context: whom to trust.
        limits: how many connections, and how long idle ones are kept.
    """

    def __init__(self, context: ssl.SSLContext, limits: httpx.Limits) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=AsyncioBackend(),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(_STALE_TRIES):
            try:
                return await self._handle(request)
            except _StaleError:
                # Nothing of it was answered: the server had closed before it came
                # (https://www.rfc-editor.org/rfc/rfc9112#section-9.6).
                continue
        return await self._handle(request)

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response.stream),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    """A body that hands on httpcore's own iterator: one layer less per event."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return cast("AsyncIterator[bytes]", self._stream.__aiter__())

    async def aclose(self) -> None:
        await self._stream.aclose()


class _StaleError(httpcore.ReadError):
    """A connection that was kept for later requests had ended by then."""


class AsyncioBackend(httpcore.AsyncNetworkBackend):
    """Opens connections on the running event loop."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        loop = asyncio.get_running_loop()
        with _named(httpcore.ConnectError, httpcore.ConnectTimeout):
            async with asyncio.timeout(timeout):
                transport, protocol = await loop.create_connection(
                    _Protocol,
                    host,
                    port,
                    local_addr=None if local_address is None else (local_address, 0),
                    happy_eyeballs_delay=None if _is_near(host) else _HAPPY_EYEBALLS_S,
                )
        for option in cast("_SocketOptions", socket_options or ()):
            transport.get_extra_info("socket").setsockopt(*option)
        return _Stream(transport, protocol)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Protocol(asyncio.Protocol):
    """What the event loop tells about one connection."""

    def __init__(self) -> None:
        self.unread: list[bytes] = []
        self.ended = False
        self.error: Exception | None = None
        self._transport: asyncio.Transport | None = None
        self._size = 0
        self._held = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self.unread.append(data)
        self._size += len(data)
        if self._size > _MOST_UNREAD and not self._held and self._transport is not None:
            self._held = True
            self._transport.pause_reading()
        _wake(self._reader)

    def eof_received(self) -> bool:
        self.ended = True
        _wake(self._reader)
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.error = exc
        _wake(self._reader)
        _wake(self._writer)

    def pause_writing(self) -> None:
        self._writer = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        _wake(self._writer)
        self._writer = None

    def take(self) -> bytes:
        """Return what has come, and let the peer go on."""
        unread, self.unread, self._size = self.unread, [], 0
        if self._held and self._transport is not None:
            self._held = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
        return unread[0] if len(unread) == 1 else b"".join(unread)

    async def readable(self, timeout: float | None) -> None:
        """Wait until there is something to take, or the connection has ended."""
        self._reader = asyncio.get_running_loop().create_future()
        try:
            await _within(timeout, self._reader)
        finally:
            self._reader = None

    async def writable(self, timeout: float | None) -> None:
        """Wait until the peer has read enough of what was written."""
        if self._writer is not None:
            await _within(timeout, self._writer)


class _Stream(httpcore.AsyncNetworkStream):
    """One connection, as httpcore wants it."""

    def __init__(self, transport: asyncio.Transport, protocol: _Protocol) -> None:
        self._transport = transport
        self._protocol = protocol
        self._has_answered = False
        self._asked_at: float | None = None  # of a request of which no answer has come

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - what has come is taken whole; it is bounded
        protocol = self._protocol
        if not protocol.unread and not protocol.ended:
            with _named(httpcore.ReadError, httpcore.ReadTimeout):
                await protocol.readable(timeout)
        if protocol.unread:
            self._has_answered = True
            self._asked_at = None
            return protocol.take()
        if self._was_left_idle():
            raise _StaleError("the server closed an idle connection") from protocol.error
        if protocol.error is not None:
            raise httpcore.ReadError(str(protocol.error)) from protocol.error
        return b""

    def _was_left_idle(self) -> bool:
        """Tell whether the peer ended a used connection while a request was on its way to it."""
        if self._asked_at is None or not self._has_answered:
            return False
        return asyncio.get_running_loop().time() - self._asked_at < _STALE_S

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return
        if self._asked_at is None:
            self._asked_at = asyncio.get_running_loop().time()
        if self._protocol.ended or self._transport.is_closing():
            cause = self._protocol.error
            raise httpcore.WriteError(str(cause or "the peer closed the connection")) from cause
        self._transport.write(buffer)
        with _named(httpcore.WriteError, httpcore.WriteTimeout):
            await self._protocol.writable(timeout)
        if self._protocol.error is not None:
            raise httpcore.WriteError(str(self._protocol.error)) from self._protocol.error

    async def aclose(self) -> None:
        self._transport.close()
        await asyncio.sleep(0)
        # Not even a peer that reads no more, or never answers TLS's farewell, keeps it open.
        self._transport.abort()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        protocol = _Protocol()
        loop = asyncio.get_running_loop()
        try:
            with _named(httpcore.ConnectError, httpcore.ConnectTimeout):
                async with asyncio.timeout(timeout):
                    transport = await loop.start_tls(
                        self._transport, protocol, ssl_context, server_hostname=server_hostname
                    )
        except BaseException:
            self._transport.abort()
            raise
        if transport is None:
            raise httpcore.ConnectError("the connection was lost during the TLS handshake")
        protocol.connection_made(transport)
        return _Stream(transport, protocol)

    def get_extra_info(self, info: str) -> Any:
        match info:
            case "is_readable":
                # Asked of an idle connection: there is nothing to read but its end.
                return bool(self._protocol.unread) or self._protocol.ended
            case "client_addr":
                return self._transport.get_extra_info("sockname")
            case "server_addr":
                return self._transport.get_extra_info("peername")
            case _:
                return self._transport.get_extra_info(info)


def _is_near(host: str) -> bool:
    """Tell whether a host is an address, or this machine: then there is no race to be won.

    asyncio races in tasks, and loses the winner's socket if it is cancelled at that moment.
    """
    return host == "localhost" or ":" in host or host.replace(".", "").isdigit()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)


async def _within(timeout: float | None, waiter: asyncio.Future[None]) -> None:
    if timeout is None:
        await waiter
    else:
        async with asyncio.timeout(timeout):
            await waiter


@contextmanager
def _named(
    broken: type[httpcore.NetworkError], late: type[httpcore.TimeoutException]
) -> Iterator[None]:
    """Raise what httpcore expects; the system's error stays the cause."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except OSError as error:  # TLS errors are OSErrors, too
        raise broken(str(error)) from error
