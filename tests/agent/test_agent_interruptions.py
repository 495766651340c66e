from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.support import (
    FULL,
    INTERRUPTED,
    Chunks,
    answers_of,
    call,
    change,
    counting,
    final,
    look,
    looking,
    result_in,
    said,
    stream_of,
    text,
    valid,
)
from victor.agent.agent import Agent
from victor.agent.events import (
    RunFinished,
    TextDelta,
    ToolStarted,
)
from victor.errors import (
    ProviderServerError,
)
from victor.providers.scripted import Reply
from victor.testing import MockLLM
from victor.tools.base import Tool, tool
from victor.types import Message, ToolCall


class Stage:
    """An agent that will stop at one place and say when it is there."""

    def __init__(self) -> None:
        self.there = asyncio.Event()
        self.llm: MockLLM | Chunks = MockLLM()
        self.tools: list[Any] = [look, change]
        self.approve: Any = None

    async def _stop(self) -> None:
        self.there.set()
        await asyncio.Event().wait()

    def agent(self) -> Agent:
        return Agent(self.llm, tools=self.tools, approve=self.approve)

    def in_the_first_answer(self) -> None:
        self.llm = Chunks([text("half an "), text("answ"), asyncio.Event()], [text("x"), final()])
        self.there = self.llm.waiting

    def before_the_first_answer(self) -> None:
        self.llm = Chunks([asyncio.Event()], [text("x"), final()])
        self.there = self.llm.waiting

    def in_a_later_answer(self) -> None:
        self.llm = Chunks(
            [final(*looking("a"))], [text("half"), asyncio.Event()], [text("x"), final()]
        )
        self.there = self.llm.waiting

    def in_a_tool(self) -> None:
        async def wait() -> None:
            await self._stop()

        self.tools.append(wait)
        self.llm = MockLLM([[*looking("a"), call("wait", "w"), *looking("b")], "x"])

    def in_tools_side_by_side(self) -> None:
        @tool(effect="read")
        async def wait() -> None:
            await self._stop()

        self.tools.append(wait)
        self.llm = MockLLM([[*looking("a"), call("wait", "w"), *looking("b")], "x"])

    def at_an_approval(self) -> None:
        async def wait(one: ToolCall, of: Tool) -> bool:
            await self._stop()
            return True

        self.approve = wait
        self.llm = MockLLM([[*looking("a"), call("change", "w", path="c")], "x"])

    def between_two_tries(self) -> None:
        def failing(_: Sequence[Message]) -> Reply:
            self.there.set()
            return ProviderServerError("down")

        self.llm = MockLLM([failing, "x"], max_retries=1, retry_delay=60)


FIRST = ("user", "first")
LEFT = [
    (Stage.before_the_first_answer, []),
    (Stage.in_the_first_answer, [FIRST, ("assistant", "half an answ")]),
    (
        Stage.in_a_later_answer,
        [FIRST, ("assistant", ""), ("tool", "saw a"), ("assistant", "half")],
    ),
    (
        Stage.in_a_tool,
        [FIRST, ("assistant", ""), ("tool", "saw a"), *[("tool", INTERRUPTED)] * 2],
    ),
    (Stage.in_tools_side_by_side, [FIRST, ("assistant", ""), *[("tool", INTERRUPTED)] * 3]),
    (Stage.at_an_approval, [FIRST, ("assistant", ""), ("tool", "saw a"), ("tool", INTERRUPTED)]),
    (Stage.between_two_tries, []),
]
PLACES = [place.__name__ for place, _ in LEFT]


