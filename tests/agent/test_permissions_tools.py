from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from tests.agent.ruled import RULES, Made
from tests.agent.support import call
from victor.agent.agent import Agent
from victor.agent.toolrun import ToolRunner
from victor.agent.verdicts import Decision
from victor.config.settings import Mode
from victor.testing import MockLLM
from victor.tools import web
from victor.tools.apply_patch import apply_patch
from victor.tools.background import background_tools
from victor.tools.base import Tool, ToolContext, Toolset, tool
from victor.tools.edit import edit
from victor.tools.files import list_files, write
from victor.tools.grep import grep
from victor.tools.read import read
from victor.tools.shell import shell
from victor.tools.todo import todo
from victor.types import ToolCall

MODES: tuple[Mode, ...] = get_args(Mode)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@tool(effect="read")
def looked_up(path: str) -> str:
    """Look something up."""
    return path


theirs = tool(looked_up.function, name="gh__get", effect="read")


def _write(path: str) -> tuple[Tool, ToolCall]:
    return write, call("write", path=path, content="x")


def _start(command: str) -> tuple[Tool, ToolCall]:
    return _SHELL["shell_start"], call("shell_start", command=command)


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
        (_write("../x"), "deny", "deny", "deny", "deny"),
        (_patch("a.md", "b.md"), "allow", "allow", "deny", "allow"),
        (_patch("a.md", "b.py"), "ask", "allow", "deny", "allow"),
        (_patch("a.md", "locked"), "deny", "deny", "deny", "deny"),
        ((apply_patch, call("apply_patch", patch="no")), "ask", "allow", "deny", "allow"),
        ((edit, call("edit", path=7)), "ask", "allow", "deny", "allow"),
        ((edit, call("edit")), "ask", "allow", "deny", "allow"),
        ((read, call("read", path="src/a.py")), "allow", "allow", "allow", "allow"),
        ((read, call("read", path="/etc/passwd")), "deny", "deny", "deny", "deny"),
        ((theirs, call("gh__get", path="/x")), "allow", "allow", "allow", "allow"),
        ((theirs, call("gh__get", path="secrets/key")), "deny", "deny", "deny", "deny"),
        ((looked_up, call("looked_up", path="/x")), "ask", "ask", "ask", "allow"),
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

    runner = ToolRunner(Toolset([fake]), "ask", approve, made.rules(**RULES))
    context = ToolContext(made.workspace)
    events = [event async for event in runner.run([call("shell", command=line)], context)]
    assert getattr(events[-1], "content", None) == content
    assert bool(questions) is asked


async def test_an_agent_takes_rules_with_its_approval(made: Made) -> None:
    async def approve(_: ToolCall, __: Tool) -> bool:
        raise AssertionError("nobody has to be asked")

    agent = Agent(MockLLM(["hi"]), rules=made.rules(), approve=approve)
    assert (await agent.run("hello")).content == "hi"


def _typed(text: str) -> tuple[Tool, ToolCall]:
    return _SHELL["shell_write"], call("shell_write", session="1", text=text)


_SHELL = {one.name: one for one in background_tools()}


