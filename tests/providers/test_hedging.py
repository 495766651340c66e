from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.author import ANSWER, HI, down
from tests.providers.loopback import STREAM, connect, failures
from tests.providers.routing import Named, Told, labels, together
from victor.errors import ProviderInvalidRequestError, ProviderServerError, ProviderTimeoutError
from victor.providers.failover import FailoverProvider
from victor.testing.faults import STALL, FaultServer
from victor.testing.virtual import now, run_virtual
from victor.types import StreamChunk


class Slow(Named):
    """Streams its script after a while."""

    def __init__(self, name: str, after_s: float, script: Any = (ANSWER,), **kwargs: Any) -> None:
        super().__init__(name, script, **kwargs)
        self.after_s = after_s
        self.cancelled = 0
        self.ended = 0

    async def stream(self, *args: Any, **kwargs: Any) -> Any:
        try:
            await asyncio.sleep(self.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        try:
            async for chunk in super().stream(*args, **kwargs):
                yield chunk
        finally:
            self.ended += 1


def answer(text: str) -> Any:
    return [[StreamChunk(text), StreamChunk(stop_reason="stop", is_final=True)]]


async def streamed(both: FailoverProvider, **options: Any) -> tuple[Any, ...]:
    began = now()
    chunks = [chunk async for chunk in both.stream(HI, model="m", **options)]
    text = "".join(chunk.content for chunk in chunks)
    return text, labels(chunks[-1].attempts), now() - began


def hedged(*routes: Named, after: float = 2) -> FailoverProvider:
    return together(*routes, hedge_after=after, hold_s=60, clock=now)


async def test_off_by_default_nobody_else_is_asked() -> None:
    first, second = Named("a", answer("one")), Named("b")
    chunks = [chunk async for chunk in together(first, second).stream(HI, model="m")]
    assert chunks[0].content == "one"
    assert second.asked == []


def test_a_route_that_is_fast_enough_answers_alone() -> None:
    async def main() -> None:
        first, second = Slow("a", 1, answer("one")), Slow("b", 0)
        assert await streamed(hedged(first, second)) == ("one", ["a/m"], 1)
        assert second.asked == []

    run_virtual(main())


def test_the_first_content_wins_and_the_loser_is_cancelled_without_a_vote() -> None:
    async def main() -> None:
        first, second, told = Slow("a", 9, answer("one")), Slow("b", 1, answer("two")), Told()
        both = hedged(first, second)
        found = await streamed(both, on_event=told.append)
        assert found == ("two", ["a/m!", "b/its-own"], 3)
        assert first.cancelled == 1
        assert first.breaker is not None
        assert first.breaker.snapshot().calls == 0
        (move,) = told.moves
        assert (move.old, move.new) == ("a/its-own", "b/its-own")
        assert isinstance(move.error, ProviderTimeoutError)
        assert str(move.error) == "a/its-own brought nothing within 2 s"
        # Losing is no failure: the next call begins at the first route again.
        first.after_s = 0
        assert (await streamed(both))[0] == "one"

    run_virtual(main())


def test_the_first_route_may_still_win() -> None:
    async def main() -> None:
        first, second, told = Slow("a", 3, answer("one")), Slow("b", 9), Told()
        found = await streamed(hedged(first, second), on_event=told.append)
        assert found == ("one", ["b/its-own!", "a/m"], 3)
        assert (second.cancelled, told.moves) == (1, [])

    run_virtual(main())


def test_if_the_first_one_fails_meanwhile_the_second_goes_on() -> None:
    async def main() -> None:
        first, second, told = Slow("a", 3, [[down()]]), Slow("b", 9, answer("two")), Told()
        found = await streamed(hedged(first, second), on_event=told.append)
        assert found == ("two", ["a/m!", "b/its-own"], 11)
        assert isinstance(told.moves[0].error, ProviderServerError)

    run_virtual(main())


def test_if_the_second_one_fails_meanwhile_the_first_goes_on() -> None:
    async def main() -> None:
        first, second, told = Slow("a", 9, answer("one")), Slow("b", 1, [[down()]]), Told()
        found = await streamed(hedged(first, second), on_event=told.append)
        assert found == ("one", ["b/its-own!", "a/m"], 9)
        assert told.moves == []

    run_virtual(main())


def test_if_both_fail_the_next_route_is_asked_and_helped_in_its_turn() -> None:
    async def main() -> None:
        first, second = Slow("a", 3, [[down()]]), Slow("b", 3, [[down()]])
        third = Slow("c", 1, answer("three"))
        found = await streamed(hedged(first, second, third))
        assert found == ("three", ["a/m!", "b/its-own!", "c/its-own"], 6)

    run_virtual(main())


def test_a_wrong_request_ends_both() -> None:
    async def main() -> None:
        wrong = ProviderInvalidRequestError("no")
        first, second = Slow("a", 3, [[wrong]]), Slow("b", 9)
        with pytest.raises(ProviderInvalidRequestError) as caught:
            await streamed(hedged(first, second))
        assert labels(caught.value.attempts) == ["a/m!"]
        assert second.cancelled == 1

    run_virtual(main())


def test_leaving_ends_both() -> None:
    async def main() -> None:
        first, second = Slow("a", 9), Slow("b", 9)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(4):
                await streamed(hedged(first, second))
        assert (first.cancelled, second.cancelled) == (1, 1)

    run_virtual(main())


def test_two_that_begin_at_once_are_not_both_left_open() -> None:
    async def main() -> None:
        first, second = Slow("a", 4, answer("one")), Slow("b", 2, answer("two"))
        found = await streamed(hedged(first, second))
        assert found[0] == "one"
        assert [one.ended for one in (first, second)] == [1, len(second.asked)]

    run_virtual(main())


def test_without_another_route_that_is_well_the_first_one_is_waited_for() -> None:
    async def main() -> None:
        first, second = Slow("a", 9, answer("one")), Slow("b", 0)
        assert second.breaker is not None
        second.breaker.force_open()
        assert await streamed(hedged(first, second)) == ("one", ["a/m"], 9)

    run_virtual(main())


def test_what_a_server_runs_itself_is_never_asked_for_twice() -> None:
    async def main() -> None:
        first, second = Slow("a", 9, answer("one")), Slow("b", 0)
        found = await streamed(hedged(first, second), server_tools=[{"type": "web_search"}])
        assert found == ("one", ["a/m"], 9)
        assert second.asked == []

    run_virtual(main())


async def test_over_real_connections_the_slow_one_is_closed() -> None:
    async with (
        FaultServer([STALL]) as slow,
        FaultServer([STREAM]) as fast,
        connect(slow) as first,
        connect(fast) as second,
    ):
        both = together(first, (second, "m-2"), hedge_after=0.02)
        text = [chunk.content async for chunk in both.stream(HI, model="m-1")]
        assert "".join(text) == "Hello"
        assert failures(first) == failures(second) == 0
        assert [len(one.requests) for one in (slow, fast)] == [1, 1]
