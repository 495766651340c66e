"""The setting `mcp`: which servers of the Model Context Protocol lend the agent their tools.

For example:

    [mcp.files]
    command = ["mcp-files", "--root", "docs"]

    [mcp.tickets]
    url = "https://tickets.example/mcp"
    oauth = true

Only the user's own file counts, as for all settings: a repository cannot start a program this way.
Knows nothing about the protocol (https://modelcontextprotocol.io/specification).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from victor.config.checks import (
    Check,
    WrongSettingError,
    checked,
    flag,
    seconds,
    table,
    text,
    texts,
    url,
    words,
)

__all__ = ["McpServer", "mcp_server", "mcp_servers"]

# It begins the names of the server's tools, which have 64 characters at most.
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class McpServer:
    """One `[mcp.NAME]` table. Either `command` or `url` is set."""

    command: tuple[str, ...] | None = None
    """The program that is started and spoken to over its stdin and stdout; no shell."""
    url: str | None = None
    """Where a running server listens, with the streamable HTTP transport."""
    variables: tuple[str, ...] = ()
    """Names of environment variables that the program gets beside the harmless ones."""
    network: bool = False
    """Whether the sandbox lets the program use the network."""
    sandbox: bool = True
    """False starts the program with all the user's rights."""
    token_variable: str | None = None
    """The environment variable with the token that is sent to the `url`."""
    oauth: bool = False
    """Whether the `url` wants a login with the browser: `victor mcp login NAME`."""
    reads: tuple[str, ...] = ()
    """Patterns of tools that only look, such as `"get_*"`: those run without asking."""
    timeout: float = 60.0
    """Seconds that one call may take."""
    enabled: bool = True


_SERVER: Mapping[str, Check] = MappingProxyType(
    {
        "command": texts,
        "url": url,
        "variables": words,
        "network": flag,
        "sandbox": flag,
        "token_variable": text,
        "oauth": flag,
        "reads": words,
        "timeout": seconds,
        "enabled": flag,
    }
)
_OF_COMMAND = ("variables", "network", "sandbox")
_OF_URL = ("token_variable", "oauth")


def mcp_servers(name: str, value: Any) -> Mapping[str, McpServer]:
    """Accept a table from servers' names to their tables."""
    return MappingProxyType(
        {key: mcp_server(f"{name}.{key}", item) for key, item in table(name, value).items()}
    )


def mcp_server(name: str, value: Any) -> McpServer:
    """Accept one server; the last part of `name` is the server's."""
    own = name.rpartition(".")[2]
    if not _NAME.fullmatch(own):
        raise WrongSettingError(
            f"{name}: {own!r} cannot be a server's name: use up to 32 of a-z, 0-9 and '-', "
            "beginning with a letter"
        )
    found = checked(table(name, value), _SERVER, name)
    if ("command" in found) == ("url" in found):
        raise WrongSettingError(
            f'{name}: needs either a command, as in command = ["mcp-files"], or a url'
        )
    kind, strangers = ("command", _OF_URL) if "command" in found else ("url", _OF_COMMAND)
    if wrong := [key for key in strangers if key in found]:
        raise WrongSettingError(f"{name}.{wrong[0]}: means nothing for a server with a {kind}")
    if found.get("oauth") and "token_variable" in found:
        raise WrongSettingError(f"{name}: has either oauth or a token_variable")
    return McpServer(**found)
