from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest

from tests.resilience.guards import NO_RETRY, failures, guard, state
from tests.resilience.sources import BEAT, END, Item, Source, Step, streamed
from victor.errors import (
    CircuitOpenError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.testing.virtual import now, run_virtual


async def collect(
    pipeline: Pipeline, source: Source, deadlines: Deadlines | None = None
) -> list[Item]:
    items = [item async for item in streamed(pipeline, source, deadlines)]
    assert source.closed == source.started
    return items


async def pull(stream: AsyncGenerator[Item, None]) -> Item:
    return await anext(stream)


async def opened() -> Pipeline:
    """A guard whose circuit is about to let a trial through."""
    pipeline = guard(retry=NO_RETRY, consecutive_failures=1)
    with pytest.raises(ConnectionError):
        await collect(pipeline, Source([ConnectionError()]))
    await asyncio.sleep(1)
    return pipeline


def test_a_stream_passes_through_whole() -> None:
    async def main() -> None:
        items: list[Step] = [BEAT, Item("a"), Item("b"), Item("c", final=True), Item("usage")]
        pipeline = guard()
        assert await collect(pipeline, Source(items)) == items
        assert pipeline.breaker is not None
        assert pipeline.breaker.snapshot().calls == 1

    run_virtual(main())


def test_before_its_first_content_a_stream_is_tried_again() -> None:
    async def main() -> None:
        source = Source([ConnectionError()], [BEAT, ConnectionError()], [Item("a"), END])
        assert await collect(guard(), source) == [BEAT, Item("a"), END]
        assert now() == 3

    run_virtual(main())


def test_after_its_first_content_a_stream_is_not_tried_again() -> None:
    async def main() -> None:
        broken, pipeline = ConnectionResetError("gone"), guard()
        source = Source([Item("hel"), BEAT, Item("lo"), broken])
        stream = streamed(pipeline, source)
        assert [await anext(stream) for _ in range(3)] == [Item("hel"), BEAT, Item("lo")]
        with pytest.raises(StreamInterruptedError) as caught:
            await anext(stream)
        assert source.started == source.closed == 1
        error = caught.value
        assert error.partial == "hello"
        assert error.__cause__ is broken
        assert "api: the stream broke after 5 characters: ConnectionResetError: gone" in str(error)
        assert failures(pipeline) == 1

    run_virtual(main())


def test_a_break_is_judged_by_what_broke_it() -> None:
    async def main() -> None:
        pipeline = guard()
        with pytest.raises(StreamInterruptedError):
            await collect(pipeline, Source([Item("a"), TypeError("bug")]))
        assert failures(pipeline) == 0

    run_virtual(main())


def test_an_authors_own_interruption_is_passed_on_as_it_is() -> None:
    async def main() -> None:
        error, pipeline = StreamInterruptedError("mine", "partial"), guard()
        with pytest.raises(StreamInterruptedError) as caught:
            await collect(pipeline, Source([Item("a"), error]))
        assert caught.value is error
        assert failures(pipeline) == 1

    run_virtual(main())


def test_a_stream_that_ends_too_early_without_content_is_tried_again() -> None:
    async def main() -> None:
        assert await collect(guard(), Source([], [BEAT], [Item("a"), END])) == [
            BEAT,
            Item("a"),
            END,
        ]
        pipeline = guard(retry=NO_RETRY)
        with pytest.raises(ProviderInvalidResponseError, match="ended without its final"):
            await collect(pipeline, Source([BEAT]))
        assert failures(pipeline) == 1

    run_virtual(main())


def test_a_stream_that_ends_too_early_after_content_is_interrupted() -> None:
    async def main() -> None:
        pipeline = guard()
        with pytest.raises(StreamInterruptedError, match="ended without its final") as caught:
            await collect(pipeline, Source([Item("a")]))
        assert caught.value.partial == "a"
        assert failures(pipeline) == 1

    run_virtual(main())


@pytest.mark.parametrize("after", [ConnectionResetError("gone"), 1e6], ids=["break", "stall"])
def test_what_breaks_after_the_final_item_takes_nothing_away(after: Step) -> None:
    async def main() -> None:
        pipeline = guard()
        assert await collect(pipeline, Source([Item("a"), END, after])) == [Item("a"), END]
        assert failures(pipeline) == 0

    run_virtual(main())


def test_a_bug_after_the_final_item_is_not_hidden() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="bug"):
            await collect(guard(), Source([END, TypeError("bug")]))

    run_virtual(main())


