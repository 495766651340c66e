from __future__ import annotations

from pathlib import Path

import pytest

from tests.agent.support import call
from victor.agent.agent import Agent
from victor.testing import MockLLM
from victor.tools.ask_user import ask_user
from victor.tools.base import ToolContext, tool
from victor.tools.edit import edit
from victor.tools.read import read
from victor.tools.todo import TodoList, todo
from victor.types import Attachment, CompletionResponse


async def test_attachments_of_a_tool_reach_the_model() -> None:
    picture = Attachment(media_type="image/png", data=b"png", name="a.png")

    @tool
    def draw() -> Attachment:
        return picture

    llm = MockLLM([call("draw"), "nice"])
    result = await Agent(llm, tools=[draw]).run("draw something")
    assert llm.calls[1].messages[-1].attachments == [picture]
    assert result.messages[-2].content == "[attached: a.png]"


async def test_tools_remember_over_the_runs_of_one_agent(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("a\n")
    change = call("edit", "e", path="x", old="a", new="b")
    llm = MockLLM([call("read", "r", path="x"), "read", change, "changed"])
    agent = Agent(llm, tools=[read, edit], workspace=tmp_path, mode="auto")
    await agent.run("read it")
    (tmp_path / "x").write_text("a\nmore\n")
    result = await agent.run("change it")
    assert "has changed since you read it" in result.messages[-2].content


async def test_closing_an_agent_lets_go_of_what_its_tools_hold() -> None:
    contexts: list[ToolContext] = []

    @tool
    def spy(context: ToolContext) -> None:
        contexts.append(context)

    llm = MockLLM([call("todo", "t", items=[{"text": "look"}]), call("spy"), "done"])
    async with Agent(llm, tools=[todo, spy]) as agent:
        await agent.run("hi")
        assert str(contexts[0].memory.of(TodoList)) == "[ ] look"
    assert str(contexts[0].memory.of(TodoList)) == ""


async def test_person_is_asked_through_the_agent() -> None:
    async def ask(question: str, options: tuple[str, ...]) -> str:
        return f"{question} {options[0]}!"

    llm = MockLLM([call("ask_user", question="Which?", options=["this"]), "done"])
    result = await Agent(llm, tools=[ask_user], ask=ask).run("hi")
    assert result.messages[-2].content == "Which? this!"


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    ("stop_reason", "said"), [("length", "send less at once"), ("content_filter", "cut short")]
)
async def test_last_call_of_an_answer_that_was_cut_short_is_not_run(
    streaming: bool, stop_reason: str, said: str
) -> None:
    ran: list[str] = []

    @tool(effect="read")
    def look(at: str = "") -> None:
        ran.append(at)

    # What some servers make of arguments of which nothing came any more.
    calls = [call("look", "one", at="here"), call("look", "two")]
    llm = MockLLM([CompletionResponse(tool_calls=calls, stop_reason=stop_reason), "done"])
    agent = Agent(llm, tools=[look])
    if streaming:
        assert [event async for event in agent.stream("hi")]
    else:
        await agent.run("hi")
    assert ran == ["here"]
    assert agent.messages[-2].tool_call_id == "two"
    assert said in agent.messages[-2].content
