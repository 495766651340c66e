from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    FaultServer,
    Request,
    html_answer,
    json_answer,
    redirect_answer,
    sse_answer,
    truncated_answer,
)


def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=httpx.Timeout(5.0))


async def test_a_json_answer_arrives_whole_and_the_connection_is_kept() -> None:
    async with FaultServer([json_answer({"ok": True}, 529, {"retry-after": "2"})]) as server:
        async with client() as http:
            answers = [await http.post(server.url + "/v1?x=1", json={"n": n}) for n in range(3)]
        assert [answer.status_code for answer in answers] == [529] * 3
        assert answers[0].json() == {"ok": True}
        assert answers[0].headers["retry-after"] == "2"
        assert server.connections == 1
        assert [request.json() for request in server.requests] == [{"n": n} for n in range(3)]
        first = server.requests[0]
        assert (first.method, first.path) == ("POST", "/v1?x=1")
        assert first.headers["content-type"] == "application/json"


async def test_answers_come_in_turn_and_the_last_repeats() -> None:
    script = [json_answer(1), html_answer("two"), redirect_answer("/x")]
    async with FaultServer(script) as server, client() as http:
        answers = [await http.get(server.url) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 307, 307]
    assert answers[1].headers["content-type"].startswith("text/html")
    assert answers[1].text == "two"
    assert answers[3].headers["location"] == "/x"


async def test_a_function_chooses_the_answer() -> None:
    def choose(request: Request) -> Answer:
        return json_answer({"path": request.path})

    async with FaultServer(choose) as server, client() as http:
        assert (await http.get(server.url + "/here")).json() == {"path": "/here"}


def test_an_empty_script_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one answer"):
        FaultServer([])


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(RESET, httpx.ReadError, id="reset"),
        pytest.param(GARBAGE, httpx.RemoteProtocolError, id="garbage"),
        pytest.param(truncated_answer(b"{"), httpx.RemoteProtocolError, id="truncated"),
        pytest.param(
            sse_answer(["x"], done=None, then="reset"), httpx.ReadError, id="reset in mid-stream"
        ),
        pytest.param(Answer(), httpx.RemoteProtocolError, id="end before headers"),
    ],
)
async def test_a_broken_answer_breaks_the_client(
    answer: Answer, error: type[httpx.HTTPError]
) -> None:
    async with FaultServer([answer]) as server, client() as http:
        with pytest.raises(error):
            await http.get(server.url)


@pytest.mark.parametrize("done", [None, "[DONE]"], ids=["cut off", "complete"])
async def test_a_stream_ends_cleanly_with_or_without_its_last_event(done: str | None) -> None:
    answer = sse_answer([{"n": 1}, "text", b": comment\n\n"], done=done)
    async with FaultServer([answer]) as server, client() as http:
        body = (await http.get(server.url)).text
    assert body.startswith('data: {"n": 1}\n\ndata: text\n\n: comment\n\n')
    assert body.endswith("data: [DONE]\n\n") == (done is not None)


async def test_a_stalled_server_says_nothing_until_the_client_leaves() -> None:
    async with FaultServer([STALL]) as server, client() as http:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await http.get(server.url)
        assert len(server.requests) == 1


async def test_leaving_ends_connections_that_stall() -> None:
    arrived = asyncio.Event()

    def stall(_: Request) -> Answer:
        arrived.set()
        return STALL

    async with client() as http:
        async with FaultServer(stall) as server:
            pending = asyncio.create_task(http.get(server.url))
            await asyncio.wait_for(arrived.wait(), 5)
        with pytest.raises(httpx.HTTPError):
            await pending
        with pytest.raises(httpx.ConnectError):
            await http.get(server.url)


async def test_heartbeats_go_on_until_the_client_has_enough() -> None:
    answer = replace(sse_answer(["x"], done=None, then="beat"), pace_s=None)
    async with FaultServer([answer]) as server, client() as http:
        beats = 0
        async with http.stream("GET", server.url) as response:
            async for line in response.aiter_lines():
                beats += line.startswith(":")
                if beats == 3:
                    break
    assert beats == 3


async def test_an_answer_can_drip_byte_by_byte() -> None:
    dripping = FaultServer([replace(json_answer([1, 2]), pace_s=0.0)])
    async with dripping as server, client() as http, http.stream("GET", server.url) as response:
        pieces = [piece async for piece in response.aiter_raw()]
    assert json.loads(b"".join(pieces)) == [1, 2]
    assert len(pieces) > 1


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no request line"),
        pytest.param(b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", id="huge"),
        pytest.param(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", id="chunked"),
        pytest.param(b"GET / HTTP/1.1\r\nx: " + b"x" * 200_000, id="endless head"),
    ],
)
async def test_requests_beyond_its_means_are_hung_up_on(request_bytes: bytes) -> None:
    async with FaultServer([json_answer(1)]) as server:
        reader, writer = await asyncio.open_connection(*server.url[7:].split(":"))
        writer.write(request_bytes)
        with suppress(ConnectionError):  # hung up on while the request was still on its way
            assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        assert server.requests == []
