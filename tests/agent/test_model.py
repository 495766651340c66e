from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from tests.agent.support import Chunks, call, final, quiet, text
from victor.agent.events import AgentEvent, ReasoningDelta, RetryScheduled, TextDelta
from victor.agent.model import Turn
from victor.errors import (
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderServerError,
    StreamInterruptedError,
)
from victor.providers.base import BaseProvider
from victor.testing import MockLLM
from victor.types import CompletionResponse, Message, StreamChunk, Usage

PROMPT = [Message(role="user", content="hi")]
USAGE = Usage(prompt_tokens=3, completion_tokens=4)


def turn_of(provider: BaseProvider) -> Turn:
    return Turn(provider, {"model": "m"})


async def streamed(turn: Turn) -> list[AgentEvent]:
    return [event async for event in quiet(turn.stream(PROMPT))]


async def soon(happens: Awaitable[Any]) -> None:
    await asyncio.wait_for(happens, 5)


# --- what a turn comes to -------------------------------------------------------------------------

WHOLE = CompletionResponse(
    content="two words",
    tool_calls=[call("look")],
    stop_reason="tool_calls",
    usage=USAGE,
    model="m-2",
    reasoning="hm",
)


async def test_asking_gives_the_whole_answer_as_events() -> None:
    turn = turn_of(MockLLM([WHOLE]))
    events = [event async for event in turn.ask(PROMPT)]
    assert events == [ReasoningDelta("hm"), TextDelta("two words")]
    assert turn.message == WHOLE.to_message()
    assert (turn.usage, turn.stop_reason, turn.model) == (USAGE, "tool_calls", "m-2")


async def test_asking_says_nothing_of_what_is_not_there() -> None:
    turn = turn_of(MockLLM([CompletionResponse(tool_calls=[call("look")])]))
    assert [event async for event in turn.ask(PROMPT)] == []
    assert (turn.usage, turn.stop_reason, turn.model) == (None, None, None)


async def test_streaming_comes_to_the_same_as_asking() -> None:
    asked, told = turn_of(MockLLM([WHOLE])), turn_of(MockLLM([WHOLE]))
    async for _ in asked.ask(PROMPT):
        pass
    events = await streamed(told)
    assert events == [TextDelta("two "), TextDelta("words"), ReasoningDelta("hm")]
    assert (told.message, told.usage, told.stop_reason, told.model) == (
        asked.message,
        asked.usage,
        asked.stop_reason,
        asked.model,
    )


async def test_everything_of_a_stream_is_kept() -> None:
    state = {"wire": {"signature": "s"}}
    last = StreamChunk(
        " end", stop_reason="length", usage=USAGE, is_final=True, provider_state=state, model="m-2"
    )
    turn = turn_of(Chunks([StreamChunk(reasoning="a"), StreamChunk("b", "c"), last]))
    assert await streamed(turn) == [
        ReasoningDelta("a"),
        ReasoningDelta("c"),
        TextDelta("b"),
        TextDelta(" end"),
    ]
    assert turn.message == Message(
        role="assistant", content="b end", reasoning="ac", provider_state=state
    )
    assert (turn.usage, turn.stop_reason, turn.model) == (USAGE, "length", "m-2")


@pytest.mark.parametrize(
    "chunks",
    [
        [text("x"), final(call("look"))],
        [text("x"), StreamChunk(tool_calls=[call("look")]), final(stop_reason="tool_calls")],
        [
            text("x"),
            StreamChunk(tool_calls=[call("look")], stop_reason="tool_calls"),
            StreamChunk(is_final=True),
        ],
        [StreamChunk(tool_calls=[call("look")], stop_reason="tool_calls"), text("x")],
    ],
    ids=["in-the-final-chunk", "before-it", "reason-before-it", "text-after-the-reason"],
)
async def test_calls_and_reason_are_kept_wherever_they_come(chunks: list[StreamChunk]) -> None:
    turn = turn_of(Chunks(chunks))
    await streamed(turn)
    assert turn.message == Message(role="assistant", content="x", tool_calls=[call("look")])
    assert turn.stop_reason == "tool_calls"


async def test_unfinished_turn_has_a_part_and_no_message() -> None:
    turn = turn_of(Chunks([text("half "), text("a "), ProviderConnectionError("gone")]))
    with pytest.raises(StreamInterruptedError, match="gone") as caught:
        await streamed(turn)
    assert turn.partial == caught.value.partial == "half a "
    assert turn.message is None


# --- retries --------------------------------------------------------------------------------------


async def test_retry_is_told_before_the_wait_is_over() -> None:
    provider = Chunks(
        [ProviderServerError("bad\n gateway")], [final()], max_retries=1, retry_delay=60
    )
    events = quiet(turn_of(provider).stream(PROMPT))
    event = await asyncio.wait_for(anext(events), 5)
    assert isinstance(event, RetryScheduled)
    assert (event.error, event.attempt) == ("bad gateway", 1)
    assert 45 <= event.wait_s <= 60
    await asyncio.wait_for(events.aclose(), 5)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("heartbeats", [0, 1, 3])
