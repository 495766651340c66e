from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import pytest

from tests.resilience.guards import guard
from tests.resilience.sources import Item, streamed
from victor.errors import StreamInterruptedError
from victor.resilience.pipeline import Deadlines
from victor.resilience.retry import RetryPolicy
from victor.resilience.votes import Outcome, Vote, judge
from victor.testing.faults import GARBAGE, Answer, FaultServer, json_answer, sse_answer

FAIL = Outcome(Vote.FAIL, retryable=True)


async def of_request(url: str) -> Outcome:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.HTTPError) as caught:
            (await client.get(url)).raise_for_status()
    return judge(caught.value)


async def test_real_httpx_failures_are_told_apart() -> None:
    headers = {"retry-after": "4"}
    async with FaultServer([GARBAGE, json_answer({}, 503, headers)]) as server:
        assert await of_request(server.url) == FAIL
        assert await of_request(server.url) == Outcome(Vote.FAIL, retryable=True, retry_after=4.0)
        url = server.url
    assert await of_request(url) == FAIL


async def test_plain_http_where_tls_was_expected_is_not_tried_again() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await of_request(f"https://127.0.0.1:{port}/") == Outcome(Vote.NEUTRAL)


async def lines_of(url: str) -> AsyncGenerator[Item, None]:
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        client.stream("GET", url) as response,
    ):
        async for line in response.aiter_lines():
            text = line.removeprefix("data: ")
            yield Item("" if line.startswith(":") or text == "[DONE]" else text, text == "[DONE]")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(sse_answer(["hel", "lo"], done=None), "without its final", id="clean end"),
        pytest.param(sse_answer(["hel", "lo"], done=None, then="reset"), "ReadError", id="reset"),
        pytest.param(sse_answer(["hel", "lo"], done=None, then="stall"), "new for", id="stall"),
        pytest.param(sse_answer(["hel", "lo"], done=None, then="beat"), "new for", id="beats"),
    ],
)
async def test_real_streams_that_break_are_interrupted(answer: Answer, message: str) -> None:
    limits = Deadlines(first_content_s=5, idle_s=0.1)
    async with FaultServer([answer]) as server:
        with pytest.raises(StreamInterruptedError, match=message) as caught:
            async for _ in streamed(guard(), lambda: lines_of(server.url), limits):
                pass
    assert caught.value.partial == "hello"


async def test_a_real_stream_is_tried_again_until_it_is_whole() -> None:
    script = [Answer(then="reset"), sse_answer([], done=None), sse_answer(["hello"])]
    async with FaultServer(script) as server:
        pipeline = guard(retry=RetryPolicy(retry_delay=0.01))
        items = [item async for item in streamed(pipeline, lambda: lines_of(server.url))]
    assert "".join(item.text for item in items) == "hello"
    assert len(server.requests) == 3
