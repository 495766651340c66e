from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import ProviderRateLimitError
from victor.resilience.throttle import Throttle, Ticket
from victor.testing.virtual import now, run_virtual


def throttle(requests: float | None = None, tokens: float | None = None) -> Throttle:
    return Throttle(requests, tokens, clock=now)


async def begun(waits: list[Coroutine[Any, Any, Ticket]]) -> list[float]:
    """Let all wait, in this order; return when they began."""
    tasks = [asyncio.create_task(each) for each in waits]
    return [ticket.start for ticket in await asyncio.gather(*tasks)]


# ---------------------------------------------------------------------------- per minute


def test_requests_beyond_the_limit_wait_for_the_minute_to_pass() -> None:
    async def main() -> list[float]:
        found = throttle(2)
        return await begun([found.wait() for _ in range(5)])

    assert run_virtual(main()) == [0, 0, 60, 60, 120]


def test_tokens_beyond_the_limit_wait_for_the_minute_to_pass() -> None:
    async def main() -> list[float]:
        found = throttle(tokens=100)
        return await begun([found.wait(tokens) for tokens in (60, 40, 10, 90, 1, 1000, 1)])

    assert run_virtual(main()) == [0, 0, 60, 60, 120, 180, 240]


def test_without_limits_nobody_waits() -> None:
    async def main() -> list[float]:
        found = Throttle(clock=now)
        return await begun([found.wait(10**9) for _ in range(50)])

    assert run_virtual(main()) == [0] * 50


def test_who_came_first_goes_first_however_small_the_others_are() -> None:
    async def main() -> list[float]:
        found = throttle(tokens=100)
        return await begun([found.wait(tokens) for tokens in (90, 80, 5, 5)])

    assert run_virtual(main()) == [0, 60, 60, 60]


def test_what_was_really_used_makes_room_at_once() -> None:
    async def main() -> list[float]:
        found = throttle(tokens=100)
        first = await found.wait(100)
        waiting = asyncio.create_task(begun([found.wait(50), found.wait(50), found.wait(50)]))
        await asyncio.sleep(7)
        found.used(first, 20)
        await asyncio.sleep(0.5)
        found.used(first, 0)
        return await waiting

    assert run_virtual(main()) == [7, 7.5, 67]


def test_what_was_used_beyond_the_estimate_counts() -> None:
    async def main() -> list[float]:
        found = throttle(tokens=100)
        first = await found.wait(1)
        found.used(first, 100)
        return await begun([found.wait(1)])

    assert run_virtual(main()) == [60]


def test_a_correction_that_comes_after_the_minute_changes_nothing() -> None:
    async def main() -> list[float]:
        found = throttle(tokens=100)
        first = await found.wait(50)
        await asyncio.sleep(60)
        second = await found.wait(50)
        found.used(first, 1000)
        found.used(second, 90)
        return await begun([found.wait(10), found.wait(1)])

    assert run_virtual(main()) == [60, 120]


def test_who_is_cancelled_is_not_counted_and_stops_nobody() -> None:
    async def main() -> list[float]:
        found = throttle(1)
        await found.wait()
        tasks = [asyncio.create_task(found.wait()) for _ in range(4)]
        await asyncio.sleep(1)
        tasks[0].cancel()
        tasks[2].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(each) for each in done[::2]] == [asyncio.CancelledError] * 2
        assert len(found._queue) == 0
        return [each.start for each in done if isinstance(each, Ticket)]

    assert run_virtual(main()) == [60, 120]


def test_waiting_costs_a_handful_of_wake_ups() -> None:
    class Counting(Throttle):
        looks = 0

        def _left(self, ticket: Ticket, until: float) -> float | None:
            self.looks += 1
            return super()._left(ticket, until)

    async def main() -> int:
        found = Counting(10, clock=now)
        await begun([found.wait() for _ in range(100)])
        assert now() == 540
        return found.looks

    assert run_virtual(main()) <= 300


@settings(max_examples=60, deadline=None)
@given(
    most=st.integers(1, 5),
    most_tokens=st.integers(1, 50),
    arrivals=st.lists(
        st.tuples(st.sampled_from([0, 0, 0.25, 7, 70]), st.integers(0, 60)), min_size=1, max_size=25
    ),
)
def test_no_minute_has_more_than_was_said_and_nobody_is_overtaken(
    most: int, most_tokens: int, arrivals: list[tuple[float, int]]
) -> None:
    async def main() -> list[Ticket]:
        found = throttle(most, most_tokens)
        tasks = []
        for pause, tokens in arrivals:
            await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(found.wait(tokens)))
            await asyncio.sleep(0)
        return await asyncio.gather(*tasks)

    tickets = run_virtual(main())
    starts = [ticket.start for ticket in tickets]
    assert starts == sorted(starts)
    for ticket in tickets:
        minute = [each for each in tickets if ticket.start - 60 < each.start <= ticket.start]
        assert len(minute) <= most
        assert sum(each.tokens for each in minute) <= most_tokens


# ---------------------------------------------------------------------------- too long a wait


def test_a_wait_that_would_be_too_long_fails_at_once() -> None:
    async def main() -> list[float]:
        found = throttle(1)
        await found.wait()
        patient = asyncio.create_task(found.wait(within_s=60))
        await asyncio.sleep(1)
        with pytest.raises(ProviderRateLimitError, match=r"begin in 119\.0 s only") as caught:
            await found.wait(within_s=100)
        assert caught.value.retry_after == 119
        assert now() == 1
        return [(await patient).start, (await found.wait(within_s=60)).start]

    assert run_virtual(main()) == [60, 120]


