from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.agent.support import (
    Chunks,
    call,
    counting,
    final,
    looking,
    quiet,
    result_in,
    said,
    stream_of,
    text,
    valid,
)
from victor.agent.agent import Agent
from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    FailedOver,
    KeySwitched,
    RunFinished,
    TextDelta,
    ToolFinished,
    TurnFinished,
    TurnStarted,
)
from victor.agent.model import Turn
from victor.errors import (
    CircuitOpenError,
    ContentFilterError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderServerError,
    StreamInterruptedError,
)
from victor.providers.failover import FailoverProvider
from victor.providers.guarding import guards_itself
from victor.resilience import events as guard
from victor.testing import MockLLM
from victor.types import CompletionResponse, Message, StreamChunk, Usage

GONE = ProviderConnectionError("gone")
WHOLE = [text("the whole "), text("answer"), final()]


def restarts(events: list[AgentEvent]) -> list[AnswerRestarted]:
    return [one for one in events if isinstance(one, AnswerRestarted)]


# ---------------------------------------------------------------------------- a stream that breaks


@pytest.mark.parametrize(
    ("broken", "partial"),
    [
        ([text("half an "), text("answ"), GONE], "half an answ"),
        ([StreamChunk(reasoning="hm, "), GONE], ""),
        ([text("I look"), StreamChunk(tool_call_delta='{"pa'), GONE], "I look"),
        ([StreamChunk(tool_call_delta='{"pa'), GONE], ""),
        ([text("half"), ProviderInvalidResponseError("ended too early")], "half"),
        ([text("half"), StreamChunk(tool_calls=looking("lost")), GONE], "half"),
        ([text("half")], "half"),
    ],
    ids=["text", "reasoning", "text-and-call", "call", "cut", "whole-call", "clean-end"],
)
async def test_an_answer_that_breaks_off_is_discarded_and_asked_for_once_more(
    broken: list[Any], partial: str
) -> None:
    look, ran = counting()
    agent = Agent(provider := Chunks(broken, WHOLE), tools=[look])
    events = await stream_of(agent)
    (seam,) = restarts(events)
    assert seam.partial == partial
    assert "broke after" not in seam.error
    assert seam.error
    after = events[events.index(seam) + 1 :]
    assert [one.text for one in after if isinstance(one, TextDelta)] == ["the whole ", "answer"]
    assert result_in(events).content == "the whole answer"
    assert said(agent.messages) == [("user", "hi"), ("assistant", "the whole answer")]
    assert (len(provider.requests), provider.open, ran) == (2, 0, [])
    assert provider.requests[0] == provider.requests[1]


async def test_a_second_break_is_raised_and_its_part_is_kept() -> None:
    agent = Agent(provider := Chunks([text("one"), GONE], [text("two"), GONE]))
    events = quiet(agent.stream("hi"))
    seen = [type(await anext(events)) for _ in range(4)]
    assert seen == [TurnStarted, TextDelta, AnswerRestarted, TextDelta]
    with pytest.raises(StreamInterruptedError) as caught:
        await anext(events)
    assert caught.value.partial == "two"
    assert said(agent.messages) == [("user", "hi"), ("assistant", "two")]
    assert len(provider.requests) == 2


async def test_every_turn_may_break_once() -> None:
    look, ran = counting()
    agent = Agent(
        Chunks([text("x"), GONE], [text("y"), final(*looking("a"))], [text("z"), GONE], WHOLE),
        tools=[look],
    )
    events = await stream_of(agent)
    assert [one.partial for one in restarts(events)] == ["x", "z"]
    assert result_in(events).content == "the whole answer"
    assert ran == ["a"]
    assert valid(agent.messages)


@pytest.mark.parametrize(
    "cause", [ContentFilterError("refused"), ValueError("a bug")], ids=["refused", "bug"]
)
async def test_what_would_only_come_again_is_not_asked_for_again(cause: Exception) -> None:
    agent = Agent(provider := Chunks([text("half"), cause], WHOLE))
    with pytest.raises(StreamInterruptedError):
        await stream_of(agent)
    assert len(provider.requests) == 1
    assert said(agent.messages) == [("user", "hi"), ("assistant", "half")]


async def test_a_break_without_a_known_cause_is_asked_for_again() -> None:
    broken = StreamInterruptedError("cut by a stranger", "half")
    agent = Agent(Chunks([text("half"), broken], WHOLE))
    assert result_in(await stream_of(agent)).content == "the whole answer"


async def test_a_failure_before_the_second_answer_leaves_nothing_behind() -> None:
    agent = Agent(Chunks([text("half"), GONE], [ProviderAuthError("no key")]))
    with pytest.raises(ProviderAuthError):
        await stream_of(agent)
    assert agent.messages == ()


async def test_what_the_discarded_part_cost_is_not_forgotten() -> None:
    paid = StreamChunk("half", usage=Usage(prompt_tokens=10, completion_tokens=1))
    last = StreamChunk(
        stop_reason="stop", usage=Usage(prompt_tokens=10, completion_tokens=5), is_final=True
    )
    agent = Agent(Chunks([paid, GONE], [text("x"), last]))
    usage = result_in(await stream_of(agent)).usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (20, 6)


