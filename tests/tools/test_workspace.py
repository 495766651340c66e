from __future__ import annotations

import time
from pathlib import Path

import pytest

from victor.errors import ConfigError
from victor.sandbox.policy import Reach
from victor.tools.base import ToolContext, Toolset
from victor.tools.workspace import workspace_tools

READ = [("list_files", "read"), ("read", "read"), ("glob", "read"), ("grep", "read")]
COMPACT = [("search", "read"), ("read", "read"), ("list_files", "read")]
EDIT = [("edit", "edit"), ("multi_edit", "edit")]
PATCH = [("apply_patch", "edit")]
REST = [
    ("shell", "execute"),
    ("shell_start", "execute"),
    ("shell_read", "read"),
    ("shell_write", "execute"),
    ("shell_stop", "read"),
    ("web_fetch", "execute"),
    ("todo", "read"),
    ("ask_user", "read"),
]
WRITE = [("write", "edit")]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, READ + WRITE + EDIT + REST),
        ({"patches": True}, READ + WRITE + PATCH + REST),
        ({"writable": False}, READ),
        ({"compact": True}, COMPACT + WRITE + EDIT[:1] + REST[:1]),
        ({"compact": True, "writable": False}, COMPACT),
    ],
    ids=["full", "patches", "read-only", "compact", "compact-read-only"],
)
def test_tools_and_their_effects(
    workspace: Path, choice: dict[str, bool], expected: list[tuple[str, str]]
) -> None:
    tools = workspace_tools(
        workspace,
        writable=choice.get("writable", True),
        compact=choice.get("compact", False),
        patches=choice.get("patches", False),
    )
    assert [(tool.name, tool.effect) for tool in tools] == expected
    assert all(tool.description for tool in tools)


def test_every_parameter_is_described(workspace: Path, context: ToolContext) -> None:
    for definition in Toolset(workspace_tools(workspace)).definitions(context):
        properties = definition.parameters["properties"]
        assert "context" not in properties
        assert [name for name, one in properties.items() if not one.get("description")] == []


def test_definitions_of_fifty_tools_are_built_quickly_and_once(
    workspace: Path, context: ToolContext
) -> None:
    workspace_tools(workspace)[0].definition  # noqa: B018 - loads pydantic
    tools = [tool for _ in range(4) for tool in workspace_tools(workspace)][:50]
    started = time.perf_counter()
    first = [tool.narrow(context) for tool in tools]
    took_s = time.perf_counter() - started
    assert took_s < 1.0, "the bar is 50 ms on an idle machine"
    assert all(tool.narrow(context) is one for tool, one in zip(tools, first, strict=True))


def test_workspace_must_be_a_directory(workspace: Path) -> None:
    (workspace / "file").touch()
    with pytest.raises(ConfigError, match="is not a directory"):
        workspace_tools(workspace / "file")


@pytest.mark.parametrize("compact", [False, True])
async def test_what_the_user_allows_reaches_the_commands(
    workspace: Path, context: ToolContext, monkeypatch: pytest.MonkeyPatch, compact: bool
) -> None:
    monkeypatch.setenv("NAMED", "named")
    tools = workspace_tools(
        workspace, compact=compact, sandbox="off", reach=Reach(variables=("NAMED",))
    )
    by_name = {tool.name: tool for tool in tools}
    assert (await by_name["shell"].run({"command": "echo $NAMED"}, context)).content == "named\n"
    if not compact:
        started = {"command": "echo $NAMED", "wait_s": 10}
        assert "named" in (await by_name["shell_start"].run(started, context)).content
    await context.memory.aclose()