LIMITS = Deadlines(first_content_s=5, idle_s=2, total_s=20)


@pytest.mark.parametrize(
    ("script", "message", "at"),
    [
        pytest.param([100.0], "api: no content within 5 s", 5, id="silence"),
        pytest.param([BEAT, 1.0] * 100, "api: no content within 5 s", 5, id="heartbeats"),
        pytest.param([BEAT, 100.0], "api: no content within 5 s", 5, id="a lone heartbeat"),
    ],
)
def test_heartbeats_are_not_content(script: list[Step], message: str, at: float) -> None:
    async def main() -> None:
        pipeline = guard(retry=NO_RETRY)
        with pytest.raises(ProviderTimeoutError, match=message):
            await collect(pipeline, Source(script), LIMITS)
        assert now() == pytest.approx(at)
        assert failures(pipeline) == 1

    run_virtual(main())


@pytest.mark.parametrize(
    ("script", "message", "at"),
    [
        pytest.param([Item("a"), 100.0], "nothing new for 2 s", 2, id="silence"),
        pytest.param([Item("a"), *[1.0, BEAT] * 99], "nothing new for 2 s", 2, id="heartbeats"),
        pytest.param([1.0, Item("a")] * 99, "not complete after 20 s", 20, id="endless"),
    ],
)
def test_a_stream_that_stalls_after_content_is_interrupted(
    script: list[Step], message: str, at: float
) -> None:
    async def main() -> None:
        pipeline = guard()
        with pytest.raises(StreamInterruptedError, match=message) as caught:
            await collect(pipeline, Source(script), LIMITS)
        assert isinstance(caught.value.__cause__, ProviderTimeoutError)
        assert caught.value.partial.startswith("a")
        assert now() == pytest.approx(at)
        assert failures(pipeline) == 1

    run_virtual(main())


def test_a_stalled_start_is_tried_again() -> None:
    async def main() -> None:
        source = Source([100.0], [Item("a"), END])
        assert await collect(guard(), source, LIMITS) == [Item("a"), END]
        assert now() == pytest.approx(6)

    run_virtual(main())


def test_a_consumer_may_take_as_long_as_it_likes() -> None:
    async def main() -> None:
        script: list[Step] = [1.0, Item("a")]
        pipeline, source = guard(), Source([*script * 10, END])
        async for _ in streamed(pipeline, source, LIMITS):
            await asyncio.sleep(3600)
        assert failures(pipeline) == 0

    run_virtual(main())


def test_a_stream_may_be_read_from_one_task_after_another() -> None:
    async def main() -> None:
        pipeline, source = guard(), Source([Item("a"), 1.0, Item("b"), 100.0])
        stream = streamed(pipeline, source, LIMITS)
        first = await asyncio.create_task(pull(stream))
        second = await asyncio.create_task(pull(stream))
        assert (first, second) == (Item("a"), Item("b"))
        with pytest.raises(StreamInterruptedError):
            await asyncio.create_task(pull(stream))

    run_virtual(main())


def test_a_consumer_that_leaves_closes_the_source_and_has_no_vote() -> None:
    async def main() -> None:
        pipeline, source = guard(), Source([Item("a"), Item("b"), END])
        for _ in range(10):
            async with aclosing(streamed(pipeline, source)) as stream:
                async for _ in stream:
                    break
        assert source.closed == source.started == 10
        assert pipeline.breaker is not None
        assert pipeline.breaker.snapshot().calls == 0

    run_virtual(main())


def test_a_consumer_that_leaves_at_the_final_item_has_seen_a_success() -> None:
    async def main() -> None:
        pipeline = guard()
        async with aclosing(streamed(pipeline, Source([Item("a"), END, 100.0]))) as stream:
            async for item in stream:
                if item.final:
                    break
        assert pipeline.breaker is not None
        seen = pipeline.breaker.snapshot()
        assert (seen.calls, seen.failures) == (1, 0)

    run_virtual(main())


