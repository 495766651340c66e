from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from victor.errors import ConfigError
from victor.providers.attachments import fetched
from victor.providers.downloads import _is_public
from victor.testing.faults import GARBAGE, RESET, STALL, Answer, FaultServer, redirect_answer
from victor.testing.faults import Request as Asked
from victor.types import Attachment

PNG = b"\x89PNG\r\n\x1a\n and the rest"
JPEG = b"\xff\xd8\xff\xe0 and the rest"
PDF = b"%PDF-1.7 and the rest"
PAGE = b"<!doctype html><title>Sign in</title>"


def answer(body: bytes, kind: str = "image/png", status: int = 200, **headers: str) -> Answer:
    lines = [f"HTTP/1.1 {status} X"]
    if kind:
        lines.append(f"content-type: {kind}")
    given = {"content-length": str(len(body)), "connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines += [f"{name}: {value}" for name, value in given.items() if value]
    return Answer("\r\n".join([*lines, "", ""]).encode() + body)


def at(url: str, media_type: str = "image/png", **fields: Any) -> Attachment:
    return Attachment(media_type=media_type, url=url, **fields)


async def refusal(attachment: Attachment, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        await fetched(attachment, **options)
    return str(caught.value)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1", "localhost", "files.example").configure_cert(context)
    return context


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets every name resolve to given addresses; only names, what is an address stays one."""
    real = asyncio.BaseEventLoop.getaddrinfo

    def to(*addresses: str) -> None:
        async def found(
            self: asyncio.BaseEventLoop, host: str, port: int, **options: Any
        ) -> list[Any]:
            if host.replace(".", "").isdigit() or ":" in host:
                return await real(self, host, port, **options)
            kind = socket.SOCK_STREAM
            return [(socket.AF_INET, kind, 6, "", (address, port)) for address in addresses]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)

    return to


# ---------------------------------------------------------------------------- what is fetched


async def test_an_attachment_with_its_bytes_is_returned_as_it_is() -> None:
    attachment = Attachment(media_type="image/png", data=PNG)
    assert await fetched(attachment) is attachment


async def test_an_address_becomes_bytes(certificate: ssl.SSLContext) -> None:
    async with FaultServer([answer(PNG)], tls=certificate) as server:
        found = await fetched(at(f"{server.url}/a.png?x=1#y", name="cat.png"), allow_private=True)
    assert found == Attachment(media_type="image/png", data=PNG, name="cat.png")
    assert server.requests[0].path == "/a.png?x=1"
    assert server.requests[0].headers == {
        "host": server.url.removeprefix("https://"),
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "victor",
    }


async def test_private_addresses_may_be_plain_where_they_are_allowed() -> None:
    async with FaultServer([answer(PNG)]) as server:
        assert (await fetched(at(server.url), allow_private=True)).data == PNG


@pytest.mark.parametrize(
    ("declared", "body", "kind", "found"),
    [
        ("image/png", PNG, "image/png", "image/png"),
        ("image/png", PNG, "", "image/png"),
        ("image/png", PNG, "text/plain", "image/png"),
        ("image/png", JPEG, "image/png", "image/jpeg"),
        ("image/svg+xml", b"<svg/>", "image/svg+xml; charset=utf-8", "image/svg+xml"),
        ("image/png", b"<svg/>", "image/svg+xml", "image/svg+xml"),
        ("application/pdf", PDF, "application/octet-stream", "application/pdf"),
        ("audio/mp4", b"\0\0\0\x18ftypisom", "video/mp4", "audio/mp4"),
        ("text/markdown", b"# Hi", "text/plain", "text/markdown"),
        ("text/plain", b"hi", "", "text/plain"),
        ("application/json", b"{}", "text/plain", "application/json"),
        ("text/html", PAGE, "text/html", "text/html"),
    ],
    ids=[
        "as-said", "said-nothing", "said-text", "other-picture", "unprovable", "other-unprovable",
        "pdf", "sound-in-film", "markdown", "text", "json", "page-on-purpose",
    ],
)  # fmt: skip
async def test_the_bytes_say_what_they_are(
    declared: str, body: bytes, kind: str, found: str
) -> None:
    async with FaultServer([answer(body, kind)]) as server:
        attachment = await fetched(at(server.url, declared), allow_private=True)
    assert (attachment.media_type, attachment.data) == (found, body)


@pytest.mark.parametrize(
    ("declared", "body", "kind", "what"),
    [
        ("image/png", PAGE, "text/html; charset=utf-8", "a web page"),
        ("text/plain", PAGE, "text/html", "a web page"),
        ("image/png", PAGE, "image/png", "image/png"),
        ("image/png", PDF, "application/pdf", "application/pdf"),
        ("image/png", b"hi", "", "something unknown"),
        ("application/pdf", b"hi", "application/pdf", "application/pdf"),
        ("image/svg+xml", b"<svg/>", "text/plain", "text/plain"),
        ("text/plain", PNG, "text/plain", "text/plain"),
        ("text/csv", b"\0", "image/x-icon", "image/x-icon"),
    ],
    ids=[
        "page", "page-for-text", "page-in-disguise", "pdf", "unknown", "no-pdf", "text",
        "picture-in-disguise", "icon",
    ],
)  # fmt: skip
async def test_what_is_another_kind_of_thing_is_refused(
    declared: str, body: bytes, kind: str, what: str
) -> None:
    async with FaultServer([answer(body, kind)]) as server:
        said = await refusal(at(server.url, declared), allow_private=True)
    assert said == (
        f"127.0.0.1 answered with {what}, not with {declared}: is this the address of the file "
        f"itself?"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (answer(b"", status=404), "127.0.0.1 answered HTTP 404 instead of the file"),
        (answer(b"", status=304), "127.0.0.1 answered HTTP 304 instead of the file"),
        (answer(b"", status=302), "127.0.0.1 answered HTTP 302 instead of the file"),
        (answer(b""), "127.0.0.1 answered with an empty file"),
        (answer(PNG, content_encoding="br"), "127.0.0.1 sent the file compressed (br), unasked: p"),
        (RESET, "cannot fetch the file from 127.0.0.1: "),
        (GARBAGE, "cannot fetch the file from 127.0.0.1: "),
        (answer(PNG, content_length="99"), "cannot fetch the file from 127.0.0.1: "),
        (answer(b"x" * 101), "the file at 127.0.0.1 has more than 100 bytes: pass the file's"),
        (answer(b"x" * 101, content_length=""), "the file at 127.0.0.1 has more than 100 bytes"),
        (answer(b"", content_length="9" * 12), "the file at 127.0.0.1 has more than 100 bytes"),
    ],
    ids=[
        "missing", "unchanged", "nowhere", "empty", "compressed", "reset", "garbage", "truncated",
        "long", "long-unsaid", "absurd",
    ],
)  # fmt: skip
async def test_an_answer_without_the_file_says_why(given: Answer, message: str) -> None:
    async with FaultServer([given]) as server:
        said = await refusal(at(server.url), allow_private=True, max_bytes=100)
    assert said.startswith(message)


async def test_an_endless_file_ends_at_the_cap() -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65536)
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        said = await refusal(at(f"http://127.0.0.1:{port}"), allow_private=True)
    assert said.startswith("the file at 127.0.0.1 has more than 20,971,520 bytes: pass the")


async def test_all_together_may_take_so_long() -> None:
    async with FaultServer([STALL]) as server:
        said = await refusal(at(server.url), allow_private=True, timeout=0.05)
    assert said.startswith("127.0.0.1 did not send the file within 0.05 s: pass the file's bytes")


async def test_an_untrusted_certificate_is_refused(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    async with FaultServer([answer(PNG)], tls=certificate) as server:
        said = await refusal(at(server.url), allow_private=True)
    assert "certificate verify failed" in said


# ---------------------------------------------------------------------------- where it goes


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://x.example/a.png", "http:// is not fetched, only https://"),
        ("ftp://x.example/a.png", "ftp:// is not fetched, only https://"),
        ("file:///etc/passwd", "file:// is not fetched, only https://"),
        ("https:///a.png", "the address names no host"),
        ("https://joe:hunter2@x.example/a.png", "the address at x.example has credentials in it"),
        ("https://[::1", "cannot fetch 'https://[::1': "),
        ("https://x.example:port/", "cannot fetch 'https://x.example:port/': "),
    ],
    ids=["http", "ftp", "file", "hostless", "password", "bracket", "port"],
)
async def test_an_address_that_is_not_fetched_is_refused(url: str, message: str) -> None:
    said = await refusal(at(url))
    assert said.startswith(message)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001",  # noqa: S104 - refused
        "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.100.100.200",
        "[::ffff:127.0.0.1]", "[fe80::1]", "[fd00:ec2::254]", "[64:ff9b::7f00:1]",
    ],
)  # fmt: skip
async def test_what_is_not_on_the_public_internet_is_refused(host: str) -> None:
    said = await refusal(at(f"https://{host}:1/a.png"))
    assert "is not on the public internet, and only that is fetched: pass the file's" in said


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("64:ff9b::808:808", True),
        ("::ffff:8.8.8.8", True),
        ("2002:808:808::1", True),
        ("2002:7f00:1::1", False),
        ("64:ff9b::a00:1", False),
        ("64:ff9b:1::808:808", False),
        ("2001:0:7f00:1::1", False),
        ("::8.8.8.8", False),
        ("fec0::1", False),
        ("ff02::1", False),
        ("224.0.1.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("198.18.0.1", False),
        ("168.63.129.16", False),
        ("fe80::1%eth0", False),
        ("no address", False),
    ],
)
def test_an_address_is_public_only_if_everybody_may_go_there(address: str, public: bool) -> None:
    assert _is_public(address) is public


async def test_a_name_that_resolves_to_a_private_address_is_refused(
    resolve: Callable[..., None],
) -> None:
    async with FaultServer([answer(PNG)]) as server:
        resolve("127.0.0.1")
        port = server.url.rpartition(":")[2]
        said = await refusal(at(f"https://files.example:{port}/a.png"))
    assert said.startswith("files.example is not on the public internet")
    assert server.connections == 0


async def test_the_address_that_was_checked_is_the_one_that_is_asked(
    certificate: ssl.SSLContext, resolve: Callable[..., None]
) -> None:
    # The second one is where nobody listens; the certificate is still checked for the name.
    resolve("127.0.0.2", "127.0.0.1")
    async with FaultServer([answer(PNG)], tls=certificate) as server:
        port = server.url.rpartition(":")[2]
        found = await fetched(at(f"https://files.example:{port}/a.png"), allow_private=True)
    assert found.data == PNG
    assert server.requests[0].headers["host"] == f"files.example:{port}"


async def test_a_certificate_for_another_name_is_refused(
    certificate: ssl.SSLContext, resolve: Callable[..., None]
) -> None:
    resolve("127.0.0.1")
    async with FaultServer([answer(PNG)], tls=certificate) as server:
        port = server.url.rpartition(":")[2]
        said = await refusal(at(f"https://other.example:{port}/a.png"), allow_private=True)
    assert "certificate verify failed" in said


async def test_public_addresses_are_never_asked_plainly(resolve: Callable[..., None]) -> None:
    resolve("8.8.8.8")
    said = await refusal(at("http://files.example/a.png"), allow_private=True)
    assert said.startswith("files.example is on the public internet: use https:// for it")


async def test_where_nobody_listens_is_named() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        said = await refusal(at(f"https://127.0.0.1:{port}/a.png"), allow_private=True)
    assert said.startswith("cannot fetch the file from 127.0.0.1: ")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".example"])
async def test_a_name_that_does_not_resolve_is_named(host: str) -> None:
    said = await refusal(at(f"https://{host}/a.png"))
    assert said.startswith(f"the name {host[:80]} does not resolve")


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer([answer(PNG)]) as server:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
        assert (await fetched(at(server.url), allow_private=True)).data == PNG


# ---------------------------------------------------------------------------- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(status: int) -> None:
    script = [redirect_answer("/b.png", status), answer(PNG)]
    async with FaultServer(script) as server:
        assert (await fetched(at(f"{server.url}/a.png"), allow_private=True)).data == PNG
    assert [one.path for one in server.requests] == ["/a.png", "/b.png"]


@pytest.mark.parametrize(("times", "fits"), [(5, True), (6, False)])
async def test_five_redirects_are_followed(times: int, fits: bool) -> None:
    def script(asked: Asked) -> Answer:
        left = int(asked.path[1:])
        return redirect_answer(f"/{left - 1}") if left else answer(PNG)

    async with FaultServer(script) as server:
        attachment = at(f"{server.url}/{times}")
        if fits:
            assert (await fetched(attachment, allow_private=True)).data == PNG
        else:
            said = await refusal(attachment, allow_private=True)
            assert said.startswith("127.0.0.1 redirects more than 5 times: ")


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("file:///etc/passwd", "file:// is not fetched"),
        ("http://files.example/a.png", "files.example is on the public internet: use https://"),
        ("https://joe:hunter2@files.example/a.png", "the address at files.example has credentials"),
        ("https://[::1", "cannot fetch "),
    ],
    ids=["file", "in-the-clear", "password", "no-address"],
)
async def test_a_redirect_is_checked_like_the_first_address(
    location: str, message: str, resolve: Callable[..., None]
) -> None:
    resolve("8.8.8.8")
    async with FaultServer([redirect_answer(location)]) as server:
        said = await refusal(at(server.url), allow_private=True)
    assert said.startswith(message)


async def test_a_redirect_to_a_private_address_is_refused(
    certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the first server were public: only its own port counts as such.
    async with (
        FaultServer([answer(PNG)], tls=certificate) as inside,
        FaultServer([redirect_answer(f"{inside.url}/secret.png")], tls=certificate) as outside,
    ):
        monkeypatch.setattr("victor.providers.downloads._is_public", lambda _: not outside.requests)
        said = await refusal(at(f"{outside.url}/a.png"))
    assert said.startswith("127.0.0.1 is not on the public internet")
    assert inside.connections == 0
