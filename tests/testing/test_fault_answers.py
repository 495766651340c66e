from __future__ import annotations

import asyncio
import gzip
import ssl
from dataclasses import replace

import httpx
import pytest
import trustme

from victor.testing.faults import (
    UNKNOWN_HOST,
    Answer,
    FaultServer,
    chunked_answer,
    gzip_answer,
    gzip_bomb,
    json_answer,
    refusing,
    sse_answer,
)


def client(**options: ssl.SSLContext) -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(5.0), **options)  # type: ignore[arg-type] # only verify


async def test_chunks_arrive_and_the_connection_is_kept() -> None:
    answer = chunked_answer([b"one ", b"", b"two"], "text/plain")
    async with FaultServer([answer]) as server, client() as http:
        answers = [await http.get(server.url) for _ in range(2)]
        assert [answer.text for answer in answers] == ["one two"] * 2
        assert answers[0].headers["content-type"] == "text/plain"
        assert server.connections == server.open_connections == 1
    assert server.open_connections == 0


async def test_chunks_without_an_end_break_the_client() -> None:
    async with FaultServer([chunked_answer([b"one"], whole=False)]) as server, client() as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(server.url)


async def test_a_compressed_answer_is_whole_or_damaged() -> None:
    body = b'{"a": 1}'
    script = [gzip_answer(body), gzip_answer(body, damaged=True)]
    async with FaultServer(script) as server, client() as http:
        assert (await http.get(server.url)).json() == {"a": 1}
        with pytest.raises(httpx.DecodingError):
            await http.get(server.url)


def test_a_bomb_is_a_thousandth_of_what_it_unpacks_to() -> None:
    sent = gzip_bomb(b'{"x": "', megabytes=3).data.partition(b"\r\n\r\n")[2]
    assert len(sent) < 6_000
    unpacked = gzip.decompress(sent)
    assert unpacked[:8] == b'{"x": " '
    assert len(unpacked) == 3_000_007


async def test_what_beats_goes_on_until_the_client_has_enough() -> None:
    answer = replace(sse_answer([], done=None, then="beat"), beat=b"tick", beat_s=0)
    async with FaultServer([answer]) as server, client() as http:
        size = 0
        async with http.stream("GET", server.url) as response:
            async for block in response.aiter_raw():
                size += len(block)
                if size > 1_000:
                    break
    assert size > 1_000


async def test_a_port_that_refuses_refuses() -> None:
    async with client() as http:
        with refusing() as url, pytest.raises(httpx.ConnectError):
            await http.get(url)
        with pytest.raises(httpx.ConnectError):
            await http.get(UNKNOWN_HOST)


async def test_it_speaks_tls_with_a_certificate() -> None:
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with FaultServer([json_answer(1)], tls=serving) as server:
        assert server.url.startswith("https://")
        async with client(verify=trusting) as http:
            assert (await http.get(server.url)).json() == 1
        async with client() as http:
            with pytest.raises(httpx.ConnectError):
                await http.get(server.url)


async def test_tls_to_a_server_without_it_is_answered_at_once() -> None:
    async with FaultServer([json_answer(1)]) as server, client() as http:
        async with asyncio.timeout(4):
            with pytest.raises(httpx.ConnectError):
                await http.get(server.url.replace("http:", "https:"))
        assert server.requests == []
        assert (await http.get(server.url)).json() == 1


async def test_it_is_a_proxy_that_answers_itself() -> None:
    async with FaultServer([json_answer({}, 407)]) as proxy:
        async with httpx.AsyncClient(proxy=proxy.url) as http:
            assert (await http.get("http://api.example/v1")).status_code == 407
            with pytest.raises(httpx.ProxyError):
                await http.get("https://api.example/v1")
        plain, tunnel = proxy.requests
        assert (plain.method, plain.path) == ("GET", "http://api.example/v1")
        assert (tunnel.method, tunnel.path) == ("CONNECT", "api.example:443")


def test_an_answer_is_bent_without_changing_it() -> None:
    whole = json_answer(1)
    assert replace(whole, then="reset").data == whole.data
    assert Answer() == Answer(b"", "close", None, b": still here\n\n", 0.01)
