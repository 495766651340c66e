from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from victor.errors import ConfigError
from victor.tools.base import Tool, ToolContext, ToolError, ToolResult, Toolset, tool
from victor.types import Attachment, ToolCall, ToolDefinition

HERE = ToolContext(Path())


class Model(BaseModel):
    x: int


@dataclass
class Data:
    x: int


@tool
def add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


@tool(name="plus", description="Sum.", effect="read", timeout_s=5)
async def add_later(a: int, b: int = 2) -> int:
    """Add two numbers."""
    return a + b


def test_decorated_function_is_a_tool_and_still_a_function() -> None:
    assert (add.name, add.description, add.effect, add.timeout_s) == (
        "add",
        "Add two numbers.",
        "other",
        None,
    )
    assert add(1, b=3) == 4
    assert add.__doc__ == "Add two numbers."
    assert repr(add) == "<Tool 'add' effect='other'>"


def test_decorator_arguments_win_over_the_function() -> None:
    assert (add_later.name, add_later.description) == ("plus", "Sum.")
    assert (add_later.effect, add_later.timeout_s) == ("read", 5)
    assert tool(max, name="most", description="", effect="read").name == "most"


def test_definition_is_built_once() -> None:
    assert add.definition is add.definition is add.narrow(HERE)
    assert add.definition.parameters["required"] == ["a"]


@pytest.mark.parametrize("chosen", [add, add_later], ids=["sync", "async"])
async def test_arguments_are_converted_and_the_result_is_text(chosen: Tool) -> None:
    assert await chosen.run({"a": "1"}, HERE) == ToolResult("3")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param("as it is", "as it is", id="text"),
        pytest.param(None, "Done.", id="none"),
        pytest.param({"é": [1, None]}, '{"é":[1,null]}', id="dict"),
        pytest.param([Model(x=1), Data(2)], '[{"x":1},{"x":2}]', id="objects"),
        pytest.param(Path("a/b"), "a/b", id="path"),
        pytest.param(True, "true", id="bool"),
    ],
)
async def test_result_becomes_compact_text(value: Any, text: str) -> None:
    assert await tool(lambda: value, name="give").run({}, HERE) == ToolResult(text)


PICTURE = Attachment(media_type="image/png", data=b"png", name="a.png")
PAPER = Attachment(media_type="application/pdf", data=b"pdf")


@pytest.mark.parametrize(
    ("value", "result"),
    [
        pytest.param(PICTURE, ToolResult("[attached: a.png]", attachments=(PICTURE,)), id="one"),
        pytest.param(
            ["two things:", PICTURE, PAPER, {"a": 1}],
            ToolResult(
                'two things:\n[attached: a.png]\n[attached: application/pdf]\n{"a":1}',
                attachments=(PICTURE, PAPER),
            ),
            id="among-others",
        ),
        pytest.param(
            ToolError("no such row"), ToolResult("no such row", is_error=True), id="error"
        ),
    ],
)
async def test_attachments_and_errors_are_results(value: Any, result: ToolResult) -> None:
    assert await tool(lambda: value, name="give").run({}, HERE) == result


async def test_result_of_the_tool_itself_is_kept() -> None:
    result = ToolResult("no", is_error=True)
    assert await tool(lambda: result, name="give").run({}, HERE) is result


async def test_result_that_is_no_json_is_an_error() -> None:
    assert await tool(lambda: {"x": object()}, name="give").run({}, HERE) == ToolResult(
        "The tool returned a value of type dict, which is neither text nor JSON; "
        "a file or an image is returned as an Attachment.",
        is_error=True,
    )


async def test_invalid_arguments_are_an_error_and_nothing_is_called() -> None:
    calls: list[int] = []
    result = await tool(lambda a: calls.extend([a]), name="note").run({"b": 1}, HERE)
    assert result == ToolResult(
        "Invalid arguments for note:\na: field required\n"
        "b: unknown parameter; the parameters are a",
        is_error=True,
    )
    assert calls == []


async def test_undescribable_function_is_an_error_of_the_run() -> None:
    def everything(*names: str) -> None: ...

    result = await tool(everything).run({}, HERE)
    assert result.is_error
    assert "a model cannot pass *names" in result.content
    with pytest.raises(TypeError, match="names"):
        _ = tool(everything).definition


