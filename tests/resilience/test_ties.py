from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from threading import Event

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.neighbours import Neighbour, busy, down, fine, neighbours
from victor.errors import (
    CircuitOpenError,
    ProviderOverloadedError,
    ProviderServerError,
    StreamInterruptedError,
)
from victor.resilience.events import BreakerEvent, BreakerOpened


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "resilience.db"


@pytest.fixture
def pair(path: Path) -> Iterator[tuple[Neighbour, Neighbour, Clock]]:
    with neighbours(path) as ((one, other), clock):
        yield one, other, clock


Pair = tuple[Neighbour, Neighbour, Clock]


async def _started(neighbour: Neighbour, fn: Callable[[], Awaitable[str]]) -> asyncio.Task[str]:
    """Start a call, and wait until it is the trial."""
    task = asyncio.create_task(neighbour.pipeline.call(fn))
    while neighbour.circuits.endpoint.state != "half-open":  # noqa: ASYNC110 - it has no event
        await asyncio.sleep(0)
    return task


async def _for_ever() -> str:
    await asyncio.Event().wait()
    return ""


async def _never() -> str:
    raise AssertionError("this must not be called")


async def test_an_outage_one_process_found_is_not_found_again_by_the_other(pair: Pair) -> None:
    one, other, _ = pair
    told: list[BreakerEvent] = []
    other.circuits.endpoint.add_listener(told.append)
    await one.fails()
    with pytest.raises(CircuitOpenError, match=r"next try in 10\.0 s.*HTTP 500") as caught:
        await other.call(_never)
    assert type(caught.value.last_error) is ProviderServerError
    assert caught.value.retry_at == one.now().retry_at
    assert [type(event) for event in told] == [BreakerOpened]


async def test_an_outage_is_learnt_of_within_a_second_of_calls(pair: Pair) -> None:
    one, other, clock = pair
    assert await other.call(fine) == "fine"
    await one.fails()
    assert await other.call(fine) == "fine"  # what it knows is not a second old
    clock.now += 0.6
    assert await other.call(fine) == "fine"  # reads, and does not wait for it
    await other.written()
    with pytest.raises(CircuitOpenError):
        await other.call(_never)


