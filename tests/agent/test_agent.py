from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from tests.agent.support import (
    FULL,
    INTERRUPTED,
    call,
    change,
    look,
    looking,
    result_in,
    said,
    stream_of,
    valid,
)
from victor.agent.agent import Agent
from victor.agent.events import (
    AttemptStarted,
    ReasoningDelta,
    RunFinished,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnStarted,
)
from victor.errors import (
    ConfigError,
    UnknownProviderError,
)
from victor.providers import registry
from victor.providers.scripted import Reply
from victor.testing import MockLLM
from victor.tools.base import ToolContext, tool
from victor.types import Attachment, CompletionResponse, Message, ToolCall, Usage

# --- a run ----------------------------------------------------------------------------------------

BROKEN = ToolCall.model_validate({"id": "b", "name": "look", "arguments": '{"path'})
scripts = [
    pytest.param(["Two words."], id="answer"),
    pytest.param([looking("a"), "done"], id="tool"),
    pytest.param([FULL, looking("c"), "done"], id="several-turns"),
    pytest.param([[BROKEN, call("lok"), call("change", "w", path="x")], "done"], id="wrong-calls"),
    pytest.param([looking("a"), looking("b"), looking("c"), looking("d")], id="budget"),
    pytest.param([CompletionResponse(content="half", stop_reason="length")], id="cut-off"),
    pytest.param([CompletionResponse(content="", stop_reason="stop")], id="empty"),
]


@pytest.mark.parametrize("script", scripts)
async def test_run_and_stream_come_to_the_same(script: list[Reply]) -> None:
    def agent() -> Agent:
        return Agent(MockLLM(script), tools=[look, change], max_turns=4, system="be brief")

    running, streaming = agent(), agent()
    result = await running.run("hi")
    events = await stream_of(streaming)
    assert result == result_in(events)
    assert result.messages == running.messages == streaming.messages
    assert valid(result.messages)
    told = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert told == "".join(one.content for one in result.messages if one.role == "assistant")


MOCK_USAGE = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)


async def test_events_come_in_order() -> None:
    agent = Agent(MockLLM([FULL, "all done"]), tools=[look])
    events = await stream_of(agent)
    calls = looking("a", "b")
    assert [event for event in events if not isinstance(event, ToolFinished | TextDelta)] == [
        TurnStarted(1),
        AttemptStarted(1, "mock", "mock"),
        ReasoningDelta("hm"),
        TurnFinished(agent.messages[1], FULL.usage, "tool_calls"),
        ToolStarted(calls[0]),
        ToolStarted(calls[1]),
        TurnStarted(2),
        AttemptStarted(1, "mock", "mock"),
        TurnFinished(agent.messages[-1], MOCK_USAGE, "stop"),
        RunFinished(result_in(events)),
    ]
    names = [type(event).__name__ for event in events]
    assert names == [
        "TurnStarted",
        "AttemptStarted",
        *["TextDelta"] * 3,
        "ReasoningDelta",
        "TurnFinished",
        *["ToolStarted"] * 2,
        *["ToolFinished"] * 2,
        "TurnStarted",
        "AttemptStarted",
        *["TextDelta"] * 2,
        "TurnFinished",
        "RunFinished",
    ]


async def test_result_tells_what_the_run_took() -> None:
    result = await Agent(MockLLM([FULL, looking("c"), "done"]), tools=[look]).run("hi")
    assert result.content == "done"
    assert (result.stop_reason, result.turns, result.tool_calls) == ("stop", 3, 3)
    assert result.model == "mock"
    assert result.usage == Usage(
        prompt_tokens=27, completion_tokens=11, total_tokens=30, cached_tokens=2
    )


async def test_unknown_usage_and_model_stay_unknown() -> None:
    result = await Agent(MockLLM([CompletionResponse(content="x")]), model="asked").run("hi")
    assert result.usage == Usage()
    assert (result.model, result.stop_reason) == ("asked", "stop")


async def test_every_request_has_the_conversation_so_far() -> None:
    llm = MockLLM([looking("a"), "one", "two"])
    agent = Agent(llm, tools=[look], system="be brief")
    await agent.run("first")
    await agent.run("second")
    assert [said(request.messages) for request in llm.calls] == [
        [("system", "be brief"), ("user", "first")],
        [("system", "be brief"), ("user", "first"), ("assistant", ""), ("tool", "saw a")],
        [
            ("system", "be brief"),
            ("user", "first"),
            ("assistant", ""),
            ("tool", "saw a"),
            ("assistant", "one"),
            ("user", "second"),
        ],
    ]


