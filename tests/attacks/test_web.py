"""Addresses that a model was talked into, and what they lead to: no connection goes inside."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpcore
import pytest
import trustme

from tests.attacks.support import SECRET, listening, nobody_called
from tests.providers.loopback import connect
from victor.errors import ProviderError
from victor.providers.sockets import AsyncioBackend
from victor.testing.faults import Answer, FaultServer, redirect_answer
from victor.tools.base import ToolContext
from victor.tools.web import web_fetch
from victor.types import Message


@pytest.fixture
def ear() -> Iterator[socket.socket]:
    with listening() as found:
        yield found


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Notes every address that is dialled; only this machine is reached."""
    found: list[str] = []
    real = AsyncioBackend.connect_tcp

    async def noting(self: Any, host: str, *given: Any, **options: Any) -> Any:
        # Called again with the address once a name is resolved and allowed.
        found.append(host)
        if host.startswith("127.") or host == "::1":
            return await real(self, host, *given, **options)
        raise httpcore.ConnectError("not from here")

    monkeypatch.setattr(AsyncioBackend, "connect_tcp", noting)
    return found


async def fetched(workspace: Path, url: str) -> str:
    result = await web_fetch.run({"url": url}, ToolContext(workspace))
    assert result.is_error
    return result.content


INSIDE = {
    "A30-nul": "https://127.0.0.1\0.example.com:{port}/",
    "A30-nul-quoted": "https://127.0.0.1%00.example.com:{port}/",
    "A30-userinfo": "https://example.com@127.0.0.1:{port}/",
    "A30-userinfo-password": "https://example.com:x@127.0.0.1:{port}/",
    "A30-fragment": "https://127.0.0.1:{port}#.example.com",
    "A30-fragment-userinfo": "https://127.0.0.1:{port}#@example.com/",
    "A30-backslash": "https://127.0.0.1:{port}\\@example.com/",
    "A30-ipv6-mapped": "https://[::ffff:127.0.0.1]:{port}/",
    "A30-ipv6-mapped-hexadecimal": "https://[::ffff:7f00:1]:{port}/",
    "A30-nat64": "https://[64:ff9b::7f00:1]:{port}/",
    "A30-loopback-6": "https://[::1]:{port}/",
    "A30-decimal": "https://2130706433:{port}/",
    "A30-hexadecimal": "https://0x7f000001:{port}/",
    "A30-octal": "https://0177.0.0.1:{port}/",
    "A30-short": "https://127.1:{port}/",
    "A30-zero": "https://0:{port}/",
    "A30-trailing-dot": "https://localhost.:{port}/",
    "A30-trailing-dot-address": "https://127.0.0.1.:{port}/",
    "A30-case": "https://LOCALHOST:{port}/",
    "A30-wide-digits": "https://\uff11\uff12\uff17.0.0.1:{port}/",
    "A30-wide-dots": "https://127\u30020\u30020\u30021:{port}/",
    "A30-circled": "https://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{port}/",
    "A31-plain-http": "http://127.0.0.1:{port}/",
    "A31-gopher": "gopher://127.0.0.1:{port}/_x",
    "A31-file": "file:///etc/passwd",
    "A31-metadata": "https://169.254.169.254:{port}/latest/meta-data/",
}


@pytest.mark.parametrize("url", INSIDE.values(), ids=INSIDE)
async def test_no_spelling_of_an_address_inside_is_dialled(
    dialled: list[str], ear: socket.socket, tmp_path: Path, url: str
) -> None:
    said = await fetched(tmp_path, url.format(port=ear.getsockname()[1]))
    assert said.startswith("the page could not be read: ")
    assert dialled == []
    assert nobody_called(ear)


async def test_the_same_listener_is_reached_where_that_is_allowed(
    dialled: list[str], ear: socket.socket
) -> None:
    # Or the test above would prove nothing.
    from victor.providers.attachments import fetched as fetch
    from victor.types import Attachment

    url = f"http://127.0.0.1:{ear.getsockname()[1]}/"
    with pytest.raises(Exception, match="did not send the file"):
        await fetch(Attachment(media_type="text/html", url=url), timeout=0.2, allow_private=True)
    assert dialled == ["127.0.0.1"]
    assert not nobody_called(ear)


@pytest.mark.parametrize(
    ("host", "answers"),
    [
        ("inside.example", [["127.0.0.1"]]),
        ("rebinding.example", [["8.8.8.8"], ["127.0.0.1"]]),
        ("both.example", [["127.0.0.1", "8.8.8.8", "169.254.169.254", "::1"]]),
        ("xn--e1afmkfd.example", [["::ffff:127.0.0.1"]]),
        ("dotted.example.", [["10.0.0.1"]]),
    ],
    ids=["A30-name", "A30-rebinding", "A30-both", "A30-punycode", "A30-trailing-dot"],
)
async def test_a_name_is_looked_up_once_and_only_what_is_public_is_dialled(
    dialled: list[str],
    ear: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    answers: list[list[str]],
) -> None:
    waiting = list(answers)

    async def found(_: Any, name: str, port: int, **__: Any) -> list[Any]:
        given = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in given]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)
    await fetched(tmp_path, f"https://{host}:{ear.getsockname()[1]}/")
    assert set(dialled) <= {"8.8.8.8"}
    assert nobody_called(ear)


REDIRECTS = {
    "A31-metadata": "http://169.254.169.254/latest/meta-data/",
    "A31-metadata-https": "https://169.254.169.254/latest/meta-data/",
    "A31-loopback": "https://127.0.0.1:{port}/",
    "A31-loopback-no-scheme": "//127.0.0.1:{port}/",
    "A31-userinfo": "https://example.com@127.0.0.1:{port}/",
    "A31-file": "file:///etc/passwd",
    "A31-gopher": "gopher://127.0.0.1:{port}/_x",
    "A31-data": "data:text/html,x",
    "A31-another-host": "https://localhost:{port}/",
}


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("location", REDIRECTS.values(), ids=REDIRECTS)
async def test_a_redirect_leads_nowhere_inside(
    dialled: list[str],
    ear: socket.socket,
    certificate: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    location: str,
) -> None:
    target = location.format(port=ear.getsockname()[1])
    async with FaultServer([redirect_answer(target)], tls=certificate) as outside:
        # As if the first server were a public one.
        monkeypatch.setattr("victor.providers.downloads._is_public", lambda _: not outside.requests)
        await fetched(tmp_path, f"{outside.url}/")
        assert len(outside.requests) == 1
    assert dialled == ["127.0.0.1"]
    assert nobody_called(ear)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308], ids=lambda code: f"A32-{code}")
async def test_a_redirect_of_a_provider_gets_no_key(ear: socket.socket, status: int) -> None:
    target = f"http://127.0.0.1:{ear.getsockname()[1]}/v1/chat/completions"
    answers: list[Answer] = [redirect_answer(target, status)]
    async with FaultServer(answers) as server, connect(server, api_key=SECRET) as provider:
        with pytest.raises(ProviderError) as caught:
            await provider.chat([Message(role="user", content="hi")], model="m")
        assert len(server.requests) >= 1
    assert nobody_called(ear)
    assert SECRET not in str(caught.value)