async def test_one_probes_and_the_other_waits_for_what_it_finds(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    go = asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return "well again"

    probe = await _started(one, slow)
    clock.now += 1
    with pytest.raises(CircuitOpenError, match="another process is probing") as caught:
        await other.call(_never)
    assert caught.value.retry_after == pytest.approx(29)
    go.set()
    assert await probe == "well again"
    await one.written()
    clock.now += 1
    assert await other.call(fine) == "fine"
    assert other.circuits.endpoint.state == "closed"


async def test_a_failed_probe_keeps_all_out_for_longer(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    await other.fails(1)
    with pytest.raises(CircuitOpenError, match=r"next try in 20\.0 s"):
        await other.call(_never)
    clock.now += 12
    with pytest.raises(CircuitOpenError, match=r"next try in 8\.0 s"):
        await one.call(_never)
    assert one.now().trips == other.now().trips == 2


async def test_of_many_calls_in_both_one_is_the_probe(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    probing = 0
    refused = asyncio.Event()

    async def slow() -> str:
        nonlocal probing
        probing += 1
        await refused.wait()
        return "fine"

    calls = [asyncio.ensure_future(each.call(slow)) for each in (one, other) for _ in range(50)]
    waiting = set(calls)
    while len(waiting) > 1:
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    refused.set()
    said = await asyncio.gather(*calls, return_exceptions=True)
    assert probing == 1
    assert said.count("fine") == 1
    assert sum(isinstance(each, CircuitOpenError) for each in said) == 99


async def test_a_cancelled_probe_leaves_the_trial_to_others(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    probe = await _started(one, _for_ever)
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    await one.written()
    assert await other.call(fine) == "fine"
    await other.written()
    clock.now += 1
    assert await one.call(fine) == "fine"


async def test_who_is_cancelled_before_its_probe_holds_nothing(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    await one.state._thread.ask(one.state._thread.read)
    busy, go = Event(), Event()

    def block() -> None:
        busy.set()
        go.wait(10)

    one.state._thread.post(block)
    waiting = [asyncio.ensure_future(one.call(_never)) for _ in range(2)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    go.set()
    await one.written()
    assert busy.is_set()
    assert await other.call(fine) == "fine"


async def test_leave_that_comes_too_late_is_given_back(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    thread = one.state._thread
    await thread.ask(thread.read)
    swap = thread.swap

    def cancel_and_swap(*args: object) -> bool:
        loop.call_soon_threadsafe(waiting.cancel)
        while not cancelled.is_set():
            cancelled.wait(0.01)
        return swap(*args)  # type: ignore[arg-type]  # passed on

    thread.swap = cancel_and_swap  # type: ignore[method-assign,assignment]
    loop, cancelled = asyncio.get_running_loop(), Event()
    waiting = asyncio.ensure_future(one.call(_never))
    await asyncio.gather(waiting, return_exceptions=True)
    thread.swap = swap  # type: ignore[method-assign]
    cancelled.set()
    await one.written()
    await one.written()
    assert await other.call(fine) == "fine"


async def test_a_lease_ends_and_the_late_probe_has_no_vote(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11
    go = asyncio.Event()

    async def slow() -> str:
        await go.wait()
        return await down()

    probe = await _started(one, slow)
    clock.now += 31
    assert await other.call(fine) == "fine"
    await other.written()
    go.set()
    with pytest.raises(ProviderServerError):
        await probe
    await one.written()
    clock.now += 1
    assert await one.call(fine) == "fine"
    assert await other.call(fine) == "fine"


async def test_a_stream_that_delivers_closes_the_circuit_for_all(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    clock.now += 11

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        await down()

    stream = one.pipeline.stream(pieces, content_of=str, is_final=lambda _: False, part=None)
    assert await anext(stream) == "a"
    await one.written()
    assert await other.call(fine) == "fine"
    with pytest.raises(StreamInterruptedError):
        await anext(stream)


async def test_of_two_that_open_at_once_one_is_right(pair: Pair) -> None:
    one, other, _ = pair
    for each in (one, other):
        assert await each.call(fine) == "fine"
    await one.fails()
    await other.fails()
    with pytest.raises(CircuitOpenError):
        await other.call(_never)
    assert one.now().retry_at == other.now().retry_at
    with sqlite3.connect(one.state.path) as connection:
        assert connection.execute("SELECT state, epoch FROM breaker").fetchall() == [("open", 1)]
    connection.close()


async def test_who_always_loses_goes_on_in_the_end(pair: Pair) -> None:
    one, _, clock = pair
    await one.fails()
    clock.now += 11
    thread = one.state._thread
    thread.swap = lambda *_: False  # type: ignore[method-assign]
    assert await asyncio.wait_for(one.call(fine), 10) == "fine"
    with pytest.raises(ProviderOverloadedError):
        await one.call(busy)


async def test_news_wait_until_what_was_found_out_here_is_written(pair: Pair) -> None:
    one, other, clock = pair
    assert await one.call(fine) == "fine"
    thread, steps = one.state._thread, [Event() for _ in range(3)]

    def read_slowly() -> None:
        steps[0].wait(10)
        thread.read()
        steps[1].set()
        steps[2].wait(10)

    thread.post(read_slowly)
    for _ in range(2):
        with pytest.raises(ProviderServerError):
            await one.call(down)
    own = one.now().retry_at
    clock.now += 0.1
    await other.fails()
    steps[0].set()
    await asyncio.to_thread(steps[1].wait, 10)
    with pytest.raises(CircuitOpenError) as caught:
        await one.call(_never)
    assert caught.value.retry_at == own
    steps[2].set()
    await one.written()
    with pytest.raises(CircuitOpenError) as caught:
        await one.call(_never)
    assert caught.value.retry_at == other.now().retry_at != own


async def test_a_single_request_looks_too(pair: Pair) -> None:
    one, other, _ = pair
    await one.fails()
    with pytest.raises(CircuitOpenError):
        await other.pipeline.call_once(_never)
