"""The file behind an attachment's address, fetched when a program asks for it and never otherwise.

Addresses may come from a model or a page, so this goes only where the whole internet may go: over
https, to public addresses (https://www.rfc-editor.org/rfc/rfc6890), checked on the very address the
connection is made to. No keys, cookies or proxies. Knows no vendor and no protocol of theirs.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

import httpcore
import httpx

from victor.errors import ConfigError
from victor.media import is_provable, media_type_of, sniffed_type, too_large
from victor.providers.sockets import AsyncioBackend
from victor.types import Attachment

__all__ = ["fetched"]

_MOST_REDIRECTS = 3
_MOST_ADDRESSES = 4
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = ((b"accept", b"*/*"), (b"accept-encoding", b"identity"), (b"user-agent", b"victor"))
_NOTHING_SAID = frozenset({"", "application/octet-stream", "binary/octet-stream"})
_PAGES = frozenset({"text/html", "application/xhtml+xml"})
_FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
    OSError,
)
_TEXTS = frozenset({"text", "application"})
_UNICAST = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Azure answers virtual machines there, with secrets; nobody else is served at it.
_AZURE = ipaddress.IPv4Address("168.63.129.16")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


async def fetched(
    attachment: Attachment,
    *,
    max_bytes: int = 20 * 1024 * 1024,
    timeout: float = 30.0,
    allow_private: bool = False,
) -> Attachment:
    """Fetch an attachment that is an address, for APIs that take bytes only.

    Goes straight to the host, never through a proxy: a proxy would look the name up again, behind
    the check. At most three redirects are followed, each with the same checks.

    Args:
        attachment: what to fetch; one that has its bytes is returned as it is.
        max_bytes: how long the file may be, 20 MiB by default; no more is read.
        timeout: seconds for everything together.
        allow_private: also fetch from this machine and from private networks, there also over
            plain http. For addresses that you wrote yourself.

    Returns:
        The attachment with its bytes. Its media type is what the bytes prove, if they prove one.

    Raises:
        ConfigError: the address is not allowed, does not answer with the file, or answers with
            something else than the attachment says; the message says which, and what to do.
    """
    if attachment.url is None:
        return attachment
    host = attachment.url
    try:
        url = httpx.URL(attachment.url)
        host = url.host
        async with asyncio.timeout(timeout):
            data, header = await _followed(url, max_bytes=max_bytes, allow_private=allow_private)
    except TimeoutError as error:
        raise ConfigError(f"{host} did not send the file within {timeout:g} s") from error
    except httpx.InvalidURL as error:
        raise ConfigError(f"cannot fetch {host[:80]!r}: {error}") from error
    media_type = _agreed(attachment.media_type, header, data)
    if media_type is None:
        what = "a web page" if header in _PAGES else header or "something unknown"
        raise ConfigError(
            f"{host} answered with {what}, not with {attachment.media_type}: is this the address "
            f"of the file itself?"
        )
    return Attachment(media_type=media_type, data=data, name=attachment.name)


async def _followed(url: httpx.URL, *, max_bytes: int, allow_private: bool) -> tuple[bytes, str]:
    """Return a file and the media type the server calls it."""
    for _ in range(_MOST_REDIRECTS + 1):
        _check(url, allow_private=allow_private)
        try:
            found = await _get(url, max_bytes=max_bytes, allow_private=allow_private)
        except _FAILURES as error:
            why = str(error) or type(error).__name__
            raise ConfigError(f"cannot fetch the file from {url.host}: {why}") from error
        if not isinstance(found, str):
            return found
        url = url.join(found)
    raise ConfigError(f"{url.host} redirects more than {_MOST_REDIRECTS} times")


def _check(url: httpx.URL, *, allow_private: bool) -> None:
    if url.scheme != "https" and not (url.scheme == "http" and allow_private):
        raise ConfigError(f"{url.scheme}:// is not fetched, only https://: pass the bytes instead")
    if not url.host:
        raise ConfigError("the address of the attachment names no host")
    if url.userinfo:
        raise ConfigError(
            f"the address at {url.host} has credentials in it: pass the bytes instead"
        )


async def _get(url: httpx.URL, *, max_bytes: int, allow_private: bool) -> tuple[bytes, str] | str:
    """Return a file and its media type, or where it is instead."""
    secure = url.scheme == "https"
    target = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    headers = [(b"host", url.netloc), *_HEADERS]
    async with (
        httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context() if secure else None,
            network_backend=_Guarded(public=secure, private=allow_private),
        ) as pool,
        pool.stream("GET", target, headers=headers) as response,
    ):
        said = httpx.Headers(response.headers)
        location: str = said.get("location", "")
        if response.status in _REDIRECTS and location:
            return location
        if response.status != 200:
            raise ConfigError(f"{url.host} answered HTTP {response.status} instead of the file")
        if said.get("content-encoding", "identity") != "identity":
            raise ConfigError(f"{url.host} sent the file compressed: pass the bytes instead")
        length: str = said.get("content-length", "")
        if length.isdecimal() and int(length) > max_bytes:
            raise too_large(f"the file at {url.host}", max_bytes)
        data = await _read(response, url.host, max_bytes)
        return data, said.get("content-type", "").partition(";")[0].strip().lower()


async def _read(response: httpcore.Response, host: str, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for block in response.aiter_stream():
        parts.append(block)
        size += len(block)
        if size > max_bytes:
            raise too_large(f"the file at {host}", max_bytes)
    if not size:
        raise ConfigError(f"{host} answered with an empty file")
    return b"".join(parts)


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
            return ConfigError(
                f"{host} is not on the public internet: fetch the file yourself and pass the "
                f"bytes, or allow_private=True if you trust the address"
            )
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


def _agreed(declared: str, header: str, data: bytes) -> str | None:
    """Return what a file is, or None where that is another kind of thing than was declared."""
    proven = sniffed_type(data)
    if proven is not None:
        return media_type_of(data, declared) if _kind(proven) == _kind(declared) else None
    if header in _PAGES:
        return declared if declared in _PAGES else None
    if is_provable(declared) or _kind(declared) in ("image", "film"):
        return header if _kind(header) == _kind(declared) and not is_provable(header) else None
    return declared if header in _NOTHING_SAID or _kind(header) in _TEXTS else None


def _kind(media_type: str) -> str:
    # What holds sound may also hold film, and is sometimes called so.
    kind = media_type.partition("/")[0]
    return "film" if kind in ("audio", "video") else kind