@pytest.mark.parametrize(("place", "left"), LEFT, ids=PLACES)
async def test_cancelling_leaves_a_valid_conversation(
    place: Callable[[Stage], None], left: list[tuple[str, str]]
) -> None:
    stage = Stage()
    place(stage)
    agent = stage.agent()
    task = asyncio.create_task(stream_of(agent, "first"))
    await asyncio.wait_for(stage.there.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(agent.messages) == left
    assert valid(agent.messages)
    assert result_in(await stream_of(agent, "second")).content == "x"
    assert said(agent.messages) == [*left, ("user", "second"), ("assistant", "x")]


RUNNING = [one for one in LEFT if "answer" not in one[0].__name__]


@pytest.mark.parametrize(("place", "left"), RUNNING, ids=[place.__name__ for place, _ in RUNNING])
async def test_cancelling_works_without_streaming_too(
    place: Callable[[Stage], None], left: list[tuple[str, str]]
) -> None:
    stage = Stage()
    place(stage)
    agent = stage.agent()
    task = asyncio.create_task(agent.run("first"))
    await asyncio.wait_for(stage.there.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert said(agent.messages) == left
    assert (await agent.run("second")).content == "x"


async def test_a_deadline_round_a_run_interrupts_it() -> None:
    stage = Stage()
    stage.in_a_tool()
    agent = stage.agent()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await agent.run("first")
    assert valid(agent.messages)


@pytest.mark.parametrize("steps", range(12))
async def test_leaving_after_any_event_leaves_a_valid_conversation(steps: int) -> None:
    llm = MockLLM([FULL, [call("change", "w", path="x")], "all done"])
    agent = Agent(llm, tools=[look, change], mode="auto")
    events = agent.stream("first")
    for _ in range(steps):
        await anext(events)
    await events.aclose()
    assert valid(agent.messages)
    if steps:
        llm.reset()
        assert (await agent.run("second")).content == "all done"
        assert valid(agent.messages)


async def test_leaving_closes_the_connection_at_once() -> None:
    provider = Chunks([text("one "), text("two"), final()])
    events = Agent(provider).stream("hi")
    while not isinstance(await anext(events), TextDelta):
        pass
    assert provider.open == 1
    await events.aclose()
    assert provider.open == 0


async def test_break_ends_the_run_and_the_next_one_may_begin() -> None:
    provider = Chunks([text("one "), text("two"), final()], [text("x"), final()])
    agent = Agent(provider)
    async for event in agent.stream("first"):
        if isinstance(event, TextDelta):
            break
    events = await stream_of(agent, "second")
    assert result_in(events).content == "x"
    assert said(provider.requests[-1]) == [
        ("user", "first"),
        ("assistant", "one "),
        ("user", "second"),
    ]
    for _ in range(10):
        await asyncio.sleep(0)
    assert provider.open == 0
    assert said(agent.messages) == [*said(provider.requests[-1]), ("assistant", "x")]


async def test_break_while_a_tool_is_about_to_run_never_runs_it() -> None:
    spy, ran = counting()
    agent = Agent(MockLLM([looking("a"), "x"]), tools=[spy])
    async for event in agent.stream("first"):
        if isinstance(event, ToolStarted):
            break
    assert (await agent.run("second")).content == "x"
    assert ran == []
    assert answers_of(agent) == [INTERRUPTED]


async def test_second_run_is_refused_while_one_is_under_way() -> None:
    stage = Stage()
    stage.in_a_tool()
    agent = stage.agent()
    task = asyncio.create_task(agent.run("first"))
    await asyncio.wait_for(stage.there.wait(), 5)
    with pytest.raises(RuntimeError, match="running already"):
        await agent.run("second")
    with pytest.raises(RuntimeError, match="running already"):
        await anext(agent.stream("third"))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [one.content for one in agent.messages if one.role == "user"] == ["first"]


async def test_second_run_is_refused_while_the_first_is_being_read() -> None:
    agent = Agent(MockLLM(["two words"]))
    events = agent.stream("first")
    await anext(events)
    with pytest.raises(RuntimeError, match="read that run's events to their end or close"):
        await agent.run("second")
    assert result_in([event async for event in events]).content == "two words"
    assert (await agent.run("second")).content == "two words"


async def test_run_is_over_with_its_last_event() -> None:
    agent = Agent(MockLLM())
    events = agent.stream("first")
    while not isinstance(await anext(events), RunFinished):
        pass
    assert (await agent.run("second")).turns == 1
    await events.aclose()
    assert len(agent.messages) == 4


async def test_stream_that_is_never_read_is_no_run() -> None:
    agent = Agent(MockLLM())
    unread = agent.stream("never")
    assert (await agent.run("hi")).turns == 1
    await unread.aclose()
    assert said(agent.messages) == [("user", "hi"), ("assistant", "Mock response")]


async def test_clearing_meanwhile_counts_for_the_next_run() -> None:
    agent = Agent(MockLLM([looking("a"), "x"]), tools=[look])
    async for event in agent.stream("first"):
        if isinstance(event, ToolStarted):
            agent.clear()
    assert agent.messages == ()
    assert said((await agent.run("second")).messages)[0] == ("user", "second")


async def test_tool_cannot_run_its_own_agent() -> None:
    async def again() -> str:
        return (await agent.run("me?")).content

    agent = Agent(MockLLM([call("again"), "x"]), tools=[again])
    assert (await agent.run("hi")).content == "x"
    assert answers_of(agent)[0].startswith("Error: again failed: RuntimeError: this agent is")


async def test_two_agents_share_a_provider() -> None:
    llm = MockLLM(["x"])
    results = await asyncio.gather(*(Agent(llm).run(f"{number}") for number in range(5)))
    assert [said(one.messages)[0][1] for one in results] == ["0", "1", "2", "3", "4"]


replies: st.SearchStrategy[Reply] = st.one_of(
    st.sampled_from(["", "one", "two words"]),
    st.lists(
        st.builds(
            ToolCall,
            id=st.sampled_from(["a", "b"]),
            name=st.sampled_from(["look", "change", "none"]),
            arguments=st.sampled_from([{"path": "x"}, {}]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.builds(ProviderServerError, st.just("down")),
)


@settings(max_examples=60, deadline=None)
@given(
    script=st.lists(replies, min_size=1, max_size=5),
    leaves=st.lists(st.integers(0, 15), min_size=1, max_size=4),
    how=st.sampled_from(["close", "cancel", "drop"]),
)
def test_conversation_survives_any_series_of_interruptions(
    script: list[Reply], leaves: list[int], how: str
) -> None:
    async def main() -> None:
        llm = MockLLM(script)
        agent = Agent(llm, tools=[look, change], mode="auto", max_turns=3)
        for number, steps in enumerate(leaves):
            await _leave(agent, f"{number}", steps, how)
            assert valid(agent.messages)
        for request in llm.calls:
            assert valid(request.messages)

    asyncio.run(main())


async def _leave(agent: Agent, prompt: str, steps: int, how: str) -> None:
    async def some() -> None:
        events = agent.stream(prompt)
        try:
            for _ in range(steps):
                await anext(events)
        except (StopAsyncIteration, ProviderServerError):
            return
        if how == "cancel":
            waits = asyncio.current_task()
            assert waits is not None
            waits.cancel()
            await anext(events, None)
        elif how == "close":
            await events.aclose()

    task = asyncio.create_task(some())
    await asyncio.wait({task})
    if not task.cancelled():
        error = task.exception()
        assert error is None or isinstance(error, ProviderServerError)
