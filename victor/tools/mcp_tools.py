"""The tools of MCP servers as tools of an agent; and, where they are many, two that find and call.

With many tools their definitions would fill the model's window, and a list that grows during a
conversation would lose the vendor's prompt cache each time. So `mcp_search` shows the definitions
that fit a need, and `mcp_call` calls what it found, checked against the same schema. Knows nothing
about the protocol.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field

from victor.config.mcp_servers import McpServer
from victor.errors import VictorError
from victor.tools.base import Effect, Tool, ToolContext, ToolError, ToolResult, tool
from victor.tools.mcp_connection import McpConnection
from victor.tools.mcp_pins import McpDefinition, Pins
from victor.tools.mcp_results import as_tool_result
from victor.types import JsonObject, ToolCall, ToolDefinition

__all__ = ["McpTool", "search_tools", "tool_names"]

_MOST_NAME = 64
_WORD = re.compile(r"[a-z0-9]+")
_MOST_FOUND = 20


class McpTool(Tool):
    """A tool of a server, as it was agreed to.

    Args:
        name: the name the model uses.
        given: the server's definition.
        server: the settings of the server.
        connection: to it.
        pins: of the server.
    """

    def __init__(
        self,
        name: str,
        given: McpDefinition,
        *,
        server: McpServer,
        connection: McpConnection,
        pins: Pins,
    ) -> None:
        reads = any(fnmatchcase(given.name, pattern) for pattern in server.reads)
        # What a server says of its own tools ("readOnlyHint") is no ground to trust it.
        effect: Effect = "read" if reads else "execute"
        super().__init__(
            self._unbound,
            name=name,
            description=given.description,
            parameters=given.parameters,
            effect=effect,
        )
        self._given = given
        self._connection = connection
        self._pins = pins

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        if (problem := self.problem(arguments)) is not None:
            return ToolResult(problem, is_error=True)
        try:
            answer = await self._connection.call(
                self._given.name,
                dict(arguments),
                allowed=self._withheld,
                report=context.progress,
            )
            return as_tool_result(answer)
        except asyncio.CancelledError:
            raise
        except VictorError as error:
            return ToolResult(str(error), is_error=True)

    def _withheld(self) -> str | None:
        """Say why the call must not be made now that the server has listed its tools."""
        if self._pins.agreed.get(self._given.name) != self._given:
            return f"{self.name} is another tool by now; it can be used in the next conversation"
        if self._given.name not in self._pins.changes:
            return None
        if self._pins.changes[self._given.name] is None:
            return f"the MCP server {self._connection.name} no longer has {self.name}"
        return (
            f"{self.name} was not called: its server has changed the tool's definition since the "
            f"user agreed to it. The user can look at the change and approve it with: "
            f"victor mcp approve {self._connection.name}"
        )

    def _unbound(self) -> Any:
        raise ToolError(f"{self.name} is called with run(), as its server is somewhere else")


def tool_names(server: str, names: Iterable[str]) -> dict[str, str]:
    """Return the names the model uses, by the server's own: `server__tool`, each once.

    Characters that no vendor takes become `_`; a name that is too long, or not the only one then,
    ends with a hash.
    """
    found: dict[str, str] = {}
    for name in names:
        made = f"{server}__{re.sub(r'[^A-Za-z0-9_-]', '_', name)}"
        if len(made) > _MOST_NAME or made in found.values():
            mark = hashlib.sha256(name.encode()).hexdigest()[:8]
            made = f"{made[: _MOST_NAME - 9]}_{mark}"
        found[name] = made
    return found


def search_tools(tools: Sequence[McpTool]) -> list[Tool]:
    """Return the two tools that stand for many."""
    by_name = {one.name: one for one in tools}
    servers = sorted({name.partition("__")[0] for name in by_name})
    about = f"There are {len(tools)} tools of the MCP servers {', '.join(servers)}."

    async def mcp_search(query: str, limit: Annotated[int, Field(ge=1, le=_MOST_FOUND)] = 5) -> str:
        found = _ranked(query, tools)[:limit]
        if not found:
            return f"No tool fits {query!r}. {about} Search with other words."
        return json.dumps([_shown(one.definition) for one in found], ensure_ascii=False)

    def named(name: str) -> McpTool:
        if (found := by_name.get(name)) is None:
            raise ToolError(f"there is no tool {name!r}; mcp_search finds the names there are")
        return found

    return [
        tool(
            mcp_search,
            description=f"{about} This finds those that fit a need, by words, and shows how to "
            "call them. Then call one with mcp_call.",
            effect="read",
        ),
        _Call(named),
    ]


class _Call(Tool):
    """Calls one of many tools by its name."""

    def __init__(self, named: Any) -> None:
        async def mcp_call(context: ToolContext, tool: str, arguments: JsonObject) -> ToolResult:
            """Call a tool that mcp_search has shown.

            Args:
                context: the conversation.
                tool: Its name.
                arguments: What its parameters say.
            """
            found: ToolResult = await named(tool).run(arguments, context)
            return found

        super().__init__(mcp_call, effect="execute")
        self._named = named

    def meant(self, call: ToolCall) -> tuple[ToolCall, Tool]:
        # Rules are about the tool that it calls, as they would be if it were offered itself.
        found: Tool = self._named(call.arguments["tool"])
        its = {"name": found.name, "arguments": call.arguments["arguments"]}
        return call.model_copy(update=its), found

    def problem(self, arguments: Mapping[str, Any]) -> str | None:
        if (found := super().problem(arguments)) is not None:
            return found
        try:
            wrong: str | None = self._named(arguments["tool"]).problem(arguments["arguments"])
        except ToolError as error:
            return str(error)
        return wrong


def _shown(definition: ToolDefinition) -> JsonObject:
    return {
        "tool": definition.name,
        "description": definition.description,
        "arguments": definition.parameters,
    }


def _ranked(query: str, tools: Sequence[McpTool]) -> list[McpTool]:
    """Return the tools that share words with a query, the best first."""
    wanted = set(_WORD.findall(query.lower()))
    scores = [(_score(wanted, one), one) for one in tools]
    return [one for score, one in sorted(scores, key=lambda each: -each[0]) if score > 0]


def _score(wanted: set[str], found: McpTool) -> float:
    name = found.name.lower().replace("_", " ")
    definition = found.definition
    properties = definition.parameters.get("properties")
    rest = f"{definition.description} {' '.join(properties) if properties else ''}".lower()
    words = set(_WORD.findall(rest.replace("_", " ")))
    # Half a word counts in a name: "issue" finds "list_issues".
    return sum(3.0 * (word in name) + (word in words) for word in wanted)