async def test_attachments_go_with_the_prompt() -> None:
    llm = MockLLM()
    picture = Attachment(media_type="image/png", data=b"png")
    agent = Agent(llm)
    await agent.run("what is it?", attachments=[picture])
    assert [event async for event in agent.stream("again", attachments=[picture])]
    assert [one.attachments for one in llm.calls[1].messages] == [[picture], [], [picture]]


async def test_tool_is_told_the_request_and_the_workspace(tmp_path: Path) -> None:
    seen: list[ToolContext] = []

    def spy(context: ToolContext) -> None:
        seen.append(context)

    agent = Agent(MockLLM([call("spy", "s"), "done"]), tools=[spy], workspace=tmp_path)
    await agent.run("what is it?")
    assert seen == [ToolContext(tmp_path, call_id="s", request="what is it?")]


async def test_clear_begins_a_new_conversation() -> None:
    llm = MockLLM()
    agent = Agent(llm, system="be brief", messages=[Message(role="user", content="old")])
    assert said(agent.messages) == [("system", "be brief"), ("user", "old")]
    await agent.run("one")
    agent.clear()
    assert said(agent.messages) == [("system", "be brief")]
    await agent.run("two")
    assert said(llm.calls[-1].messages) == [("system", "be brief"), ("user", "two")]


async def test_earlier_conversation_is_made_valid() -> None:
    llm = MockLLM()
    broken = [
        Message(role="tool", content="?", tool_call_id="x"),
        Message(role="user", content="look"),
        Message(role="assistant", tool_calls=looking("a")),
    ]
    await Agent(llm, messages=broken).run("go on")
    assert said(llm.calls[0].messages) == [
        ("user", "look"),
        ("assistant", ""),
        ("tool", INTERRUPTED),
        ("user", "go on"),
    ]


async def test_reused_call_ids_are_made_unique() -> None:
    same = call("look", "call_0", path="a")
    agent = Agent(MockLLM([[same, same], same, same, "done"]), tools=[look])
    events = await stream_of(agent)
    assert valid(agent.messages)
    kept = [one.id for message in agent.messages for one in message.tool_calls or ()]
    assert [event.call.id for event in events if isinstance(event, ToolStarted)] == kept
    assert len(set(kept)) == 4


# --- options --------------------------------------------------------------------------------------


async def test_only_what_was_given_goes_to_the_provider() -> None:
    seen: list[dict[str, Any]] = []

    class Spy(MockLLM):
        async def chat(self, messages: Sequence[Message], **options: Any) -> CompletionResponse:
            seen.append(options)
            return CompletionResponse(content="x")

    await Agent(Spy()).run("hi")
    given = Agent(Spy(), model="big", temperature=0.0, max_tokens=9, tools=[look])
    await given.run("hi")
    await Agent(Spy(), options={"seed": 1, "max_wait": 2.0}).run("hi")
    assert seen == [
        {"model": "mock", "tools": None},
        {"model": "big", "temperature": 0.0, "max_tokens": 9, "tools": [look.definition]},
        {"model": "mock", "tools": None, "seed": 1},
    ]


async def test_provider_may_have_a_temperature_of_its_own() -> None:
    seen: list[float] = []

    class Cool(MockLLM):
        default_temperature = 0.0

        async def chat(
            self, messages: Sequence[Message], *, temperature: float = 1.0, **options: Any
        ) -> CompletionResponse:
            seen.append(temperature)
            return CompletionResponse(content="x")

    await Agent(Cool()).run("hi")
    await Agent(Cool(), temperature=0.5).run("hi")
    assert seen == [0.0, 0.5]


