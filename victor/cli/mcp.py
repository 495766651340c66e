"""`victor mcp`: add, look at, approve, log in to and remove the servers that lend tools.

What servers say is shown sanitised. Knows nothing about the protocol.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from victor.cli.exits import ExitCode, UsageError, boundary
from victor.cli.sanitize import one_line

if TYPE_CHECKING:
    from victor.config.mcp_servers import McpServer
    from victor.config.settings import Settings
    from victor.tools.mcp import McpServers
    from victor.tools.mcp_pins import McpDefinition, Pins

__all__ = ["app"]

app = typer.Typer(
    help="Add, test, approve and remove MCP servers: programs that lend the agent tools.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)

_Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The server's name.", show_default=False)
]
_SHOWN = 300


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the servers and what is known of their tools; starts none."""
    with boundary():
        rows = [_row(name, server) for name, server in _settings().mcp.items()]
        if as_json:
            typer.echo(json.dumps({"version": 1, "servers": rows}, indent=2))
        elif not rows:
            typer.echo("There are no MCP servers. Add one: victor mcp add NAME -- COMMAND")
        else:
            for row in rows:
                typer.echo(f"{row['name']:<16} {one_line(row['where'], 60):<40} {row['state']}")


@app.command("add")
def add_command(
    name: _Name,
    command: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="COMMAND", help="The program and its arguments, after --.", show_default=False
        ),
    ] = None,
    *,
    url: Annotated[str | None, typer.Option(help="Instead of a program: its address.")] = None,
    variable: Annotated[
        list[str] | None, typer.Option(help="An environment variable the program gets.")
    ] = None,
    network: Annotated[bool, typer.Option("--network", help="Let the program use it.")] = False,
    no_sandbox: Annotated[
        bool, typer.Option("--no-sandbox", help="Start the program with all your rights.")
    ] = False,
    token_variable: Annotated[
        str | None, typer.Option(help="The environment variable with the token for the address.")
    ] = None,
    oauth: Annotated[bool, typer.Option("--oauth", help="Log in with the browser.")] = False,
    reads: Annotated[
        list[str] | None, typer.Option(help="A pattern of tools that run without asking.")
    ] = None,
) -> None:
    """Add a server to the settings.

    victor mcp add NAME -- COMMAND, or victor mcp add NAME --url ADDRESS
    """
    with boundary():
        given = {
            "command": command,
            "url": url,
            "variables": variable,
            "network": network,
            "token_variable": token_variable,
            "oauth": oauth,
            "reads": reads,
        }
        kept: dict[str, Any] = {key: item for key, item in given.items() if item}
        if no_sandbox:
            kept["sandbox"] = False
        _add(name, kept)
        typer.echo(f"added {name} to {_file()}")
        code = _login(name) if oauth else _test(name)
    raise typer.Exit(code)


@app.command("remove")
def remove_command(name: _Name) -> None:
    """Remove a server, its approvals and its login."""
    with boundary():
        from victor.config.mcp_table import without_server
        from victor.tools.mcp_oauth import TokenFile

        server = _server(name)
        _write(without_server(_content(), name))
        _pins(name, server).forget()
        TokenFile(name, server.url or "").forget()
        typer.echo(f"removed {name}")


@app.command("test")
def test_command(name: _Name) -> None:
    """Connect to a server, and show its tools and what has changed."""
    with boundary():
        code = _test(name)
    raise typer.Exit(code)


@app.command("approve")
def approve_command(
    name: _Name,
    tools: Annotated[
        list[str] | None,
        typer.Argument(metavar="TOOL", help="Which tools; all by default.", show_default=False),
    ] = None,
) -> None:
    """Agree to tools that came or changed; they are shown first."""
    with boundary():
        pins = _pins(name, _server(name))
        _show_changes(pins)
        approved = pins.approve(tools or None)
        typer.echo(f"approved: {', '.join(map(one_line, approved))}" if approved else "no changes")


@app.command("login")
def login_command(name: _Name) -> None:
    """Log in to a server with the browser."""
    with boundary():
        code = _login(name)
    raise typer.Exit(code)


# ---------------------------------------------------------------------- servers


def _test(name: str) -> int:
    from victor.tools.mcp import McpServers

    server = _server(name)
    settings = _settings()

    async def look() -> int:
        servers = McpServers({name: server}, workspace=Path.cwd(), sandbox=settings.sandbox)
        async with servers:
            if name in servers.connections and servers.connections[name].starts == 0:
                await servers.look(name)
            return _report(name, servers)

    return asyncio.run(look())