async def test_leaving_at_the_seam_asks_nobody_again() -> None:
    agent = Agent(provider := Chunks([text("half"), GONE], WHOLE))
    events = agent.stream("hi")
    async for event in events:
        if isinstance(event, AnswerRestarted):
            break
    await events.aclose()
    assert (len(provider.requests), provider.open) == (1, 0)
    assert agent.messages == ()


async def test_cancelling_the_second_answer_keeps_its_part_alone() -> None:
    agent = Agent(provider := Chunks([text("one"), GONE], [text("two"), asyncio.Event()]))
    task = asyncio.create_task(stream_of(agent))
    await asyncio.wait_for(provider.waiting.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(agent.messages) == [("user", "hi"), ("assistant", "two")]


# ---------------------------------------------------------------------------- failing over


def down() -> ProviderError:
    return ProviderServerError("down", status_code=500)


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
async def test_a_turn_that_fails_over_runs_no_tool_twice(streaming: bool) -> None:
    look, ran = counting()
    first = MockLLM([looking("a", "b"), down()])
    second = MockLLM([looking("c"), "all done"])
    agent = Agent(FailoverProvider([first, second]), tools=[look])
    result = result_in(await stream_of(agent)) if streaming else await agent.run("hi")
    assert result.content == "all done"
    assert ran == ["a", "b", "c"]
    assert result.tool_calls == 3
    assert valid(agent.messages)
    # The other model got the calls and their results as they were.
    assert said(second.calls[0].messages) == [
        ("user", "hi"),
        ("assistant", ""),
        ("tool", "saw a"),
        ("tool", "saw b"),
    ]


async def test_a_move_is_told_before_the_text_of_the_one_it_moved_to() -> None:
    agent = Agent(FailoverProvider([MockLLM([down()]), (MockLLM(["fine"]), "m-2")]))
    events = [one async for one in quiet(agent.stream("hi"))]
    assert events[1:3] == [FailedOver("mock/mock", "mock/m-2", "down"), TextDelta("fine")]
    assert result_in(events).model == "m-2"


async def test_after_a_break_the_next_route_gives_the_whole_answer() -> None:
    look, ran = counting()
    first = Chunks([text("half an "), StreamChunk(tool_call_delta="{"), GONE])
    agent = Agent(FailoverProvider([first, MockLLM([looking("a"), "all done"])]), tools=[look])
    events = await stream_of(agent)
    kinds = [type(one) for one in events if isinstance(one, AnswerRestarted | FailedOver)]
    assert kinds == [AnswerRestarted, FailedOver, FailedOver]
    assert result_in(events).content == "all done"
    assert (ran, len(first.requests)) == (["a"], 1)


async def test_no_route_left_is_the_failure_of_the_first() -> None:
    agent = Agent(FailoverProvider([MockLLM([down()]), (MockLLM([down()]), "m-2")]))
    with pytest.raises(ProviderServerError) as caught:
        await stream_of(agent)
    assert len(caught.value.attempts) == 2
    assert agent.messages == ()


async def test_a_call_that_is_cut_off_is_never_run_by_the_route_that_follows() -> None:
    look, ran = counting()
    cut: list[Any] = [StreamChunk(tool_calls=[call("look", path="cut")]), StreamChunk("so"), GONE]
    agent = Agent(FailoverProvider([Chunks(cut), MockLLM(["no tool needed"])]), tools=[look])
    assert result_in(await stream_of(agent)).content == "no tool needed"
    assert ran == []


async def test_a_refused_key_is_told_without_the_key() -> None:
    class Switching(MockLLM):
        @guards_itself
        def stream(self, *args: Any, on_event: Any = None, **kwargs: Any) -> Any:
            on_event(guard.KeySwitched("sha:1", "sha:2", ProviderAuthError("revoked")))
            on_event(guard.AttemptStarted(1))
            return super().stream(*args, **kwargs)

    turn = Turn(Switching(), {"model": "m"})
    events = [one async for one in quiet(turn.stream([Message(role="user", content="hi")]))]
    assert events[0] == KeySwitched("sha:1", "sha:2", "revoked")
    assert events[1:] == [TextDelta("Mock "), TextDelta("response")]


async def test_the_conversation_goes_on_after_a_move() -> None:
    first = MockLLM([down(), CompletionResponse(content="back", stop_reason="stop")])
    both = FailoverProvider([first, (MockLLM(["fine"]), "m-2")], hold_s=0)
    agent = Agent(both)
    assert result_in(await stream_of(agent, "one")).content == "fine"
    events = await stream_of(agent, "two")
    assert result_in(events).content == "back"
    assert not [one for one in events if isinstance(one, FailedOver)]
    assert said(first.calls[-1].messages) == [
        ("user", "one"),
        ("assistant", "fine"),
        ("user", "two"),
    ]


async def test_an_open_circuit_without_another_route_is_raised_at_once() -> None:
    first = MockLLM(["never"])
    assert first.breaker is not None
    first.breaker.force_open()
    agent = Agent(FailoverProvider([first]))
    with pytest.raises(CircuitOpenError):
        await stream_of(agent)
    assert first.calls == []


def test_nothing_is_said_of_a_turn_that_went_well() -> None:
    async def main() -> list[AgentEvent]:
        return await stream_of(Agent(FailoverProvider([MockLLM(["fine"]), MockLLM(["no"])])))

    kinds = [type(one) for one in asyncio.run(main())]
    assert kinds[-2:] == [TurnFinished, RunFinished]
    assert not {FailedOver, AnswerRestarted, ToolFinished} & set(kinds)
