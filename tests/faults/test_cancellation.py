from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.faults.protocols import BOTH, PROTOCOLS, How, Protocol
from tests.faults.support import HI, MODEL, ask, connect, half_open, votes
from victor.providers import transport
from victor.providers.http import HTTPProvider
from victor.resilience.events import RetryScheduled
from victor.testing.faults import STALL, Answer, FaultServer, Script, json_answer

AT_ONCE_S = 0.2


@pytest.fixture(autouse=True)
def _a_long_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait long for what follows a stream's last event, so that there is something to cancel."""
    monkeypatch.setattr(transport, "_DRAIN_S", 30.0)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@dataclass(frozen=True)
class Await:
    """A place where a call waits."""

    id: str
    script: Callable[[Protocol, How], Script]
    how: tuple[How, ...] = BOTH
    content: bool = False
    """Wait until some has come."""
    retry: bool = False
    """Wait until another try is due."""


PLACES = [
    Await("headers", lambda *_: [STALL]),
    Await("middle of the headers", lambda *_: [Answer(HEAD, "stall")]),
    Await("body", lambda *_: [Answer(HEAD + b"content-length: 9\r\n\r\n{", "stall")]),
    Await("body of an error", lambda *_: [
        Answer(b"HTTP/1.1 500 Oops\r\ncontent-length: 9\r\n\r\n{", "stall")]),
    Await("first item of a stream", lambda p, _: [p.cut([], "stall")], ("stream",)),
    Await("next item of a stream", lambda p, _: [p.cut(p.text("Hello"), "stall")], ("stream",),
          content=True),
    Await("rest after the last item", lambda p, _: [p.stream(then="stall")], ("stream",),
          content=True),
    Await("wait before a retry", lambda p, _: [json_answer(p.error("x"), 503)], retry=True),
]  # fmt: skip


def _each(places: list[Await]) -> pytest.MarkDecorator:
    rows = [
        pytest.param(place, protocol, how, id=f"{place.id}-{protocol.name}-{how}")
        for place in places
        for protocol in PROTOCOLS
        for how in place.how
    ]
    return pytest.mark.parametrize(("place", "protocol", "how"), rows)


async def _until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not done():  # noqa: ASYNC110 - of several sources, none of which has an event
            await asyncio.sleep(0.001)


def _state(provider: HTTPProvider) -> str:
    assert provider.breaker is not None
    return provider.breaker.state


async def _cancelled(task: asyncio.Task[str]) -> float:
    """Cancel a task; return the seconds until it was over."""
    start = time.perf_counter()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    return time.perf_counter() - start


@asynccontextmanager
async def _waiting(
    place: Await, provider: HTTPProvider, server: FaultServer, how: How
) -> AsyncIterator[asyncio.Task[str]]:
    """Start a call and let it get to where it waits."""
    events: list[object] = []
    pieces: list[str] = []

    async def call() -> str:
        if how == "chat":
            return await ask(provider, how, on_event=events.append)
        async for chunk in provider.stream(HI, model=MODEL, on_event=events.append):
            pieces.append(chunk.content)
        return "".join(pieces)

    task = asyncio.create_task(call())
    try:
        await _until(lambda: bool(server.requests))
        if place.content:
            await _until(lambda: "".join(pieces) == "Hello")
        if place.retry:
            await _until(lambda: any(isinstance(one, RetryScheduled) for one in events))
        await asyncio.sleep(0.01)
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@_each(PLACES)
async def test_cancelling_is_neutral_at_once_and_gives_the_connection_back(
    place: Await, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A connection that was not given back would keep the next call waiting.
    monkeypatch.setattr(transport, "_LIMITS", httpx.Limits(max_connections=1))
    found = place.script(protocol, how)
    assert not callable(found)
    script = [*found, protocol.well(how)]
    options = {"retry_delay": 30.0, "timeout": 20.0}
    async with FaultServer(script) as server, connect(server.url, protocol, **options) as provider:
        async with _waiting(place, provider, server, how) as task:
            assert await _cancelled(task) < AT_ONCE_S
        calls, failures, _ = votes(provider)
        assert (calls, failures) == (place.retry, place.retry)
        if not place.retry:
            await _until(lambda: server.open_connections == 0)
        assert await ask(provider, how) == "Hello"
        assert len(server.requests) == 2


@_each([place for place in PLACES if not place.retry and not place.content])
async def test_a_cancelled_trial_leaves_the_circuit_half_open_for_the_next(
    place: Await, protocol: Protocol, how: How
) -> None:
    found = place.script(protocol, how)
    assert not callable(found)
    script = [*found, protocol.well(how)]
    async with FaultServer(script) as server, connect(server.url, protocol) as provider:
        half_open(provider)
        async with _waiting(place, provider, server, how) as task:
            await _cancelled(task)
        assert _state(provider) == "half-open"
        assert await ask(provider, how) == "Hello"
        assert _state(provider) == "closed"


@pytest.fixture
def full_port() -> Iterator[str]:
    """A port whose queue is full: connecting to it is neither accepted nor refused."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port: int = listener.getsockname()[1]
        for _ in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("how", BOTH)
@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: str(one.name))
async def test_cancelling_a_connection_under_way_is_neutral_and_at_once(
    protocol: Protocol, how: How, full_port: str
) -> None:
    async with connect(full_port, protocol) as provider:
        task = asyncio.create_task(ask(provider, how))
        await asyncio.sleep(0.02)
        assert not task.done()
        assert await _cancelled(task) < AT_ONCE_S
        assert votes(provider) == (0, 0, 0)


@_each([place for place in PLACES if not place.retry])
async def test_a_callers_own_deadline_is_neutral(
    place: Await, protocol: Protocol, how: How
) -> None:
    found = place.script(protocol, how)
    assert not callable(found)
    async with FaultServer(found) as server, connect(server.url, protocol) as provider:
        async with _waiting(place, provider, server, how) as task:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0.03)
        assert votes(provider) == (0, 0, 0)
