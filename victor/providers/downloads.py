"""A file of the web, by its address: where it may come from, and how much of it is read.

Addresses may come from a model or a page, so this goes only where the whole internet may go: over
https, to public addresses (https://www.rfc-editor.org/rfc/rfc6890), checked on the very address the
connection is made to. No keys, cookies or proxies. Knows nothing about what a file is good for.
"""

from __future__ import annotations

import asyncio
import gzip
import io
import ipaddress
import re
import socket
import ssl
import zlib
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from victor.errors import ConfigError
from victor.providers.sockets import AsyncioBackend

__all__ = ["Download", "downloaded"]

_MOST_REDIRECTS = 5
_MOST_ADDRESSES = 4
_LONGEST_ADDRESS = 2_000
"""Characters of an address that a message repeats."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MEDIA_TYPE = re.compile(r"\s*([\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80})\s*(?:[;,]|$)", re.ASCII)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([\w:.+-]{1,80})", re.ASCII | re.I)
_FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Azure answers virtual machines there, with secrets; nobody else is served at it.
_AZURE = ipaddress.IPv4Address("168.63.129.16")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Download:
    """What a server answered."""

    status: int
    content: bytes
    """Decompressed. Of a refusal (a status from 300 on) it is empty where it cannot be read."""
    media_type: str
    """What the server calls it, in lower case; empty where that is nothing."""
    charset: str
    """How the server says that text is written; empty where it does not."""
    address: str
    """Where it was found in the end."""
    redirected: bool
    """Whether that is another address than the one that was asked for."""


@dataclass(frozen=True, slots=True)
class _Terms:
    max_bytes: int
    accept: str
    same_host: bool
    private: bool
    context: ssl.SSLContext


async def downloaded(
    address: str,
    *,
    max_bytes: int,
    timeout: float,
    accept: str = "*/*",
    same_host: bool = False,
    allow_private: bool = False,
) -> Download:
    """Get a file of the web; at most five redirects are followed, each checked like the first.

    Goes straight to the host, never through a proxy: a proxy would look the name up again, behind
    the check.

    Args:
        address: where it is.
        max_bytes: how long the file may be, also decompressed; no more is read.
        timeout: seconds for everything together.
        accept: the media types that are asked for
            (https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1).
        same_host: follow redirects only on the host that was asked, and to its `www.` or back.
        allow_private: also fetch from this machine and from private networks, there also over
            plain http.

    Returns:
        What was answered, also where that is a refusal.

    Raises:
        ConfigError: the address is not allowed, or does not answer with a file; the message says
            which, or where the redirect leads that was not followed.
    """
    host = address
    try:
        url = httpx.URL(address)
        host = url.host
        context = httpx.create_ssl_context()
        terms = _Terms(max_bytes, accept, same_host, allow_private, context)
        async with asyncio.timeout(timeout):
            return await _followed(url, terms)
    except TimeoutError as error:
        raise ConfigError(f"{host} did not send the file within {timeout:g} s") from error
    except httpx.InvalidURL as error:
        raise ConfigError(f"cannot fetch {host[:80]!r}: {error}") from error
    except OSError as error:  # the certificates that SSL_CERT_FILE names
        raise ConfigError(f"cannot fetch the file from {host}: {error}") from error


async def _followed(asked: httpx.URL, terms: _Terms) -> Download:
    url = asked
    for _ in range(_MOST_REDIRECTS + 1):
        _check(url, terms)
        try:
            found = await _get(url, terms, redirected=url != asked)
        except _FAILURES as error:
            why = str(error) or type(error).__name__
            raise ConfigError(f"cannot fetch the file from {url.host}: {why}") from error
        if isinstance(found, Download):
            return found
        url = url.join(found)
        if terms.same_host and _site(url.host) != _site(asked.host):
            _check(url, terms)
            raise _elsewhere(asked, url)
    raise ConfigError(f"{url.host} redirects more than {_MOST_REDIRECTS} times")


def _check(url: httpx.URL, terms: _Terms) -> None:
    if url.scheme != "https" and not (url.scheme == "http" and terms.private):
        raise ConfigError(f"{url.scheme}:// is not fetched, only https:// is")
    if not url.host:
        raise ConfigError("the address names no host")
    if url.userinfo:
        raise ConfigError(f"the address at {url.host} has credentials in it, which are never sent")


def _site(host: str) -> str:
    return host.removeprefix("www.")


def _elsewhere(asked: httpx.URL, url: httpx.URL) -> ConfigError:
    target = str(url)
    if len(target) > _LONGEST_ADDRESS:
        return ConfigError(
            f"{asked.host} redirects to another host, {url.host}, at an address of "
            f"{len(target):,} characters, which is too long to ask for"
        )
    return ConfigError(
        f"{asked.host} redirects to another host, which is not followed by itself: fetch "
        f"{target} if that is what you want"
    )


async def _get(url: httpx.URL, terms: _Terms, *, redirected: bool) -> Download | str:
    """Return a file, or where it is instead."""
    secure = url.scheme == "https"
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    headers = [
        (b"host", url.netloc),
        (b"accept", terms.accept.encode()),
        (b"accept-encoding", b"identity"),
        (b"user-agent", b"victor"),
    ]
    async with (
        httpcore.AsyncConnectionPool(
            ssl_context=terms.context if secure else None,
            network_backend=_Guarded(public=secure, private=terms.private),
        ) as pool,
        pool.stream("GET", target, headers=headers) as response,
    ):
        said = httpx.Headers(response.headers)
        location: str = said.get("location", "")
        if response.status in _REDIRECTS and location:
            return location
        try:
            content = await _content(response, said, url.host, terms.max_bytes)
        except ConfigError:
            if response.status < 300:
                raise
            content = b""  # what it says of its refusal is not worth another one
    kind: str = said.get("content-type", "")
    media_type, charset = _MEDIA_TYPE.match(kind), _CHARSET.search(kind)
    return Download(
        status=response.status,
        content=content,
        media_type=media_type[1].lower() if media_type else "",
        charset=charset[1].lower() if charset else "",
        address=str(url),
        redirected=redirected,
    )


async def _content(
    response: httpcore.Response, said: httpx.Headers, host: str, max_bytes: int
) -> bytes:
    coding = said.get("content-encoding", "").strip().lower()
    if coding not in {"", "identity", "gzip", "x-gzip"}:
        raise ConfigError(f"{host} sent the file compressed ({coding[:80]}), unasked")
    length: str = said.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes:
        raise _too_large(host, max_bytes)
    parts: list[bytes] = []
    size = 0
    async for block in response.aiter_stream():
        parts.append(block)
        size += len(block)
        if size > max_bytes:
            raise _too_large(host, max_bytes)
    content = b"".join(parts)
    if content and coding.endswith("gzip"):  # not asked for; some servers compress whatever is
        return await asyncio.to_thread(_unzipped, content, host, max_bytes)
    return content


def _unzipped(content: bytes, host: str, max_bytes: int) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            found = file.read(max_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ConfigError(f"{host} sent the file compressed, and wrongly: {error}") from error
    if len(found) > max_bytes:
        raise _too_large(host, max_bytes)
    return found


def _too_large(host: str, max_bytes: int) -> ConfigError:
    return ConfigError(f"the file at {host} has more than {max_bytes:,} bytes")


class _Guarded(AsyncioBackend):
    """Connects to allowed addresses only: what was checked is what is connected to.

    Args:
        public: whether public addresses are allowed.
        private: whether all others are.
    """

    def __init__(self, *, public: bool, private: bool) -> None:
        self._public = public
        self._private = private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.AsyncNetworkStream:
        failure: Exception = self._refusal(host)
        for address in await self._allowed(host, port):
            try:
                return await super().connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _allowed(self, host: str, port: int) -> list[str]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as error:
            raise ConfigError(f"the name {host[:80]} does not resolve: {error}") from error
        addresses = dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found)
        allowed = [
            address
            for address in addresses
            if (self._public if _is_public(address) else self._private)
        ]
        return allowed[:_MOST_ADDRESSES]

    def _refusal(self, host: str) -> ConfigError:
        if self._public:
            return ConfigError(f"{host} is not on the public internet, and only that is fetched")
        return ConfigError(f"{host} is on the public internet: use https:// for it")


def _is_public(text: str) -> bool:
    """Tell whether an address is everybody's, also in the forms that carry another one."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:  # with a zone: a neighbour's
        return False
    if isinstance(address, ipaddress.IPv6Address):
        within: _Address | None = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            within = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if within is None:
            return address in _UNICAST and address.is_global
        address = within
    return address.is_global and not address.is_multicast and address != _AZURE
