"""HTTP connections to one vendor, over httpx: send, read within bounds, name what broke.

One pool per event loop, made on first use. Never follows redirects, asks for uncompressed answers
and caps what it reads. Knows nothing about keys, models or protocols. Deadlines are the guard's: it
cancels, whatever is being waited for.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import cast
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from victor.errors import (
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderTimeoutError,
    ProviderTLSError,
)
from victor.providers.failures import error_from_response
from victor.providers.sockets import AsyncioPool

__all__ = ["Transport"]

MAX_BODY_BYTES = 40 * 1024 * 1024
MAX_ERROR_BYTES = 1024 * 1024
CONNECT_TIMEOUT_S = 15.0
# These make at most a thousand bytes of one; others, and one within another, know no bounds.
_BOUNDED_PACKING = frozenset({"gzip", "deflate"})
_SLICE_BYTES = 8 * 1024
_DRAIN_S = 0.25
_DRAIN_BLOCKS = 64
# Deadlines per read cost a cancel scope each and let a drip through; the guard's cover every phase.
_TIMEOUTS = httpx.Timeout(None, connect=CONNECT_TIMEOUT_S, pool=CONNECT_TIMEOUT_S).as_dict()
_HEADERS = {"accept": "*/*", "accept-encoding": "identity", "user-agent": "victor"}
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=20, keepalive_expiry=60)
# httpx's exceptions come from its own transport, which proxies need, httpcore's from ours.
_FAILURES = (
    httpx.HTTPError,
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
_CONNECTING = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.ProxyError,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
)


@functools.cache
def _trusted() -> ssl.SSLContext:
    # Loading the certificates takes 15 ms: once per process.
    return httpx.create_ssl_context()


@functools.cache
def _trusting_nobody() -> ssl.SSLContext:
    # For addresses that start with http://, where no certificate will ever be looked at.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


class Transport:
    """The connections of one provider.

    Args:
        provider: its name, for error messages.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        # Connections belong to the loop they were made on.
        self._clients: dict[asyncio.AbstractEventLoop, httpx.AsyncClient | AsyncioPool] = {}

    def _client_for(self, url: str) -> httpx.AsyncClient | AsyncioPool:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            # What a loop that is gone has left is for the garbage collector: nothing can be
            # awaited on it.
            for gone in [one for one in self._clients if one.is_closed()]:
                self._clients.pop(gone, None)
            client = self._clients[loop] = _client(url)
        return client

    async def send(
        self, method: str, url: str, body: bytes, headers: dict[str, str]
    ) -> httpx.Response:
        """Send a request and return the answer once its headers are there.

        Raises:
            ProviderError: no answer; the type and the message name the phase and the host.
        """
        client = self._client_for(url)
        try:
            request = httpx.Request(
                method,
                _url(url),
                headers={**_HEADERS, **headers},
                content=body,
                extensions={"timeout": _TIMEOUTS},
            )
            if isinstance(client, httpx.AsyncClient):
                return await client.send(request, stream=True, auth=None)
            response = await client.handle_async_request(request)
            response.request = request
            return response
        except (*_FAILURES, OSError) as error:
            raise self._named(error, url, "waiting for an answer") from error

    async def read(self, response: httpx.Response) -> bytes:
        """Read a whole body, up to `MAX_BODY_BYTES`."""
        return await self._read(response, MAX_BODY_BYTES)

    async def read_error(self, response: httpx.Response) -> bytes:
        """Read the body of an error, as far as it can be had."""
        try:
            return await self._read(response, MAX_ERROR_BYTES)
        except ProviderError:
            return b""  # the status says enough

    async def _read(self, response: httpx.Response, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        try:
            async for block in self.blocks(response):
                size += len(block)
                if size > limit:
                    raise ProviderInvalidResponseError(
                        f"the answer of {response.url.host} is longer than {limit:,} bytes",
                        provider=self._provider,
                    )
                parts.append(block)
        finally:
            await response.aclose()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def blocks(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """Yield a body as it arrives."""
        # The stream itself spares two microseconds per event against aiter_raw().
        source = cast("AsyncIterable[bytes]", response.stream)
        packed = response.headers.get("content-encoding", "identity")
        if packed != "identity":
            source = self._unpacked(response, packed)
        try:
            async for block in source:
                yield block
        except _FAILURES as error:
            raise self._named(error, str(response.url), "reading the answer") from error

    def _unpacked(self, response: httpx.Response, packed: str) -> AsyncIterable[bytes]:
        """Unpack what was asked for as it is, and a proxy has compressed all the same."""
        if packed.lower() not in _BOUNDED_PACKING:
            raise ProviderInvalidResponseError(
                f"{response.url.host} compressed its answer ({packed[:40]!r}), which it was asked "
                f"not to do; is there a proxy in between?",
                provider=self._provider,
            )
        response.stream = _Slices(cast("httpx.AsyncByteStream", response.stream))
        return response.aiter_bytes()

    async def drain(self, blocks: AsyncIterator[bytes]) -> None:
        """Read what follows a stream's last event, so that the connection can be used again."""
        try:
            async with asyncio.timeout(_DRAIN_S):
                left = _DRAIN_BLOCKS
                async for _ in blocks:
                    left -= 1
                    if not left:
                        return
        except (TimeoutError, ProviderError):
            return  # the connection is closed instead of kept; nothing else is lost

    async def release(self, response: httpx.Response) -> None:
        """Give a connection back, or close it if its body was not read to the end."""
        await response.aclose()

    async def close(self) -> None:
        """Close all connections; those of other loops are closed by them, if they still run."""
        clients, self._clients = self._clients, {}
        for loop, client in clients.items():
            if loop is asyncio.get_running_loop():
                await client.aclose()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(client.aclose(), loop)

    def _named(self, error: BaseException, url: str, phase: str) -> ProviderError:
        host = _url(url).netloc.decode("ascii", "replace")
        about = str(error) or type(error).__name__
        cause = _system_cause(error)
        if error.__cause__ is None and cause is not error:
            # httpcore hides it, and it tells whether the fault is this machine's.
            error.__cause__ = cause
        if isinstance(error, _CONNECTING) and not isinstance(cause, ssl.SSLError):
            proxy = _proxy_for(url)
            host = f"{proxy} (the proxy for {host})" if proxy else host
        if isinstance(error, httpx.ProxyError) and about.startswith("407"):
            refused = error_from_response(407, {}, b"", provider=self._provider, host=host)
            refused.raw_error = error
            return refused
        kind, text = _kind(error, host, phase, about)
        return kind(text, provider=self._provider, raw_error=error)


class _Slices(httpx.AsyncByteStream):
    """A compressed body in small pieces: what one of them unpacks to is held at once."""

    def __init__(self, stream: httpx.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for block in self._stream:
            for at in range(0, len(block), _SLICE_BYTES):
                yield block[at : at + _SLICE_BYTES]

    async def aclose(self) -> None:
        await self._stream.aclose()


def _client(url: str) -> httpx.AsyncClient | AsyncioPool:
    context = _trusting_nobody() if url.startswith("http://") else _trusted()
    if not _on_this_machine(_url(url).host) and getproxies().keys() - {"no"}:
        # Proxies are httpx's business; without any, our own pool takes half the CPU.
        return httpx.AsyncClient(verify=context, limits=_LIMITS, follow_redirects=False)
    return AsyncioPool(context, _LIMITS)


def _on_this_machine(host: str) -> bool:
    """Tell whether a host is loopback: its proxy would be another machine's, and get the key."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxy_for(url: str) -> str | None:
    """Return the address of the proxy that requests go through, without its password."""
    target = _url(url)
    proxies = getproxies()
    address = proxies.get(target.scheme) or proxies.get("all")
    if not address or _on_this_machine(target.host) or proxy_bypass(target.host):
        return None
    return _url(address if "://" in address else f"http://{address}").netloc.decode()


def _kind(
    error: BaseException, host: str, phase: str, about: str
) -> tuple[type[ProviderError], str]:
    match error:
        case httpx.ConnectError() | httpcore.ConnectError():
            return _connecting(_system_cause(error), host, about)
        case httpx.ConnectTimeout() | httpcore.ConnectTimeout():
            text = f"{host} did not accept a connection in {CONNECT_TIMEOUT_S:g} s"
            return ProviderTimeoutError, text
        case httpx.PoolTimeout() | httpcore.PoolTimeout():
            text = f"all connections to {host} are in use; are there streams that nobody closes?"
            return ProviderError, text
        case httpx.TimeoutException() | httpcore.TimeoutException():
            return ProviderTimeoutError, f"{host} took too long while {phase}"
        case httpx.ProxyError():
            return ProviderConnectionError, f"{host} did not connect: {about}"
        case httpx.DecodingError():
            return ProviderInvalidResponseError, f"{host} sent a damaged compressed body: {about}"
        case (
            httpx.UnsupportedProtocol()
            | httpx.LocalProtocolError()
            | httpcore.UnsupportedProtocol()
            | httpcore.LocalProtocolError()
        ):
            return ProviderInvalidRequestError, f"cannot send this request to {host}: {about}"
        case _:
            return ProviderConnectionError, f"{host} broke the connection while {phase}: {about}"


def _connecting(cause: OSError | None, host: str, about: str) -> tuple[type[ProviderError], str]:
    match cause:
        case ssl.SSLError():
            text = f"the certificate of {host} is not trusted, or it is no TLS: {about}"
            return ProviderTLSError, text
        case socket.gaierror():
            text = f"the name {host} does not resolve; is this machine online?"
            return ProviderConnectionError, text
        case ConnectionRefusedError():
            text = f"{host} refused the connection; is the server running?"
            return ProviderConnectionError, text
        case _:
            return ProviderConnectionError, f"cannot connect to {host}: {about}"


def _system_cause(error: BaseException) -> OSError | None:
    """Return the operating system's error underneath, past the layers that wrap it."""
    seen = 0
    link: BaseException | None = error
    while link is not None and seen < 10:
        if isinstance(link, OSError) and (link.errno is not None or isinstance(link, ssl.SSLError)):
            return link
        if isinstance(link, ExceptionGroup) and link.exceptions:
            link = link.exceptions[0]
        else:
            link = link.__cause__ or link.__context__
        seen += 1
    return None


@functools.lru_cache(maxsize=256)
def _url(url: str) -> httpx.URL:
    return httpx.URL(url)
