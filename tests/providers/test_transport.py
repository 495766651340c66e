from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from victor.errors import (
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderTimeoutError,
    ProviderTLSError,
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
    monkeypatch.setitem(transport._TIMEOUTS, "connect", 0.05)
    error = await _failure(f"http://127.0.0.1:{full_port}")
    assert type(error) is ProviderTimeoutError
    assert str(error) == f"127.0.0.1:{full_port} did not accept a connection in 15 s"


async def test_a_timeout_of_the_library_names_what_took_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(transport._TIMEOUTS, "read", 0.05)
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
    async with FaultServer([json_answer({}, 403)]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = await _failure("https://api.acme.example/v1")
        assert proxy.requests[0].method == "CONNECT"
    assert type(error) is ProviderConnectionError
    named = f"{proxy.url.removeprefix('http://')} (the proxy for api.acme.example)"
    assert str(error) == f"{named} did not connect: 403 Forbidden"


async def test_a_proxy_that_is_not_for_this_host_is_not_blamed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "no-such-host.invalid")
    error = await _failure("http://no-such-host.invalid")
    assert str(error).startswith("the name no-such-host.invalid does not resolve")


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


# ---------------------------------------------------------------------------- TLS

Serve = Callable[[str], AbstractAsyncContextManager[tuple[str, Path]]]
LONG = b"x" * 3_000_000


def _certificate(folder: Path, address: str) -> tuple[Path, Path]:
    """Write a certificate that signs itself, and its key."""
    pytest.importorskip("cryptography", reason="makes the certificates")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    today = datetime.datetime.now(datetime.UTC)
    subject = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(today - datetime.timedelta(days=1))
    builder = builder.not_valid_after(today + datetime.timedelta(days=1))
    certificate = builder.add_extension(subject, critical=False).sign(key, hashes.SHA256())
    written, secret = folder / "certificate.pem", folder / "key.pem"
    written.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return written, secret


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """A server that speaks TLS on 127.0.0.1, with a certificate for an address."""

    @asynccontextmanager
    async def serve(address: str) -> AsyncIterator[tuple[str, Path]]:
        certificate, key = _certificate(tmp_path, address)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)

        async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, EOFError):
                while head := await reader.readuntil(b"\r\n\r\n"):
                    size = int(head.lower().partition(b"content-length: ")[2].split()[0])
                    await reader.readexactly(size)
                    length = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(LONG)
                    writer.write(length + LONG)
                    await writer.drain()
            writer.close()

        server = await asyncio.start_server(converse, "127.0.0.1", 0, ssl=context)
        async with server:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", certificate

    transport._trusted.cache_clear()
    yield serve
    transport._trusted.cache_clear()


async def test_a_certificate_nobody_vouches_for_is_refused(serve: Serve) -> None:
    async with serve("127.0.0.1") as (url, _):
        error = await _failure(url)
    assert type(error) is ProviderTLSError
    assert "certificate of 127.0.0.1" in str(error)


async def test_a_certificate_for_somebody_else_is_refused(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve("127.0.0.2") as (url, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        error = await _failure(url)
    assert type(error) is ProviderTLSError
    assert "not valid for '127.0.0.1'" in str(error)


async def test_a_trusted_server_is_talked_to_over_tls(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve("127.0.0.1") as (url, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        connections = Transport("acme")
        for _ in range(3):
            response = await connections.send("POST", url, LONG, {})
            assert await connections.read(response) == LONG
        await connections.close()


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_server_on_this_machine_is_never_asked_through_a_proxy(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultServer([json_answer({}, 407)]) as proxy, FaultServer([OK]) as server:
        monkeypatch.setenv(variable, proxy.url)
        for host in ("127.0.0.1", "localhost"):
            assert await _fetch(server.url.replace("127.0.0.1", host), authorization="Bearer k")
        assert proxy.requests == []
        assert len(server.requests) == 2
