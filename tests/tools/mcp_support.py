"""What the tests of MCP share: servers to start, and a way to call their tools."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from victor.config.mcp_servers import McpServer
from victor.tools.base import ToolContext, ToolResult
from victor.tools.mcp import McpServers

REAL = Path(__file__).with_name("mcp_server.py")
OLD = Path(__file__).with_name("mcp_old_server.py")

WHY = "needs the package mcp: pip install 'victor[mcp]'"


def program(script: Path, *arguments: str, **settings: Any) -> McpServer:
    """Return a server that is started by its first call, outside the sandbox."""
    given = {"sandbox": False, "timeout": 20.0, **settings}
    return McpServer(command=(sys.executable, str(script), *arguments), **given)


def servers(workspace: Path, **given: McpServer) -> McpServers:
    return McpServers(given, workspace=workspace, state=workspace.parent / "mcp")


async def call(opened: McpServers, name: str, context: ToolContext, **arguments: Any) -> ToolResult:
    by_name = {one.name: one for one in opened.tools}
    return await by_name[name].run(arguments, context)


async def until(condition: Callable[[], object], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - nothing else tells
            await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def listening(port: int, *argv: str, environ: Mapping[str, str]) -> Iterator[None]:
    """Run a server until the block ends; it is killed, and says no goodbye."""
    process = subprocess.Popen([sys.executable, *argv], env={**environ})
    try:
        end = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            assert time.monotonic() < end, "the server did not come up"
            time.sleep(0.02)
        yield
    finally:
        process.kill()
        process.wait()
