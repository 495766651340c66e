from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from tests.agent.support import call
from victor.agent.events import ToolFinished, ToolProgress, ToolStarted
from victor.agent.toolrun import Approve, ToolRunner
from victor.config.settings import Mode
from victor.tools.base import Effect, Tool, ToolContext, ToolError, Toolset, tool
from victor.tools.read import read
from victor.types import Attachment, ToolCall

HERE = ToolContext(Path(), request="what?")


def runner(*tools: Any, mode: Mode = "auto", approve: Approve | None = None) -> ToolRunner:
    return ToolRunner(Toolset(tools), mode, approve)


async def events_of(
    given: ToolRunner, *calls: ToolCall
) -> list[ToolStarted | ToolProgress | ToolFinished]:
    return [event async for event in given.run(calls, HERE)]


async def results_of(given: ToolRunner, *calls: ToolCall) -> list[ToolFinished]:
    return [one for one in await events_of(given, *calls) if isinstance(one, ToolFinished)]


async def result_of(given: ToolRunner, one: ToolCall) -> ToolFinished:
    (finished,) = await results_of(given, one)
    return finished


@tool(effect="read")
def look(path: str) -> str:
    """Look at something."""
    return f"saw {path}"


@tool
def fail(how: str) -> str:
    """Fail."""
    if how == "told":
        raise ToolError("the file is gone; list the files first")
    if how == "exit":
        raise SystemExit(3)
    raise ZeroDivisionError("by zero")


@tool(effect="read", timeout_s=0.01)
async def hang() -> str:
    """Hang."""
    await asyncio.Event().wait()
    return "never"


def order(events: Sequence[ToolStarted | ToolProgress | ToolFinished]) -> list[str]:
    return [
        f"{'start' if isinstance(event, ToolStarted) else 'end'} {event.call.id}"
        for event in events
    ]


async def test_call_starts_and_finishes_with_its_result() -> None:
    started, finished = await events_of(runner(look), call("look", path="a.txt"))
    assert started == ToolStarted(call("look", path="a.txt"))
    assert isinstance(finished, ToolFinished)
    assert (finished.content, finished.is_error) == ("saw a.txt", False)
    assert finished.seconds > 0


async def test_tool_sees_its_call_and_the_workspace() -> None:
    seen: list[ToolContext] = []

    @tool
    async def spy(context: ToolContext) -> None:
        seen.append(context)

    await result_of(runner(spy), call("spy", "c7"))
    assert seen == [ToolContext(Path(), call_id="c7", request="what?")]


bad = [
    pytest.param(
        call("lok", path="a"),
        "Error: there is no tool 'lok'. Did you mean look? The tools are: look, fail, hang.",
        id="near-name",
    ),
    pytest.param(
        call("zzz"),
        "Error: there is no tool 'zzz'. The tools are: look, fail, hang.",
        id="unknown",
    ),
    pytest.param(
        call("look", file="a"),
        "Error: Invalid arguments for look:\npath: field required\n"
        "file: unknown parameter; the parameters are path",
        id="wrong-arguments",
    ),
    pytest.param(
        call("fail", how="told"),
        "Error: the file is gone; list the files first",
        id="tool-error",
    ),
    pytest.param(
        call("fail", how="bug"), "Error: fail failed: ZeroDivisionError: by zero", id="exception"
    ),
    pytest.param(call("fail", how="exit"), "Error: fail failed: SystemExit: 3", id="exit"),
    pytest.param(call("hang"), "Error: hang timed out after 0.01 s.", id="timeout"),
]


@pytest.mark.parametrize(("wrong", "content"), bad)
async def test_whatever_goes_wrong_is_a_result(wrong: ToolCall, content: str) -> None:
    finished = await result_of(runner(look, fail, hang), wrong)
    assert (finished.call, finished.content, finished.is_error) == (wrong, content, True)


async def test_unknown_tool_where_there_are_none() -> None:
    finished = await result_of(runner(), call("look"))
    assert finished.content == "Error: there is no tool 'look'. The tools are: none."


@pytest.mark.parametrize("others", [0, 1], ids=["alone", "side-by-side"])
async def test_call_that_did_not_parse_is_never_run(others: int) -> None:
    broken = ToolCall.model_validate({"id": "b", "name": "look", "arguments": '{"path": "a'})
    good = [call("look", f"g{number}", path="x") for number in range(others)]
    events = await events_of(runner(look), broken, *good)
    assert broken.raw_arguments == '{"path": "a'
    assert ToolStarted(broken) not in events
    finished = next(one for one in events if isinstance(one, ToolFinished) and one.call is broken)
    assert finished.content.startswith("Error: the call was not run, as the arguments are not")
    assert finished.content.endswith(". Send it again, complete.")
    assert finished.is_error
    assert sum(isinstance(one, ToolStarted) for one in events) == others


# --- side by side ---------------------------------------------------------------------------------


