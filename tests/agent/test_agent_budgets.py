from __future__ import annotations

import pytest

from tests.agent.support import (
    FULL,
    answers_of,
    call,
    change,
    counting,
    look,
    looking,
    result_in,
    stream_of,
    valid,
)
from victor.agent.agent import Agent
from victor.agent.events import (
    ToolFinished,
    ToolStarted,
)
from victor.providers.scripted import Reply
from victor.testing import MockLLM
from victor.tools.base import Tool
from victor.types import ToolCall


@pytest.mark.parametrize(
    ("limits", "script", "ran", "stop", "turns"),
    [
        ({"max_turns": 1}, [looking("a")], [], "max_turns", 1),
        ({"max_turns": 2}, [looking("a"), looking("b", "c")], ["a"], "max_turns", 2),
        ({"max_turns": 2}, [looking("a"), "done"], ["a"], "stop", 2),
        ({"max_tool_calls": 0}, [looking("a")], [], "max_tool_calls", 1),
        ({"max_tool_calls": 0}, ["done"], [], "stop", 1),
        ({"max_tool_calls": 2}, [looking("a"), looking("b", "c")], ["a"], "max_tool_calls", 2),
        ({"max_tool_calls": 3}, [looking("a"), looking("b", "c"), "x"], ["a", "b", "c"], "stop", 3),
        ({"max_tool_calls": 1}, [call("lok"), looking("a")], [], "max_tool_calls", 2),
    ],
    ids=[
        "one-turn",
        "last-turn-asks-for-more",
        "turns-suffice",
        "no-calls",
        "no-calls-needed",
        "too-many-at-once",
        "calls-suffice",
        "refused-calls-count",
    ],
)
async def test_nothing_runs_past_a_budget(
    limits: dict[str, int], script: list[Reply], ran: list[str], stop: str, turns: int
) -> None:
    spy, seen = counting()
    llm = MockLLM(script)
    agent = Agent(
        llm,
        tools=[spy],
        max_turns=limits.get("max_turns", 50),
        max_tool_calls=limits.get("max_tool_calls", 200),
    )
    result = await agent.run("hi")
    assert seen == ran
    assert (result.stop_reason, result.turns, llm.call_count) == (stop, turns, turns)
    assert valid(agent.messages)
    if stop != "stop":
        assert answers_of(agent)[-1] == f"Error: not run, as the run's {stop} is spent."


async def test_calls_past_a_budget_are_told_and_do_not_count() -> None:
    agent = Agent(MockLLM([looking("a", "b")]), tools=[look], max_turns=1)
    events = await stream_of(agent)
    refused = [event for event in events if isinstance(event, ToolFinished)]
    assert [(one.call.id, one.is_error) for one in refused] == [("look-a", True), ("look-b", True)]
    assert not any(isinstance(event, ToolStarted) for event in events)
    assert result_in(events).tool_calls == 0


async def test_text_before_the_spent_budget_is_the_content() -> None:
    result = await Agent(MockLLM([FULL]), tools=[look], max_turns=1).run("hi")
    assert result.content == "let me see"


async def test_budgets_are_those_of_one_run() -> None:
    agent = Agent(MockLLM([looking("a"), "done"]), tools=[look], max_turns=2, max_tool_calls=1)
    for _ in range(3):
        assert (await agent.run("hi")).stop_reason == "stop"


async def test_refusal_goes_back_to_the_model() -> None:
    async def no(one: ToolCall, of: Tool) -> str:
        return "not today"

    llm = MockLLM([call("change", path="a"), "fine"])
    await Agent(llm, tools=[change], approve=no).run("hi")
    refused = llm.calls[1].messages[-1]
    assert refused.content == "Error: this call was refused: not today"


async def test_plan_mode_only_reads() -> None:
    agent = Agent(
        MockLLM([[*looking("a"), call("change", path="a")], "plan"]),
        tools=[look, change],
        mode="plan",
    )
    await agent.run("hi")
    assert answers_of(agent) == [
        "saw a",
        "Error: change is not allowed in plan mode, which only reads.",
    ]


@pytest.mark.parametrize("streaming", [False, True], ids=["run", "stream"])
async def test_a_model_that_sends_the_same_invalid_call_is_stopped(streaming: bool) -> None:
    llm = MockLLM([call("look", file="a")] * 9)
    agent = Agent(llm, tools=[look], max_invalid=3)
    result = result_in(await stream_of(agent)) if streaming else await agent.run("hi")
    assert (result.stop_reason, result.turns, result.tool_calls) == ("invalid_calls", 3, 3)
    assert answers_of(agent)[0].startswith("Error: Invalid arguments for look:\npath: field")
    assert valid(agent.messages)


async def test_a_call_that_can_be_run_begins_the_count_of_invalid_ones_anew() -> None:
    broken = ToolCall(id="b", name="look", error="it is cut off")
    llm = MockLLM([call("no"), [call("no"), *looking("a")], broken, "done", call("no"), "done"])
    agent = Agent(llm, tools=[look], max_invalid=2)
    assert (await agent.run("one")).stop_reason == "stop"
    assert (await agent.run("two")).stop_reason == "stop"


async def test_a_refused_call_is_no_invalid_one() -> None:
    agent = Agent(MockLLM([call("change", path="a")] * 3 + ["done"]), tools=[change], max_invalid=2)
    assert (await agent.run("hi")).stop_reason == "stop"
