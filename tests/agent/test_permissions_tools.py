from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.agent.ruled import RULES, Made
from tests.agent.support import call
from victor.agent.agent import Agent
from victor.agent.permissions import Decision, Ruled
from victor.agent.toolrun import ToolRunner
from victor.config.settings import Mode
from victor.testing import MockLLM
from victor.tools.apply_patch import apply_patch
from victor.tools.base import Tool, ToolContext, Toolset, tool
from victor.tools.edit import edit
from victor.tools.files import list_files, write
from victor.tools.grep import grep
from victor.tools.read import read
from victor.tools.shell import shell
from victor.types import ToolCall

MODES: tuple[Mode, ...] = get_args(Mode)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def _write(path: str) -> tuple[Tool, ToolCall]:
    return write, call("write", path=path, content="x")


def _patch(*paths: str) -> tuple[Tool, ToolCall]:
    files = "".join(f"*** Add File: {path}\n+x\n" for path in paths)
    patch = f"*** Begin Patch\n{files}*** End Patch"
    return apply_patch, call("apply_patch", patch=patch)


@pytest.mark.parametrize(
    ("what", "ask", "accept", "plan", "auto"),
    [
        (_write("src/a.py"), "ask", "allow", "deny", "allow"),
        (_write("x/y.md"), "allow", "allow", "deny", "allow"),
        (_write("a.toml"), "ask", "ask", "ask", "ask"),
        (_write("locked"), "deny", "deny", "deny", "deny"),
        (_write("LOCKED/x"), "deny", "deny", "deny", "deny"),
        (_write(".git/x.md"), "ask", "ask", "deny", "ask"),
        (_write("../x"), "ask", "ask", "deny", "allow"),
        (_patch("a.md", "b.md"), "allow", "allow", "deny", "allow"),
        (_patch("a.md", "b.py"), "ask", "allow", "deny", "allow"),
        (_patch("a.md", "locked"), "deny", "deny", "deny", "deny"),
        ((apply_patch, call("apply_patch", patch="no")), "ask", "allow", "deny", "allow"),
        ((edit, call("edit", path=7)), "ask", "allow", "deny", "allow"),
        ((edit, call("edit")), "ask", "allow", "deny", "allow"),
        ((read, call("read", path="src/a.py")), "allow", "allow", "allow", "allow"),
        ((read, call("read", path="/etc/passwd")), "ask", "ask", "ask", "allow"),
        ((read, call("read", path="secrets/key")), "deny", "deny", "deny", "deny"),
        ((read, call("read", path="private/x")), "ask", "ask", "ask", "ask"),
        ((list_files, call("list_files", path="src")), "allow", "allow", "allow", "allow"),
        ((grep, call("grep", pattern="x")), "ask", "ask", "ask", "ask"),
        ((grep, call("grep", pattern="x", path="src")), "allow", "allow", "allow", "allow"),
        ((list_files, call("list_files")), "allow", "allow", "allow", "allow"),
        ((shell, call("shell", command="curl x")), "ask", "ask", "deny", "allow"),
        ((shell, call("shell", command=7)), "ask", "ask", "deny", "allow"),
    ],
    ids=lambda value: (
        f"{value[1].name} {value[1].arguments}"[:40] if isinstance(value, tuple) else value
    ),
)
def test_tools_are_judged_by_their_paths(
    made: Made,
    what: tuple[Tool, ToolCall],
    ask: Decision,
    accept: Decision,
    plan: Decision,
    auto: Decision,
) -> None:
    permissions = made.rules(**RULES)
    found = tuple(permissions.judge(what[1], what[0], mode).decision for mode in MODES)
    assert found == (ask, accept, plan, auto)


def test_always_for_a_file_is_for_that_file(made: Made) -> None:
    permissions = made.rules()
    offer = permissions.judge(_write("src/a.py")[1], write, "ask").offer
    assert offer == "write(src/a.py)"
    permissions.grant(offer)
    assert permissions.judge(_write("src/a.py")[1], write, "ask").decision == "allow"
    assert permissions.judge(_write("src/a.py")[1], write, "plan").decision == "deny"
    assert permissions.judge(_write("src/a.pyc")[1], write, "ask").decision == "ask"


@pytest.mark.parametrize("path", ["../x", "a\x1b", "a.toml"])
def test_always_is_not_offered_for_other_files(made: Made, path: str) -> None:
    assert made.rules(**RULES).judge(_write(path)[1], write, "ask").offer is None


@tool
def web_fetch(url: str) -> str:
    """Fetch a page."""
    return url


@pytest.mark.parametrize(
    ("lists", "name", "decision"),
    [
        ({"ask": ["web_*"]}, "web_fetch", "ask"),
        ({"deny": ["web_fetch"], "allow": ["web_fetch"]}, "web_fetch", "deny"),
        ({"allow": ["shell"]}, "shell", "allow"),
        ({"allow": ["shell"], "ask": ["shell(curl*)"]}, "shell", "ask"),
        ({"deny": ["shell"], "allow": ["shell(curl *)"]}, "shell", "deny"),
        ({}, "web_fetch", "allow"),
    ],
)
def test_a_tool_can_be_ruled_as_a_whole(
    made: Made, lists: dict[str, list[str]], name: str, decision: Decision
) -> None:
    tools = {"web_fetch": (web_fetch, call("web_fetch", url="x"))}
    tools["shell"] = (shell, call("shell", command="curl x"))
    of, one = tools[name]
    assert made.rules(**lists).judge(one, of, "ask").decision == decision


def test_allowing_a_tool_lifts_neither_caution_nor_plan_mode(made: Made) -> None:
    permissions = made.rules(allow=["shell", "web_fetch"])
    odd = call("shell", command="curl $x")
    assert permissions.judge(odd, shell, "ask").decision == "ask"
    assert permissions.judge(call("web_fetch", url="x"), web_fetch, "plan").decision == "deny"


# --- in an agent


@pytest.mark.parametrize(
    ("line", "asked", "content"),
    [
        ("ls", False, "saw ls"),
        ("curl x", True, "saw curl x"),
        ("rm x", False, "Error: shell is not allowed: rule deny shell(rm *)."),
    ],
)
async def test_a_person_is_asked_only_what_the_rules_leave_open(
    made: Made, line: str, asked: bool, content: str
) -> None:
    questions: list[ToolCall] = []

    @tool(name="shell", effect="execute")
    def fake(command: str) -> str:
        return f"saw {command}"

    async def approve(one: ToolCall, _: Tool) -> bool:
        questions.append(one)
        return True

    runner = ToolRunner(Toolset([fake]), "ask", Ruled(made.rules(**RULES), approve))
    context = ToolContext(made.workspace)
    events = [event async for event in runner.run([call("shell", command=line)], context)]
    assert getattr(events[-1], "content", None) == content
    assert bool(questions) is asked


async def test_an_agent_takes_rules_with_its_approval(made: Made) -> None:
    async def approve(_: ToolCall, __: Tool) -> bool:
        raise AssertionError("nobody has to be asked")

    agent = Agent(MockLLM(["hi"]), approve=Ruled(made.rules(), approve))
    assert (await agent.run("hello")).content == "hi"
