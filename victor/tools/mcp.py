"""The tools that servers of the Model Context Protocol lend an agent.

A server that was listed before is only started by the first call of one of its tools; until then
its tools are those the user agreed to. One that fails costs its own tools and nothing else. Needs
the extra `mcp`. Knows nothing about models or permissions.
Spec: https://modelcontextprotocol.io/specification
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from victor.config.mcp_servers import McpServer
from victor.config.settings import SandboxMode
from victor.errors import ConfigError, MissingDependencyError, VictorError
from victor.tools.base import Tool
from victor.tools.mcp_connection import McpConnection, Transport
from victor.tools.mcp_http import HttpTransport
from victor.tools.mcp_oauth import Login
from victor.tools.mcp_pins import Pins, identity_of
from victor.tools.mcp_stdio import StdioTransport
from victor.tools.mcp_tools import McpTool, search_tools, tool_names

__all__ = ["McpServers", "check_installed"]

_MOST_OFFERED = 40
"""More tools than that are found by searching …"""
_MOST_CHARACTERS = 40_000
"""… and so are those whose definitions together are longer, some 10,000 tokens."""


def check_installed() -> None:
    """Make sure that the extra is there.

    Raises:
        MissingDependencyError: it is not; the message names the command.
    """
    if find_spec("mcp") is None or find_spec("mcp_types") is None:
        raise MissingDependencyError(
            "MCP servers need the package mcp, version 2 or later: pip install 'victor[mcp]'"
        )


class McpServers:
    """The servers of one agent: enter it, hand its `tools` to the agent, leave it in the end.

    Args:
        servers: from the settings, by name; those that are not enabled are passed over.
        workspace: where programs are started; they may change it.
        sandbox: as the setting.
        state: where approvals are kept instead of the state directory.
        login: how a person logs in with the browser; None: only logins made before count.
        most_offered: more tools than that are found by searching.

    Raises:
        MissingDependencyError: there are servers, and the extra `mcp` is not installed.
    """

    def __init__(
        self,
        servers: Mapping[str, McpServer],
        *,
        workspace: Path,
        sandbox: SandboxMode = "auto",
        state: Path | None = None,
        login: Login | None = None,
        most_offered: int = _MOST_OFFERED,
    ) -> None:
        self._servers = {name: one for name, one in servers.items() if one.enabled}
        self._workspace = workspace
        self._sandbox: SandboxMode = sandbox
        self._state = state
        self._login = login
        self._most_offered = most_offered
        self.connections: dict[str, McpConnection] = {}
        self.pins: dict[str, Pins] = {}
        self.troubles: dict[str, str] = {}
        """Why servers have no tools now, by name."""
        if self._servers:
            check_installed()

    async def __aenter__(self) -> Self:
        """Connect to the servers nothing is known of; those that fail are among the troubles."""
        for name, server in self._servers.items():
            try:
                self.pins[name] = Pins(name, identity_of(server), folder=self._state)
            except ConfigError as error:
                self.troubles[name] = str(error)
                continue
            self.connections[name] = McpConnection(
                name,
                self._transport(name, server),
                timeout_s=server.timeout,
                listed=self.pins[name].see,
            )
        try:
            new = [name for name, pins in self.pins.items() if not pins.known]
            await asyncio.gather(*(self.look(name) for name in new))
        except BaseException:
            await self.aclose()
            raise
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End all connections."""
        await asyncio.gather(*(one.aclose() for one in self.connections.values()))

    async def look(self, name: str) -> None:
        """Connect to a server and see what tools it has now; a failure is among the troubles."""
        self.troubles.pop(name, None)
        try:
            await self.connections[name].tools()
        except VictorError as error:
            self.troubles[name] = str(error)

    @property
    def withheld(self) -> dict[str, list[str]]:
        """The tools that changed or came since the user agreed, by server."""
        return {
            name: sorted(tool for tool, new in pins.changes.items() if new is not None)
            for name, pins in self.pins.items()
            if any(new is not None for new in pins.changes.values())
        }

    @property
    def notes(self) -> list[str]:
        """What a person should know before the first question."""
        return [f"MCP server {name}: {text}" for name, text in self.troubles.items()] + [
            f"MCP server {name}: withheld until approved with `victor mcp approve {name}`: "
            f"{', '.join(tools)}"
            for name, tools in self.withheld.items()
        ]

    @property
    def tools(self) -> list[Tool]:
        """The tools the model may have; two that find and call where there are many."""
        found = [tool for name in self.pins for tool in self._tools_of(name)]
        length = sum(len(json.dumps(one.definition.parameters)) for one in found)
        length += sum(len(one.description) for one in found)
        if len(found) > self._most_offered or length > _MOST_CHARACTERS:
            return search_tools(found)
        return list(found)

    def _tools_of(self, name: str) -> list[McpTool]:
        pins = self.pins[name]
        names = tool_names(name, pins.agreed)
        return [
            McpTool(
                names[one.name],
                one,
                server=self._servers[name],
                connection=self.connections[name],
                pins=pins,
            )
            for one in pins.offered
        ]

    def _transport(self, name: str, server: McpServer) -> Transport:
        if server.command is not None:
            return StdioTransport(server, self._workspace, sandbox=self._sandbox)
        return HttpTransport(name, server, login=self._login)