def test_a_wait_that_grows_and_is_still_short_enough_goes_on() -> None:
    async def main() -> None:
        found = throttle(tokens=100)
        first, second = await found.wait(50), await found.wait(0)
        early = asyncio.create_task(found.wait(60, within_s=70))
        late = asyncio.create_task(found.wait(10, within_s=65))
        await asyncio.sleep(30)
        found.used(first, 10)
        found.used(second, 100)
        assert [(await early).start, (await late).start] == [60, 60]

    run_virtual(main())


def test_the_first_in_the_queue_learns_that_it_will_be_too_late() -> None:
    async def main() -> None:
        found = throttle(1)
        first = await found.wait()
        head = asyncio.create_task(found.wait(within_s=61))
        second = asyncio.create_task(found.wait(within_s=125))
        await asyncio.sleep(10)
        first.start = 30  # as if it had begun later
        second.cancel()
        found.used(first, 0)
        with pytest.raises(ProviderRateLimitError, match=r"in 80\.0 s only"):
            await head
        assert now() == 10

    run_virtual(main())


def test_who_stands_behind_a_wait_that_grew_gives_up_in_time() -> None:
    async def main() -> None:
        found = throttle(tokens=10)
        first = await found.wait(1)
        head = asyncio.create_task(found.wait(10))
        behind = asyncio.create_task(found.wait(1, within_s=121))
        await asyncio.sleep(59)
        found.used(first, 10)
        await asyncio.sleep(0)
        first.start = 100
        with pytest.raises(ProviderRateLimitError):
            await behind
        assert 121 <= now() < 122
        assert (await head).start == 160

    run_virtual(main())


@pytest.mark.parametrize("bad", [0, 0.5, -3, float("nan")])
def test_limits_below_one_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="requests_per_minute must be at least 1"):
        Throttle(bad)
    with pytest.raises(ValueError, match="tokens_per_minute must be at least 1"):
        Throttle(None, bad)


# ---------------------------------------------------------------------------- held back


def test_one_kind_is_held_back_until_its_moment() -> None:
    async def main() -> list[float]:
        found = throttle()
        found.hold("a", 10)
        found.hold("a", 3)
        return await begun([found.wait(kind="a"), found.wait(kind="b"), found.wait()])

    assert run_virtual(main()) == [10, 0, 0]


def test_a_hold_that_is_too_long_fails_at_once() -> None:
    async def main() -> None:
        found = throttle()
        found.hold("a", 1e9)
        with pytest.raises(ProviderRateLimitError, match="server said that its rate") as caught:
            await found.wait(kind="a", within_s=60)
        assert caught.value.retry_after == 86_400
        assert now() == 0

    run_virtual(main())


def test_a_request_held_back_while_it_stood_in_the_queue_waits_on() -> None:
    async def main() -> list[float]:
        found = throttle(1)
        await found.wait()
        waits = asyncio.create_task(begun([found.wait(kind="a"), found.wait(kind="b")]))
        await asyncio.sleep(1)
        found.hold("a", 70)
        return await waits

    assert run_virtual(main()) == [120, 60]


def test_holds_that_are_over_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.resilience.throttle._MOST_HOLDS", 10)

    async def main() -> int:
        found = throttle()
        for number in range(50):
            found.hold(number, 1)
            await asyncio.sleep(1)
        return len(found._holds)

    assert run_virtual(main()) <= 10


# ---------------------------------------------------------------------------- loops and threads


def test_event_loops_in_several_threads_share_one() -> None:
    found = Throttle(3)
    ticket_of: dict[str, Ticket] = {}
    queued, freed = threading.Event(), threading.Event()

    async def other() -> None:
        waiting = asyncio.create_task(found.wait())
        await asyncio.sleep(0)
        queued.set()
        ticket_of["other"] = await waiting
        freed.set()

    async def main() -> None:
        first = await found.wait()
        await found.wait()
        await found.wait()
        thread = threading.Thread(target=lambda: asyncio.run(other()))
        thread.start()
        assert await asyncio.to_thread(queued.wait, 5)
        first.start -= 60  # as if it were long ago
        found.used(first, 0)
        assert await asyncio.to_thread(freed.wait, 5)
        thread.join()

    asyncio.run(main())
    assert ticket_of["other"].is_counted


def test_a_loop_that_is_gone_keeps_nobody_waiting() -> None:
    found = Throttle(tokens_per_minute=10)
    ticket = Ticket(5)
    ticket._loop, ticket._turn = asyncio.new_event_loop(), asyncio.Event()
    ticket._loop.close()
    found._queue.append(ticket)
    found.used(Ticket(1), 1)
    assert list(found._queue) == [ticket]


def test_who_waits_is_told_why_and_how_long() -> None:
    async def main() -> None:
        throttle = Throttle(1, clock=now)
        told: list[tuple[str, float]] = []

        def tell(why: str, wait_s: float) -> None:
            told.append((why.partition(" ")[2][:10], wait_s))

        await throttle.wait(on_wait=tell)
        assert told == []
        await asyncio.sleep(10)
        throttle.hold("model", 20)
        await throttle.wait(kind="model", on_wait=tell)
        assert told == [("server sai", 20), ("limit per ", 30)]
        assert now() == 60

    run_virtual(main())