def meeting(size: int, effect: Effect = "read") -> tuple[Tool, list[int]]:
    """Return a tool that ends once `size` calls are inside, and how many were inside each time."""
    inside: list[int] = [0]
    full = asyncio.Event()

    async def meet(number: int) -> str:
        inside.append(inside[-1] + 1)
        if inside[-1] == size:
            full.set()
        await asyncio.wait_for(full.wait(), 5)
        return f"met {number}"

    return tool(meet, effect=effect), inside


async def test_calls_that_only_read_run_side_by_side() -> None:
    meet, _ = meeting(3)
    calls = [call("meet", f"c{number}", number=number) for number in range(3)]
    events = await events_of(runner(meet), *calls)
    assert order(events) == ["start c0", "start c1", "start c2", "end c0", "end c1", "end c2"]
    results = [one.content for one in events if isinstance(one, ToolFinished)]
    assert results == ["met 0", "met 1", "met 2"]


@pytest.mark.parametrize("effect", ["edit", "execute", "other"])
async def test_other_calls_run_one_after_the_other(effect: Effect) -> None:
    inside = 0

    async def act() -> None:
        nonlocal inside
        inside += 1
        await asyncio.sleep(0)
        assert inside == 1
        inside -= 1

    calls = [call("act", f"c{number}") for number in range(3)]
    events = await events_of(runner(tool(act, effect=effect)), *calls)
    assert order(events) == ["start c0", "end c0", "start c1", "end c1", "start c2", "end c2"]
    assert not any(one.is_error for one in events if isinstance(one, ToolFinished))


async def test_only_neighbours_that_read_run_side_by_side() -> None:
    @tool(effect="edit")
    def change() -> str:
        return "changed"

    calls = [
        call("look", "r1", path="a"),
        call("look", "r2", path="b"),
        call("change", "w"),
        call("look", "r3", path="c"),
    ]
    assert order(await events_of(runner(look, change), *calls)) == [
        "start r1",
        "start r2",
        "end r1",
        "end r2",
        "start w",
        "end w",
        "start r3",
        "end r3",
    ]


async def test_failing_call_leaves_its_neighbours_alone() -> None:
    @tool(effect="read")
    async def half(number: int) -> str:
        if number == 0:
            raise ValueError("zero")
        await asyncio.sleep(0)
        return "fine"

    calls = [call("half", f"c{number}", number=number) for number in range(2)]
    results = await results_of(runner(half), *calls)
    assert [one.content for one in results] == ["Error: half failed: ValueError: zero", "fine"]


async def test_cancelling_stops_every_call_that_runs() -> None:
    everybody = asyncio.Event()
    running: list[int] = []
    stopped: list[int] = []

    @tool(effect="read")
    async def wait(number: int) -> None:
        running.append(number)
        if len(running) == 3:
            everybody.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.append(number)

    calls = [call("wait", f"c{number}", number=number) for number in range(3)]
    task = asyncio.create_task(events_of(runner(wait), *calls))
    await asyncio.wait_for(everybody.wait(), 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(stopped) == [0, 1, 2]


# --- progress and results -------------------------------------------------------------------------


@tool(effect="read")
async def say(context: ToolContext, words: list[str]) -> str:
    """Say words."""
    for word in words:
        context.progress(word)
        await asyncio.sleep(0)
    return "said"


@tool(effect="read")
def say_in_thread(context: ToolContext, words: list[str]) -> str:
    """Say words."""
    for word in words:
        context.progress(word)
    return "said"


@pytest.mark.parametrize("tool_of", [say, say_in_thread], ids=["async", "thread"])
async def test_progress_comes_before_the_result(tool_of: Tool) -> None:
    one, other = (call(tool_of.name, name, words=[name, name * 2]) for name in "ab")
    events = await events_of(runner(tool_of), one, other)
    said = [(event.call.id, event.text) for event in events if isinstance(event, ToolProgress)]
    assert sorted(said) == [("a", "a"), ("a", "aa"), ("b", "b"), ("b", "bb")]
    assert [type(event) for event in events[-2:]] == [ToolFinished] * 2


async def test_progress_comes_while_the_tool_runs() -> None:
    heard = asyncio.Event()

    @tool
    async def wait(context: ToolContext) -> str:
        context.progress("waiting")
        await asyncio.wait_for(heard.wait(), 5)
        return "heard"

    async for event in runner(wait).run([call("wait")], HERE):
        if isinstance(event, ToolProgress):
            heard.set()
    assert isinstance(event, ToolFinished)
    assert event.content == "heard"


async def test_flood_of_progress_is_thinned_out() -> None:
    @tool
    async def flood(context: ToolContext) -> None:
        for _ in range(5_000):
            context.progress("x")

    events = await events_of(runner(flood), call("flood"))
    assert len(events) == 1_000 + 2
    assert isinstance(events[-1], ToolFinished)


async def test_progress_after_the_end_is_not_heard() -> None:
    contexts: list[ToolContext] = []

    @tool
    def keep(context: ToolContext) -> None:
        contexts.append(context)

    assert len(await events_of(runner(keep), call("keep"))) == 2
    contexts[0].progress("late")


async def test_leaving_in_the_middle_stops_the_tools() -> None:
    stopped = asyncio.Event()

    @tool
    async def wait(context: ToolContext) -> None:
        context.progress("waiting")
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    running = runner(wait).run([call("wait")], HERE)
    async with aclosing(running):
        async for event in running:
            if isinstance(event, ToolProgress):
                break
    assert stopped.is_set()


async def test_attachments_go_along_with_the_result() -> None:
    picture = Attachment(media_type="image/png", data=b"png")

    @tool
    def draw() -> Attachment:
        return picture

    finished = await result_of(runner(draw), call("draw"))
    assert (finished.content, finished.attachments) == ("[attached: image/png]", (picture,))


@pytest.mark.parametrize(
    ("reader", "kept"),
    [(read, True), (tool(lambda: "", name="read"), False), (look, False)],
    ids=["ours", "another-of-that-name", "none"],
)
async def test_result_too_long_for_a_model_is_shortened(
    reader: Tool, kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    given = runner(tool(lambda: "x" * 1_000_000, name="flood"), reader)
    finished = await result_of(given, call("flood"))
    assert len(finished.content) < 31_000
    assert ("'output:1': read or grep that path" in finished.content) is kept


# --- permissions ----------------------------------------------------------------------------------


def asking(answer: bool | str, asked: list[tuple[ToolCall, Tool]]) -> Approve:
    async def approve(one: ToolCall, of: Tool) -> bool | str:
        asked.append((one, of))
        return answer

    return approve


@tool(effect="edit")
def change(path: str) -> str:
    """Change a file."""
    return f"changed {path}"


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (True, "changed a"),
        (False, "Error: the user refused this call."),
        ("", "Error: the user refused this call."),
        ("use b instead", "Error: this call was refused: use b instead"),
    ],
    ids=["yes", "no", "no-word", "reason"],
)
async def test_person_decides_where_the_mode_asks(answer: bool | str, content: str) -> None:
    asked: list[tuple[ToolCall, Tool]] = []
    one = call("change", path="a")
    given = runner(change, mode="ask", approve=asking(answer, asked))
    events = await events_of(given, one)
    assert asked == [(one, change)]
    finished = events[-1]
    assert isinstance(finished, ToolFinished)
    assert (finished.content, finished.is_error) == (content, answer is not True)
    assert (ToolStarted(one) in events) is (answer is True)


