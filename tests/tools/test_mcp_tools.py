from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.agent.permissions import Permissions
from victor.agent.rules import rules_of
from victor.config.mcp_servers import McpServer
from victor.tools.base import Tool, ToolContext, ToolError
from victor.tools.mcp_connection import McpConnection
from victor.tools.mcp_pins import McpDefinition, Pins
from victor.tools.mcp_stdio import StdioTransport
from victor.tools.mcp_tools import McpTool, search_tools, tool_names
from victor.types import JsonObject, ToolCall

SERVER = McpServer(command=("x",), reads=("get_*", "list_*"))


def made(tmp_path: Path, **described: str) -> list[McpTool]:
    schema: JsonObject = {
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
    }
    connection = McpConnection("git", StdioTransport(SERVER, tmp_path))
    pins = Pins("git", "one", folder=tmp_path / "mcp")
    return [
        McpTool(
            tool_names("git", [name])[name],
            McpDefinition.of(name, about, schema),
            server=SERVER,
            connection=connection,
            pins=pins,
        )
        for name, about in described.items()
    ]


@pytest.fixture
def tools(tmp_path: Path) -> list[McpTool]:
    return made(
        tmp_path,
        list_issues="List the issues of a project.",
        close_issue="Close an issue by its number.",
        get_weather="Tell the weather.",
    )


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["add"], ["git__add"]),
        (["a.b", "a/b"], ["git__a_b", "git__a_b_c14cddc0"]),
        (["x" * 59, "x" * 60], ["git__" + "x" * 59, "git__" + "x" * 50 + "_11ee3912"]),
    ],
    ids=["as it is", "characters", "length"],
)
def test_names_have_their_server_and_what_vendors_take(
    names: list[str], expected: list[str]
) -> None:
    found = list(tool_names("git", names).values())
    assert [one[:-8] for one in found] == [one[:-8] for one in expected]
    assert all(len(one) <= 64 for one in found)


@settings(max_examples=50)
@given(names=st.lists(st.text(max_size=80), max_size=12, unique=True))
def test_every_name_becomes_one_of_its_own_that_a_tool_may_have(names: list[str]) -> None:
    found = tool_names("git", names)
    assert list(found) == names
    assert len(set(found.values())) == len(names)
    for name in found.values():
        Tool(max, name=name)


def test_only_the_user_says_what_a_tool_does_to_the_world(tools: list[McpTool]) -> None:
    assert [one.effect for one in tools] == ["read", "execute", "read"]


def test_the_plain_function_is_somewhere_else(tools: list[McpTool]) -> None:
    with pytest.raises(ToolError, match=r"called with run\(\)"):
        tools[0]()


async def test_searching_shows_definitions_of_what_fits_best_first(
    tools: list[McpTool], context: ToolContext
) -> None:
    search, _ = search_tools(tools)
    assert search.effect == "read"
    assert "3 tools of the MCP servers git" in search.description
    found = json.loads((await search.run({"query": "close an issue"}, context)).content)
    assert [one["tool"] for one in found][:2] == ["git__close_issue", "git__list_issues"]
    assert found[0]["arguments"] == tools[1].definition.parameters
    one = await search.run({"query": "number", "limit": 1}, context)
    assert len(json.loads(one.content)) == 1
    nothing = await search.run({"query": "zebra"}, context)
    assert nothing.content.startswith("No tool fits 'zebra'")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"tool": "git__close_issue", "arguments": {"number": 1}}, None),
        ({"tool": "git__close_issue", "arguments": {}}, "'number' is a required property"),
        ({"tool": "rm", "arguments": {}}, "there is no tool 'rm'; mcp_search finds"),
        ({"tool": "git__close_issue"}, "arguments"),
    ],
    ids=["right", "arguments of the tool", "no such tool", "arguments of the call"],
)
def test_a_call_of_a_found_tool_is_checked_before_anybody_is_asked(
    arguments: JsonObject, problem: str | None, tools: list[McpTool]
) -> None:
    _, call = search_tools(tools)
    assert call.effect == "execute"
    found = call.problem(arguments)
    assert found is None if problem is None else problem in (found or "")


def test_a_schema_that_is_none_is_told(tmp_path: Path) -> None:
    (tool,) = made(tmp_path, odd="Odd.")
    tool._given_parameters = {"type": "nothing"}
    assert "no JSON Schema" in (tool.problem({}) or "")


async def test_a_tool_that_was_approved_anew_waits_for_the_next_conversation(
    tools: list[McpTool],
) -> None:
    assert "in the next conversation" in (tools[0]._withheld() or "")


def test_a_call_by_name_is_ruled_as_the_tool_that_it_calls(
    tools: list[McpTool], tmp_path: Path
) -> None:
    calls = search_tools(tools)[1]
    given = ToolCall(
        id="1", name="mcp_call", arguments={"tool": "git__close_issue", "arguments": {"number": 7}}
    )
    meant, found = calls.meant(given)
    assert (meant.id, meant.name, meant.arguments) == ("1", "git__close_issue", {"number": 7})
    assert found is tools[1]
    rules = rules_of({"deny": ["git__close_*"]})
    assert Permissions(tmp_path, rules).judge(meant, found, "auto").decision == "deny"