@pytest.mark.parametrize(
    ("what", "ask", "accept", "plan", "auto"),
    [
        (_start("ls"), "allow", "allow", "allow", "allow"),
        (_start("pytest -q"), "allow", "allow", "deny", "allow"),
        (_start("rm x"), "deny", "deny", "deny", "deny"),
        (_typed("rm x\n"), "deny", "deny", "deny", "deny"),
        (_typed("echo hi\n"), "ask", "ask", "deny", "ask"),
        ((_SHELL["shell_read"], call("shell_read", session="1")),) + ("allow",) * 4,
        ((_SHELL["shell_stop"], call("shell_stop", session="1")),) + ("allow",) * 4,
        ((todo, call("todo", items=[])),) + ("allow",) * 4,
    ],
    ids=lambda value: value[1].name if isinstance(value, tuple) else value,
)
def test_background_commands_are_ruled_like_others(
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


def test_typing_asks_nobody_in_auto_mode_where_nothing_is_forbidden(made: Made) -> None:
    of, one = _typed("rm x\n")
    assert made.rules().judge(one, of, "auto").decision == "allow"


def test_what_another_tool_calls_a_command_is_none(made: Made) -> None:
    @tool(effect="execute")
    def git__run(command: str) -> str:
        return command

    permissions = made.rules(allow=["shell(make *)"])
    for line in ("ls", "make all"):
        one = call("git__run", command=line)
        assert permissions.judge(one, git__run, "ask").decision == "ask"


@pytest.mark.parametrize(
    ("lists", "url", "found"),
    [
        ({}, "https://x.org/a", ("ask", "ask", "deny", "allow")),
        (
            {"allow": ["web_fetch(*.x.org)"]},
            "https://a.x.org/a",
            ("allow", "allow", "deny", "allow"),
        ),
        ({"allow": ["web_fetch(x.org)"]}, "https://x.org@y.org", ("ask", "ask", "deny", "allow")),
        ({"deny": ["web_fetch(x.org)"]}, "https://x.org/a", ("deny", "deny", "deny", "deny")),
        ({"deny": ["web_fetch(x.org)"]}, "https://x.org./", ("ask", "ask", "deny", "ask")),
        ({"ask": ["web_fetch(x.org)"]}, "https://x.org/", ("ask", "ask", "deny", "ask")),
        (
            {"ask": ["web_fetch(x.org)"], "allow": ["web_fetch"]},
            "https://x.org/",
            ("ask", "ask", "deny", "ask"),
        ),
    ],
)
def test_the_web_is_ruled_by_host(
    made: Made, lists: dict[str, list[str]], url: str, found: tuple[Decision, ...]
) -> None:
    permissions = made.rules(**lists)
    one = call("web_fetch", url=url)
    assert tuple(permissions.judge(one, web.web_fetch, mode).decision for mode in MODES) == found


@tool(effect="execute")
def git__push(branch: str) -> str:
    """Push."""
    return branch


@pytest.mark.parametrize(
    ("of", "one", "offer", "other"),
    [
        (
            web.web_fetch,
            call("web_fetch", url="https://x.org/a"),
            "web_fetch(x.org)",
            call("web_fetch", url="https://y.org/"),
        ),
        (git__push, call("git__push", branch="a"), "git__push", None),
    ],
    ids=["web", "mcp"],
)
def test_always_is_offered_for_a_host_or_a_tool(
    made: Made, of: Tool, one: ToolCall, offer: str, other: ToolCall | None
) -> None:
    permissions = made.rules()
    assert permissions.judge(one, of, "ask").offer == offer
    permissions.grant(offer)
    assert permissions.judge(one, of, "ask").decision == "allow"
    assert permissions.judge(one, of, "plan").decision == "deny"
    assert made.rules(ask=[of.name]).judge(one, of, "ask").decision == "ask"
    if other is not None:
        assert permissions.judge(other, of, "ask").decision == "ask"


@pytest.mark.parametrize(
    ("of", "one"),
    [
        (web.web_fetch, call("web_fetch", url="https://x.org@y.org/")),
        (shell, call("shell", command=7)),
        _typed("x"),
    ],
    ids=["address", "shell", "typed"],
)
def test_always_is_not_offered_for_what_could_be_anything(
    made: Made, of: Tool, one: ToolCall
) -> None:
    assert made.rules().judge(one, of, "ask").offer is None


async def test_an_agent_takes_rules_as_they_are_written(made: Made) -> None:
    model = MockLLM([call("shell", command="rm x"), "done"])
    agent = Agent(model, tools=[shell], rules={"deny": ["shell(rm *)"]}, workspace=made.workspace)
    await agent.run("hello")
    assert agent.messages[2].content == "Error: shell is not allowed: rule deny shell(rm *)."
