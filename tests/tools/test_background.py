from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from victor.sandbox.policy import Policy, Reach
from victor.sandbox.run import best_sandbox
from victor.tools.background import background_tools
from victor.tools.base import Tool, ToolContext, ToolResult


@dataclass
class Terminal:
    """Calls the tools by name."""

    tools: dict[str, Tool]
    context: ToolContext

    async def __call__(self, name: str, **arguments: Any) -> ToolResult:
        return await self.tools[name].run(arguments, self.context)


@pytest.fixture
async def terminal(context: ToolContext) -> AsyncIterator[Terminal]:
    yield Terminal({tool.name: tool for tool in background_tools("off")}, context)
    await context.memory.aclose()


async def test_command_is_started_read_typed_into_and_stopped(terminal: Terminal) -> None:
    begun = await terminal("shell_start", command="echo ready; cat", wait_s=10)
    assert begun == ToolResult("ready\n[session 1 is running]")
    typed = await terminal("shell_write", session="1", text="word\n", wait_s=10)
    assert "word\nword\n" in typed.content
    assert (await terminal("shell_read", session=1, wait_s=0)).content == "[session 1 is running]"
    assert (await terminal("shell_stop", session="1")).content == "[session 1 was stopped]"
    assert (await terminal("shell_read", session="1")).is_error


@pytest.mark.parametrize(
    ("command", "end"),
    [
        ("exit 3", "[session 1 has ended with exit code 3]"),
        ("kill -9 $$", "[session 1 has ended: killed by SIGKILL]"),
        ("printf x", "x\n[session 1 has ended with exit code 0]"),
    ],
    ids=["code", "signal", "no-newline"],
)
async def test_end_of_a_command_is_told(terminal: Terminal, command: str, end: str) -> None:
    result = await terminal("shell_start", command=command, wait_s=20)
    text = result.content
    while "is running" in text:
        text = text.replace("[session 1 is running]", "")
        text += (await terminal("shell_read", session="1", wait_s=20)).content
    assert text.replace("x\n\n", "x\n").endswith(end)


async def test_limit_that_was_broken_is_told(
    terminal: Terminal, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy(workspace=workspace, environment={"PATH": os.defpath}, processes=20)
    monkeypatch.setattr("victor.tools.background.confinement", lambda *_: (None, policy))
    command = "for i in $(seq 50); do sleep 1000 & done; wait"
    text = (await terminal("shell_start", command=command, wait_s=20)).content
    while "is running" in text:
        text = (await terminal("shell_read", session="1", wait_s=20)).content
    assert text.endswith("[session 1 was stopped: it started more than 20 processes]")


@pytest.fixture
def no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.tools.shell.best_sandbox", lambda mode: None)


@pytest.mark.usefixtures("no_sandbox")
@pytest.mark.parametrize("agreed", [True, False, None])
async def test_command_that_nothing_confines_needs_consent(
    context: ToolContext, workspace: Path, agreed: bool | None
) -> None:
    asked: list[str] = []

    async def consent(command: str, _: ToolContext) -> bool:
        asked.append(command)
        return bool(agreed)

    tools = background_tools("auto", consent=None if agreed is None else consent)
    result = await tools[0].run({"command": "touch made; cat", "wait_s": 0.5}, context)
    await context.memory.aclose()
    assert result.is_error is not agreed
    assert (workspace / "made").exists() is bool(agreed)
    assert asked == ([] if agreed is None else ["touch made; cat"])


async def test_command_that_cannot_be_started_leaves_no_session(terminal: Terminal) -> None:
    terminal.context.workspace.rmdir()
    assert (await terminal("shell_start", command="true")).is_error
    assert "there are: none" in (await terminal("shell_read", session="1")).content


@pytest.mark.skipif(best_sandbox("auto") is None, reason="no sandbox on this machine")
async def test_background_command_is_confined(context: ToolContext, workspace: Path) -> None:
    outside = workspace.parent / "outside" / "made"
    tools = {tool.name: tool for tool in background_tools("required")}
    command = f"touch {outside}; touch inside; echo done; cat"
    said = (await tools["shell_start"].run({"command": command, "wait_s": 10}, context)).content
    while "done" not in said:
        said += (await tools["shell_read"].run({"session": "1"}, context)).content
    await context.memory.aclose()
    assert (workspace / "inside").exists()
    assert not outside.exists()


@pytest.mark.skipif(best_sandbox("auto") is None, reason="no sandbox on this machine")
@pytest.mark.parametrize("network", [False, True], ids=["offline", "online"])
async def test_what_the_sandbox_refuses_is_explained(
    context: ToolContext, monkeypatch: pytest.MonkeyPatch, network: bool
) -> None:
    monkeypatch.setenv("NAMED", "named")
    reach = Reach(network=network, variables=("NAMED",))
    tools = {tool.name: tool for tool in background_tools("required", reach=reach)}
    command = "read x; echo $NAMED: could not resolve host; cat"
    begun = await tools["shell_start"].run({"command": command}, context)
    assert begun.content == "[session 1 is running]"
    typed = {"session": "1", "text": "\n", "wait_s": 10}
    said = (await tools["shell_write"].run(typed, context)).content
    while "resolve" not in said:
        said += (await tools["shell_read"].run({"session": "1"}, context)).content
    assert "named: could not resolve host" in said
    explained = "; in the sandbox commands have no network" in said
    assert explained is not network
    await tools["shell_stop"].run({"session": "1"}, context)