async def test_every_retry_is_told_also_without_a_wait(heartbeats: int) -> None:
    beats = [StreamChunk()] * heartbeats
    provider = Chunks(
        [*beats, ProviderServerError("one")],
        [*beats, ProviderServerError("two")],
        [*beats, ProviderServerError("three")],
        [text("x"), final()],
        max_retries=3,
        retry_delay=0,
    )
    events = await streamed(turn_of(provider))
    retries = [(one.error, one.attempt) for one in events if isinstance(one, RetryScheduled)]
    assert retries == [("one", 1), ("two", 2), ("three", 3)]
    assert events[-1] == TextDelta("x")


async def test_retry_after_a_heartbeat_is_told_before_the_wait_is_over() -> None:
    provider = Chunks(
        [StreamChunk(), ProviderServerError("")], [final()], max_retries=1, retry_delay=60
    )
    events = quiet(turn_of(provider).stream(PROMPT))
    event = await asyncio.wait_for(anext(events), 5)
    assert isinstance(event, RetryScheduled)
    assert event.error == "ProviderServerError"
    await events.aclose()


async def test_calls_of_a_try_that_failed_are_forgotten() -> None:
    lost = StreamChunk(tool_calls=[call("look")])
    provider = Chunks(
        [lost, ProviderServerError("x")], [text("fine"), final()], max_retries=1, retry_delay=0
    )
    turn = turn_of(provider)
    await streamed(turn)
    assert turn.message == Message(role="assistant", content="fine")


async def test_last_failure_is_raised() -> None:
    provider = Chunks([ProviderServerError("down")], max_retries=2, retry_delay=0)
    events = quiet(turn_of(provider).stream(PROMPT))
    assert [type(await anext(events)) for _ in range(2)] == [RetryScheduled] * 2
    with pytest.raises(ProviderServerError, match="down"):
        await anext(events)
    assert len(provider.requests) == 3


async def test_slow_reader_of_retries_misses_none() -> None:
    provider = Chunks(
        [ProviderServerError("one")],
        [ProviderServerError("two")],
        [text("x"), final()],
        max_retries=2,
        retry_delay=0,
    )
    seen: list[str] = []
    async for event in quiet(turn_of(provider).stream(PROMPT)):
        assert isinstance(event, RetryScheduled | TextDelta)
        seen.append(event.error if isinstance(event, RetryScheduled) else event.text)
        while len(provider.requests) < 3:  # noqa: ASYNC110 - the point is to be late
            await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert seen == ["one", "two", "x"]


# --- leaving --------------------------------------------------------------------------------------


@pytest.fixture
async def complaints() -> AsyncIterator[list[dict[str, Any]]]:
    """Collect what the event loop would log: errors that nobody looked at."""
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    yield heard
    gc.collect()
    await asyncio.sleep(0)
    assert heard == []


async def test_leaving_early_closes_the_stream_at_once(complaints: object) -> None:
    provider = Chunks([text("one "), text("two"), final()])
    events = quiet(turn_of(provider).stream(PROMPT))
    await anext(events)
    assert provider.open == 1
    await events.aclose()
    assert provider.open == 0


async def test_leaving_at_a_retry_ends_it(complaints: object) -> None:
    never = asyncio.Event()
    provider = Chunks([ProviderServerError("x")], [never], max_retries=1, retry_delay=0)
    events = quiet(turn_of(provider).stream(PROMPT))
    assert isinstance(await anext(events), RetryScheduled)
    await soon(provider.waiting.wait())
    await events.aclose()
    assert provider.open == 0


@pytest.mark.parametrize("before", [0, 1], ids=["before-the-first-chunk", "after-it"])
async def test_cancelling_closes_the_stream(before: int, complaints: object) -> None:
    provider = Chunks([*[text("x")] * before, asyncio.Event()])
    task = asyncio.create_task(streamed(turn_of(provider)))
    await soon(provider.waiting.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert provider.open == 0


async def test_cancelling_twice_is_still_a_cancellation(complaints: object) -> None:
    provider = Chunks([asyncio.Event()])
    task = asyncio.create_task(streamed(turn_of(provider)))
    await soon(provider.waiting.wait())
    task.cancel()
    await asyncio.sleep(0)  # it has begun to close the stream
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(10):
        await asyncio.sleep(0)
    assert provider.open == 0


class Stubborn(Chunks):
    """Answers a cancellation with an error of its own."""

    async def stream(self, *_: object, **__: object) -> AsyncIterator[StreamChunk]:
        self.waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ProviderConnectionError("cut") from None
        yield final()


async def test_error_that_answers_a_cancellation_is_not_left_lying_about(
    complaints: object,
) -> None:
    provider = Stubborn()
    task = asyncio.create_task(streamed(turn_of(provider)))
    await soon(provider.waiting.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("act", ["ask", "stream"])
async def test_error_of_the_provider_arrives_as_it_is(act: str) -> None:
    error = ProviderAuthError("no key")
    turn = turn_of(MockLLM([error]))
    events: Callable[..., AsyncIterator[AgentEvent]] = getattr(turn, act)
    with pytest.raises(ProviderError) as caught:
        async for _ in events(PROMPT):
            pass
    assert caught.value is error
    assert turn.message is None
