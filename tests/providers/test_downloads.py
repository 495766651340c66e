from __future__ import annotations

import asyncio
import gzip
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.providers.test_attachments import answer
from victor.errors import ConfigError
from victor.providers.downloads import Download, downloaded
from victor.testing.faults import FaultServer, redirect_answer
from victor.testing.faults import Request as Asked

TEXT = b"some words, some words, some words"
ZIPPED = gzip.compress(TEXT)


async def get(url: str, **options: Any) -> Download:
    given = {"max_bytes": 1_000, "timeout": 10.0, "allow_private": True} | options
    return await downloaded(url, **given)


async def refusal(url: str, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        await get(url, **options)
    return str(caught.value)


@pytest.fixture
def every_name_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async def found(_: Any, host: str, port: int, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", found)


async def test_a_download_says_what_was_answered_and_where() -> None:
    script = [redirect_answer("/b?c"), answer(TEXT, "Text/Plain; charset=UTF-8")]
    async with FaultServer(script) as server:
        found = await get(f"{server.url}/a", accept="text/plain, */*;q=0.5")
    assert found == Download(200, TEXT, "text/plain", "utf-8", f"{server.url}/b?c", redirected=True)
    assert [one.headers["accept"] for one in server.requests] == ["text/plain, */*;q=0.5"] * 2


@pytest.mark.parametrize(
    ("header", "media_type", "charset"),
    [
        ("", "", ""),
        ("text/html", "text/html", ""),
        ('application/ld+json ; a=b; charset="Shift_JIS"', "application/ld+json", "shift_jis"),
        ("text/html;charset='x'", "text/html", "x"),
        ("text/html, text/html; charset=big5", "text/html", "big5"),
        ("text/plain] obey me [", "", ""),
        ("charset=utf-8", "", ""),
        ("text/" + "x" * 100, "", ""),
    ],
    ids=["none", "bare", "quoted", "single", "twice", "prose", "no-type", "long"],
)
async def test_the_header_of_the_type_is_read(header: str, media_type: str, charset: str) -> None:
    async with FaultServer([answer(TEXT, header)]) as server:
        found = await get(server.url)
    assert (found.media_type, found.charset) == (media_type, charset)


async def test_a_refusal_comes_with_what_it_says() -> None:
    async with FaultServer([answer(b"no such page", "text/plain", 404)]) as server:
        found = await get(f"{server.url}/a")
    assert (found.status, found.content, found.redirected) == (404, b"no such page", False)


@pytest.mark.parametrize(
    "headers",
    [{"content_encoding": "br"}, {"content_encoding": "gzip"}, {"content_length": "9" * 9}],
    ids=["br", "no-gzip", "long"],
)
async def test_a_refusal_that_cannot_be_read_stays_a_refusal(headers: dict[str, str]) -> None:
    async with FaultServer([answer(TEXT, status=500, **headers)]) as server:
        found = await get(server.url)
    assert (found.status, found.content) == (500, b"")


# ---------------------------------------------------------------------------- compressed


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", ZIPPED),
        ("X-GZIP", ZIPPED),
        ("gzip", gzip.compress(TEXT[:9]) + gzip.compress(TEXT[9:])),
        ("identity", TEXT),
    ],
    ids=["gzip", "x-gzip", "two-members", "identity"],
)
async def test_what_is_compressed_unasked_is_decompressed(coding: str, body: bytes) -> None:
    async with FaultServer([answer(body, content_encoding=coding)]) as server:
        assert (await get(server.url)).content == TEXT


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("gzip", TEXT, "127.0.0.1 sent the file compressed, and wrongly: "),
        ("gzip", ZIPPED[:-9], "127.0.0.1 sent the file compressed, and wrongly: "),
        ("gzip", ZIPPED[:12] + b"\xff" * 9 + ZIPPED[21:], "127.0.0.1 sent the file compressed, a"),
        ("zstd", TEXT, "127.0.0.1 sent the file compressed (zstd), unasked"),
        ("gzip, gzip", ZIPPED, "127.0.0.1 sent the file compressed (gzip, gzip), unasked"),
        ("gzip", gzip.compress(bytes(2**19)), "the file at 127.0.0.1 has more than 1,000 bytes"),
        ("gzip", gzip.compress(b"") * 51, "the file at 127.0.0.1 has more than 1,000 bytes"),
    ],
    ids=["none", "cut", "broken", "zstd", "twice", "bomb", "empty-members"],
)
async def test_what_cannot_be_decompressed_is_refused(
    coding: str, body: bytes, message: str
) -> None:
    async with FaultServer([answer(body, content_encoding=coding)]) as server:
        assert (await refusal(server.url)).startswith(message)


# ---------------------------------------------------------------------------- where it goes


@pytest.mark.usefixtures("every_name_is_here")
@pytest.mark.parametrize(
    ("asked", "target"),
    [
        ("x.test", "http://x.test:{port}/b"),
        ("x.test", "http://WWW.x.test:{port}/b"),
        ("www.x.test", "//x.test:{port}/b"),
        ("x.test", "/b"),
    ],
    ids=["same", "to-www", "from-www", "path"],
)
async def test_a_redirect_on_one_host_is_followed(asked: str, target: str) -> None:
    def script(request: Asked) -> Any:
        port = request.headers["host"].partition(":")[2]
        return answer(TEXT) if request.path == "/b" else redirect_answer(target.format(port=port))

    async with FaultServer(script) as server:
        port = server.url.rpartition(":")[2]
        # As if plain http to a public address: that the name is one of this machine does not count.
        found = await get(f"http://{asked}:{port}/", same_host=True)
    assert found.content == TEXT


@pytest.mark.usefixtures("every_name_is_here")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            "http://y.test/b?c#d",
            "x.test redirects to another host, which is not followed by itself: fetch "
            "http://y.test/b?c#d if that is what you want",
        ),
        ("http://a.x.test/", "x.test redirects to another host"),
        ("http://www.www.x.test/", "x.test redirects to another host"),
        ("http://x.test./", "x.test redirects to another host"),
        ("http://127.0.0.1/", "x.test redirects to another host"),
        ("http://joe@y.test/", "the address at y.test has credentials in it"),
        ("file:///etc/passwd", "file:// is not fetched, only https:// is"),
        (
            "http://y.test/" + "b" * 2_000,
            "x.test redirects to another host, y.test, at an address of 2,014 characters, which",
        ),
    ],
    ids=["other", "below", "www-www", "dot", "number", "credentials", "file", "long"],
)
async def test_a_redirect_to_another_host_is_told_and_not_followed(
    target: str, message: str
) -> None:
    async with FaultServer([redirect_answer(target)]) as server:
        port = server.url.rpartition(":")[2]
        said = await refusal(f"http://x.test:{port}/", same_host=True)
        assert server.connections == 1
    assert said.startswith(message)


@pytest.mark.usefixtures("every_name_is_here")
async def test_a_chain_of_redirects_stays_on_the_host_that_was_asked() -> None:
    def next_answer(request: Asked) -> Any:
        host, _, port = request.headers["host"].partition(":")
        onward = "y.test" if host == "www.x.test" else "www.x.test"
        return redirect_answer(f"http://{onward}:{port}/")

    async with FaultServer(next_answer) as server:
        port = server.url.rpartition(":")[2]
        said = await refusal(f"http://x.test:{port}/", same_host=True)
    assert said.startswith("x.test redirects to another host")
    assert f"http://y.test:{port}/" in said


async def test_certificates_that_are_not_there_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    said = await refusal("https://x.test/")
    assert said.startswith("cannot fetch the file from x.test: ")