def test_an_abandoned_stream_is_closed_when_it_is_collected() -> None:
    async def main() -> None:
        pipeline, source = guard(), Source([Item("a"), END])
        stream = streamed(pipeline, source)
        assert await anext(stream) == Item("a")
        del stream
        gc.collect()
        await asyncio.sleep(1)
        assert source.closed == 1
        assert failures(pipeline) == 0

    run_virtual(main())


def test_what_the_consumer_throws_has_no_vote() -> None:
    async def main() -> None:
        pipeline, source = guard(), Source([Item("a"), END])
        stream = streamed(pipeline, source)
        await anext(stream)
        with pytest.raises(ConnectionError, match="the consumer's own"):
            await stream.athrow(ConnectionError("the consumer's own"))
        assert source.closed == 1
        assert failures(pipeline) == 0

    run_virtual(main())


@pytest.mark.parametrize(
    "at", [0.5, 1.5, 2.5], ids=["before content", "in mid-stream", "in the consumer"]
)
def test_a_cancelled_stream_ends_at_once_without_a_vote(at: float) -> None:
    async def main() -> None:
        pipeline, source = guard(), Source([1.0, Item("a"), 1.0, Item("b"), 1.0, END])

        async def consume() -> None:
            async with aclosing(streamed(pipeline, source)) as stream:
                async for item in stream:
                    if item.text == "b":
                        await asyncio.sleep(100)

        task = asyncio.create_task(consume())
        await asyncio.sleep(at)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == at
        assert source.closed == source.started == 1
        assert pipeline.breaker is not None
        assert pipeline.breaker.snapshot().calls == 0

    run_virtual(main())


def test_a_stream_cancelled_while_it_waits_for_a_retry_does_not_start_again() -> None:
    async def main() -> None:
        pipeline, source = guard(), Source([ConnectionError()])
        task = asyncio.create_task(collect(pipeline, source))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.started == 1

    run_virtual(main())


def test_a_trial_stream_that_delivers_lets_others_through() -> None:
    async def main() -> None:
        pipeline = await opened()
        trial = streamed(pipeline, Source([BEAT, 1.0, Item("a"), ConnectionError()]))
        assert await anext(trial) == BEAT
        with pytest.raises(CircuitOpenError):
            await collect(pipeline, Source([END]))
        assert await anext(trial) == Item("a")
        assert state(pipeline) == "closed"
        assert await collect(pipeline, Source([END])) == [END]
        with pytest.raises(StreamInterruptedError):
            await anext(trial)
        assert state(pipeline) == "open"

    run_virtual(main())


def test_a_consumer_that_leaves_a_trial_stream_frees_the_slot() -> None:
    async def main() -> None:
        pipeline = await opened()
        trial = streamed(pipeline, Source([BEAT, Item("a")]))
        await anext(trial)
        await trial.aclose()
        assert state(pipeline) == "half-open"
        assert await collect(pipeline, Source([END])) == [END]
        assert state(pipeline) == "closed"

    run_virtual(main())


def test_an_error_of_the_source_itself_is_passed_on_unchanged() -> None:
    async def main() -> None:
        error = ProviderOverloadedError("busy")
        with pytest.raises(ProviderOverloadedError) as caught:
            await collect(guard(retry=NO_RETRY), Source([error]))
        assert caught.value is error

        def refuses() -> AsyncIterator[Item]:
            raise ConnectionError("at once")

        with pytest.raises(ConnectionError, match="at once"):
            await anext(streamed(guard(retry=NO_RETRY), refuses))

    run_virtual(main())


class Plain:
    """An iterator that cannot be closed."""

    def __init__(self) -> None:
        self.items = [Item("a"), END]

    def __aiter__(self) -> Plain:
        return self

    async def __anext__(self) -> Item:
        if not self.items:
            raise StopAsyncIteration
        return self.items.pop(0)


def test_any_asynchronous_iterator_will_do() -> None:
    async def main() -> list[Item]:
        return [item async for item in streamed(guard(), Plain)]

    assert run_virtual(main()) == [Item("a"), END]


def test_a_source_that_cannot_clean_up_does_not_spoil_the_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Messy(Plain):
        async def aclose(self) -> None:
            raise RuntimeError("cannot clean up")

    async def main() -> list[Item]:
        return [item async for item in streamed(guard(), Messy)]

    assert run_virtual(main()) == [Item("a"), END]
    assert "cannot clean up" in caplog.text