async def test_nobody_to_ask_means_no() -> None:
    finished = await result_of(runner(change, mode="ask"), call("change", path="a"))
    assert finished.content == ("Error: change needs the user's approval, and nobody can be asked.")


async def test_plan_mode_refuses_without_asking() -> None:
    asked: list[tuple[ToolCall, Tool]] = []
    given = runner(change, mode="plan", approve=asking(True, asked))
    finished = await result_of(given, call("change", path="a"))
    assert finished.content == "Error: change is not allowed in plan mode, which only reads."
    assert asked == []


@pytest.mark.parametrize("mode", ["accept-edits", "auto"])
async def test_allowed_call_asks_nobody(mode: Mode) -> None:
    asked: list[tuple[ToolCall, Tool]] = []
    given = runner(change, mode=mode, approve=asking(False, asked))
    assert (await result_of(given, call("change", path="a"))).content == "changed a"
    assert asked == []


async def test_nobody_is_asked_about_a_call_that_cannot_run() -> None:
    asked: list[str] = []

    async def approve(one: ToolCall, _: Tool) -> bool:
        asked.append(one.id)
        return True

    @tool(effect="edit")
    def rename(path: str) -> str:
        return path

    broken = ToolCall(id="a", name="rename", arguments={"pfad": "x"})
    good = ToolCall(id="b", name="rename", arguments={"path": "x"})
    first, second = await results_of(runner(rename, mode="ask", approve=approve), broken, good)
    assert asked == ["b"]
    assert first.content.startswith("Error: Invalid arguments for rename:")
    assert (second.content, second.is_error) == ("x", False)


class Calling(Tool):
    """Calls another tool by its name."""

    def __init__(self, other: Tool) -> None:
        super().__init__(lambda arguments: other(**arguments), name="relay", effect="execute")
        self._other = other

    def meant(self, given: ToolCall) -> tuple[ToolCall, Tool]:
        return call(self._other.name, given.id, **given.arguments["arguments"]), self._other


async def test_a_tool_that_calls_another_is_judged_as_that_one() -> None:
    asked: list[tuple[ToolCall, Tool]] = []
    given = runner(Calling(change), mode="ask", approve=asking(True, asked))
    relayed = call("relay", arguments={"path": "a"})
    finished = await result_of(given, relayed)
    assert (finished.call, finished.content) == (relayed, "changed a")
    assert asked == [(call("change", path="a"), change)]
    assert not (await result_of(runner(Calling(look), mode="plan"), relayed)).is_error