def raiser(error: BaseException) -> Callable[[], None]:
    def failing() -> None:
        raise error

    return failing


def async_raiser(error: BaseException) -> Callable[[], Any]:
    async def failing() -> None:
        raise error

    return failing


@pytest.mark.parametrize("make", [raiser, async_raiser], ids=["sync", "async"])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(ValueError("bad"), "failing failed: ValueError: bad", id="error"),
        pytest.param(KeyError(), "failing failed: KeyError", id="no-message"),
        pytest.param(ToolError("for you"), "for you", id="tool-error"),
        pytest.param(
            TimeoutError("its own"), "failing failed: TimeoutError: its own", id="timeout"
        ),
        pytest.param(SystemExit(3), "failing failed: SystemExit: 3", id="exit"),
        pytest.param(asyncio.CancelledError(), "failing failed: CancelledError", id="cancelled"),
    ],
)
async def test_failure_is_a_result(
    make: Callable[[BaseException], Callable[[], Any]], error: BaseException, text: str
) -> None:
    chosen = tool(make(error), timeout_s=5)
    assert await chosen.run({}, HERE) == ToolResult(text, is_error=True)


async def test_context_is_filled_in_and_not_asked_for() -> None:
    @tool
    def where(context: ToolContext, name: str) -> str:
        return f"{context.workspace}/{context.call_id}/{name}"

    assert list(where.definition.parameters["properties"]) == ["name"]
    context = ToolContext(Path("/w"), call_id="7")
    assert (await where.run({"name": "x"}, context)).content == "/w/7/x"
    assert (await where.run({"name": "x", "context": 1}, context)).is_error


async def test_sync_function_runs_beside_the_loop_with_its_context_variables() -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("kept")
    seen: list[object] = []
    await tool(lambda: seen.extend([threading.current_thread(), variable.get()]), name="look").run(
        {}, HERE
    )
    assert seen[0] is not threading.current_thread()
    assert seen[1] == "kept"


async def test_timeout_answers_though_the_thread_goes_on() -> None:
    release = threading.Event()
    stuck = tool(release.wait, name="stuck", timeout_s=0.05)
    result = await asyncio.wait_for(stuck.run({"timeout": 60}, HERE), 30)
    release.set()
    assert result == ToolResult("stuck timed out after 0.05 s.", is_error=True)


async def test_timeout_stops_an_async_function() -> None:
    stopped = asyncio.Event()

    async def stuck() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    result = await tool(stuck, timeout_s=0.05).run({}, HERE)
    assert result.is_error
    assert stopped.is_set()


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_cancellation_is_raised(kind: str) -> None:
    release, started = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def block() -> None:
        loop.call_soon_threadsafe(started.set)
        release.wait(60)

    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(tool(block if kind == "sync" else wait).run({}, HERE))
    await asyncio.wait_for(started.wait(), 30)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)
    release.set()


class Adder:
    async def __call__(self, a: int) -> int:
        return a + 1


async def test_object_with_an_async_call_is_awaited() -> None:
    assert await tool(Adder()).run({"a": 1}, HERE) == ToolResult("2")


@pytest.mark.parametrize("name", ["<lambda>", "", "two words", "1st", "x" * 65, "é"])
def test_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a tool's name"):
        tool(lambda: None, name=name)


def test_unknown_effect_is_refused() -> None:
    effect: Any = "reads"
    with pytest.raises(ConfigError, match="'reads' is not one of read, edit, execute, other"):
        tool(lambda: None, name="x", effect=effect)


def test_toolset_keeps_the_order_and_takes_plain_functions() -> None:
    def third() -> None: ...

    toolset = Toolset([add_later, add, third])
    assert [item.name for item in toolset] == ["plus", "add", "third"]
    assert len(toolset) == 3
    assert toolset.get("add") is add
    assert toolset.get("other") is None
    assert [item.name for item in toolset.definitions(HERE)] == ["plus", "add", "third"]
    assert toolset.definitions(HERE)[1] is add.definition


def test_toolset_refuses_a_name_twice() -> None:
    with pytest.raises(ConfigError, match="two tools are named 'add'"):
        Toolset([add, tool(max, name="add")])


def test_tools_package_gives_outsiders_the_names() -> None:
    import victor.tools

    assert victor.tools.tool is tool