def without_default() -> MockLLM:
    llm = MockLLM()
    llm.default_model = None  # type: ignore[assignment] # as an author's provider may have it
    return llm


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Agent(without_default()), "mock has no default model: name one with model="),
        (lambda: Agent(MockLLM(), max_turns=0), "max_turns and max_invalid have to be at least 1"),
        (lambda: Agent(MockLLM(), max_tool_calls=-1), "max_tool_calls at least 0"),
        (
            lambda: Agent(MockLLM(), options={"tools": [], "seed": 1, "model": "big"}),
            "options cannot hold model, tools: an agent has its own way",
        ),
        (lambda: Agent(cast("Any", None)), "such as 'openai': None"),
        (lambda: Agent(cast("Any", MockLLM)), "a provider or the name of one, .*MockLLM"),
        (lambda: Agent(MockLLM(), tools=cast("Any", "read")), "functions, not 'read'"),
        (lambda: Agent(MockLLM(), tools=[look, look]), "two tools are named 'look'"),
        (lambda: Agent(MockLLM(), mode=cast("Any", "yolo")), "there is no mode 'yolo': use one of"),
        (lambda: Agent("no-such-provider"), "no provider is called 'no-such-provider'"),
    ],
    ids=[
        *(
            "model",
            "turns",
            "calls",
            "options",
            "nothing",
            "class",
            "text",
            "tools",
            "mode",
            "provider",
        )
    ],
)
def test_wrong_setting_is_a_clear_error(make: Callable[[], Agent], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_mode_can_be_changed_to_one_there_is() -> None:
    agent = Agent(MockLLM())
    assert agent.mode == "ask"
    agent.mode = "plan"
    assert agent.mode == "plan"
    with pytest.raises(ConfigError, match="no mode 'yolo'"):
        agent.mode = cast("Any", "yolo")
    assert agent.mode == "plan"


class Named(MockLLM):
    made: list[Named]

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.closed = 0
        self.made.append(self)

    async def close(self) -> None:
        self.closed += 1


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Named]]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    Named.made = []
    registry.register_provider("agent-test", Named, replace=True)
    yield Named
    registry._registered().pop("agent-test")


async def test_agent_closes_the_provider_it_made(named: type[Named]) -> None:
    async with Agent("agent-test") as agent:
        assert (await agent.run("hi")).content == "Mock response"
        assert agent.provider is named.made[0]
        assert named.made[0].closed == 0
    assert named.made[0].closed == 1


async def test_agent_leaves_a_provider_it_was_given_open(named: type[Named]) -> None:
    provider = named()
    async with Agent(provider) as agent:
        await agent.run("hi")
    await agent.close()
    assert provider.closed == 0


def test_unknown_name_is_an_unknown_provider(named: type[Named]) -> None:
    with pytest.raises(UnknownProviderError, match="agent-test"):
        Agent("agent-tset")


# --- without an event loop ------------------------------------------------------------------------


def test_run_sync_works_again_and_again() -> None:
    agent = Agent(MockLLM([looking("a"), "one"]), tools=[look])
    assert [agent.run_sync("hi").content for _ in range(2)] == ["one", "one"]
    assert valid(agent.messages)


def test_run_sync_works_on_several_threads() -> None:
    agents = [Agent(MockLLM([looking("a"), f"{number}"]), tools=[look]) for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda agent: agent.run_sync("hi").content, agents))
    assert results == [f"{number}" for number in range(8)]


async def test_run_sync_where_a_loop_runs_says_what_to_do() -> None:
    agent = Agent(MockLLM())
    with pytest.raises(RuntimeError, match="use the async method and await it"):
        agent.run_sync("hi")
    assert agent.messages == ()
    assert (await agent.run("hi")).turns == 1


# --- work -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
async def test_a_turn_costs_the_same_however_long_the_conversation(streaming: bool) -> None:
    turns = 300
    same = call("look", "call_0", path="a")
    done = [0]
    marks: list[int] = []

    def asked(_: Sequence[Message]) -> Reply:
        marks.append(done[0])
        return same

    def count(_: object, event: str, __: object) -> None:
        if event in {"call", "c_call"}:
            done[0] += 1

    @tool
    async def look(path: str) -> str:
        return path

    agent = Agent(MockLLM([asked]), tools=[look], max_turns=turns, max_tool_calls=turns)
    sys.setprofile(count)
    try:
        await (stream_of(agent) if streaming else agent.run("hi"))
    finally:
        sys.setprofile(None)
    costs = [after - before for before, after in pairwise(marks)]
    early, late = costs[20:60], costs[-40:]
    assert len(costs) == turns - 1
    assert sum(late) <= sum(early) * 1.05