def _login(name: str) -> int:
    from victor.tools.mcp import McpServers
    from victor.tools.mcp_oauth import TokenFile, login_page

    server = _server(name)
    if not server.oauth or server.url is None:
        raise UsageError(f"{name} has no login: it needs a url, and oauth = true")
    # A registration knows the page of the login it was made for.
    TokenFile(name, server.url).forget()

    async def log_in() -> int:
        async with login_page(_show_address) as page:
            servers = McpServers({name: server}, workspace=Path.cwd(), login=page)
            async with servers:
                if name in servers.connections and servers.connections[name].starts == 0:
                    await servers.look(name)
                return _report(name, servers)

    return asyncio.run(log_in())


def _show_address(address: str) -> None:
    typer.echo(f"Open this address to log in:\n{one_line(address, 4_000)}")
    if typer.get_text_stream("stdout").isatty():
        typer.launch(address)


def _report(name: str, servers: McpServers) -> int:
    if trouble := servers.troubles.get(name):
        typer.echo(f"{name}: {one_line(trouble, 2_000)}", err=True)
        server = _server(name)
        if server.command is not None and server.sandbox:
            typer.echo(
                "next: in the sandbox your home and /tmp look empty, and there is no network. If "
                f"it needs them: victor mcp remove {name}, then add it with --network or "
                "--no-sandbox",
                err=True,
            )
        return ExitCode.FAILED
    pins = servers.pins[name]
    for one in pins.offered:
        typer.echo(f"  {one_line(one.name)}  {one_line(one.description, _SHOWN)}")
    typer.echo(f"{name}: {len(pins.offered)} tools")
    _show_changes(pins)
    if pins.changes:
        typer.echo(f"Withheld until you agree: victor mcp approve {name}")
    return ExitCode.OK


def _show_changes(pins: Pins) -> None:
    for tool, new in pins.changes.items():
        old = pins.agreed.get(tool)
        if new is None:
            typer.echo(f"gone: {one_line(tool)}")
            continue
        typer.echo(f"{'new' if old is None else 'changed'}: {one_line(tool)}")
        if old is not None:
            typer.echo(f"  was: {_told(old)}")
        typer.echo(f"  now: {_told(new)}")


def _told(definition: McpDefinition) -> str:
    parameters = json.dumps(definition.parameters, ensure_ascii=False)
    return one_line(f"{definition.description} {parameters}", 4_000)


def _row(name: str, server: McpServer) -> dict[str, Any]:
    pins = _pins(name, server)
    changed = sorted(tool for tool, new in pins.changes.items() if new is not None)
    if not server.enabled:
        state = "not enabled"
    elif not pins.known:
        state = f"never looked at: victor mcp test {name}"
    else:
        state = f"{len(pins.offered)} tools"
        state += f", {len(changed)} withheld: victor mcp approve {name}" if changed else ""
    return {
        "name": name,
        "where": server.url or " ".join(server.command or ()),
        "state": state,
        "tools": [one.name for one in pins.offered],
        "withheld": changed,
    }


# ---------------------------------------------------------------------- settings


def _settings() -> Settings:
    from victor.config.settings import load_settings

    return load_settings()


def _server(name: str) -> McpServer:
    servers = _settings().mcp
    if name not in servers:
        known = ", ".join(servers) or "none"
        raise UsageError(f"there is no MCP server {name!r}; there are: {known}")
    return servers[name]


def _pins(name: str, server: McpServer) -> Pins:
    from victor.tools.mcp_pins import Pins, identity_of

    return Pins(name, identity_of(server))


def _add(name: str, values: dict[str, Any]) -> None:
    from victor.config.checks import WrongSettingError
    from victor.config.mcp_servers import mcp_server
    from victor.config.mcp_table import with_server

    _settings()  # a file that is wrong already is not made longer
    try:
        mcp_server(f"mcp.{name}", values)
    except WrongSettingError as error:
        raise UsageError(str(error)) from None
    _write(with_server(_content(), name, values))


def _file() -> Path:
    from victor.config.settings import config_path

    return config_path()


def _content() -> str:
    file = _file()
    return file.read_text(encoding="utf-8-sig") if file.exists() else ""


def _write(content: str) -> None:
    from victor.errors import ConfigError

    file = _file().resolve()  # it may be a link into somebody's dotfiles
    new = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(new, flags, mode), "w", encoding="utf-8") as out:
            out.write(content)
        new.replace(file)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigError(f"cannot write the settings file {file}: {error.strerror}") from error