# --- methods, and whatever else can be called


class Shop:
    def __init__(self, name: str) -> None:
        self.name = name

    @tool(effect="read")
    def find(self, what: str) -> str:
        """Find something.

        Args:
            what: The thing.
        """
        return f"{what} of {self.name}"

    @tool
    async def wait(self, what: str) -> str:
        """Wait for something."""
        return f"{what} from {self.name}"

    @tool
    @classmethod
    def kind(cls, what: str) -> str:
        return f"{what} of a {cls.__name__}"

    @staticmethod
    @tool
    def plain(what: str) -> str:
        return what

    helper = add


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("find", "tea of Ann"),
        ("wait", "tea from Ann"),
        ("kind", "tea of a Shop"),
        ("plain", "tea"),
    ],
)
async def test_a_method_is_a_tool_of_each_object(name: str, content: str) -> None:
    shops = [Shop("Ben"), Shop("Ann")]
    bound = [getattr(shop, name) for shop in shops][1]
    assert isinstance(bound, Tool)
    assert list(bound.definition.parameters["properties"]) == ["what"]
    assert (await bound.run({"what": "tea"}, HERE)).content == content


def test_a_method_is_still_a_method() -> None:
    assert Shop("Ann").find("tea") == "tea of Ann"
    assert (Shop("Ann").find.name, Shop("Ann").find.effect) == ("find", "read")
    assert Shop("x").helper is add


async def test_a_method_of_no_object_says_so() -> None:
    assert "take it from one, as in thing.find" in (Shop.find.problem({"what": "x"}) or "")


@pytest.mark.parametrize("wrong", [add, 3, Shop], ids=["tool", "number", "class"])
def test_what_is_no_function_is_refused_at_once(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"is a tool already|is not a function"):
        tool(wrong)


def test_a_partial_is_called_as_its_function() -> None:
    made = tool(functools.partial(Shop.find.function, Shop("Ann")))
    assert made.name == "find"
    assert list(made.definition.parameters["properties"]) == ["what"]


def test_a_tool_is_described_like_its_function() -> None:
    assert ToolDefinition.from_function(Shop("x").find) == Shop("x").find.definition
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"


async def test_types_from_the_function_round_a_tool_are_found_later() -> None:
    def make() -> Tool:
        class Size(Enum):
            S = "s"

        @tool
        def order(size: Size) -> str:
            return size.name

        return order

    assert await make().run({"size": "s"}, HERE) == ToolResult("S")


async def test_a_generator_gives_a_list() -> None:
    threads: list[str] = []

    def count(to: int) -> Iterator[int]:
        threads.append(threading.current_thread().name)
        yield from range(to)

    async def count_later(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    for function in (count, count_later):
        assert await tool(function).run({"to": 3}, HERE) == ToolResult("[0,1,2]")
    assert threads == ["victor-tool"]  # it may block


async def test_what_has_to_be_awaited_is() -> None:
    def later(a: int) -> Any:
        return add_later.function(a)

    assert await tool(later).run({"a": 1}, HERE) == ToolResult("3")


GIVEN = {
    "type": "object",
    "properties": {"n": {"type": "integer", "maximum": 3}},
    "required": ["n"],
}


async def test_a_schema_given_by_hand_is_shown_and_holds() -> None:
    @tool(name="any", description="Anything.", parameters=GIVEN)
    def anything(context: ToolContext, **given: Any) -> str:
        return f"{given} in {context.workspace}"

    assert anything.definition == ToolDefinition(
        name="any", description="Anything.", parameters=GIVEN
    )
    assert await anything.run({"n": 2}, HERE) == ToolResult("{'n': 2} in .")
    wrong = await anything.run({"n": 4}, HERE)
    assert wrong.is_error
    assert wrong.content.startswith("Invalid arguments for any:\n$.n: 4 is greater than")


def test_a_schema_that_is_none_is_told() -> None:
    odd = tool(lambda: None, name="odd", parameters={"type": "nothing"})
    assert "odd cannot be called: the tool's parameters are no JSON Schema" in (
        odd.problem({}) or ""
    )


def test_a_call_comes_to_itself() -> None:
    call = ToolCall(id="1", name="add")
    assert add.meant(call) == (call, add)
