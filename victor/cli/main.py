"""The command line: which commands there are, and what belongs to which.

The composition root: it knows every command's module and imports one when it is asked for. Knows
nothing about how a command does its work.
"""

from __future__ import annotations

import io
import os
import shlex
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated

import typer

from victor.cli.exits import (
    ExitCode,
    UsageError,
    boundary,
    exit_code,
    print_bug,
    print_error,
    quiet_stdout,
)

if TYPE_CHECKING:
    from victor.cli.compose import Flags

__all__ = ["app", "main"]

_GROUPS = MappingProxyType(
    {
        "models": ("victor.cli.models", "See, download and remove the embedded model."),
        "providers": (
            "victor.cli.providers",
            "List the providers, see how they are, and check one.",
        ),
        "keys": ("victor.cli.keys", "Store, list, test and delete API keys."),
        "permissions": (
            "victor.cli.permissions",
            "Explain what may run without asking; list and revoke rules.",
        ),
        "mcp": ("victor.cli.mcp", "Add, test and approve MCP servers."),
        "drill": ("victor.cli.drill", "Simulate an outage: what would your configuration do?"),
        "doctor": ("victor.cli.doctor", "Check this installation, and say what to do."),
    }
)
_COMMANDS = ("run", "chat", *_GROUPS)
_HELP = MappingProxyType({"help_option_names": ["-h", "--help"]})

app = typer.Typer(
    name="victor",
    help="An agent in the terminal that keeps working when providers don't.",
    epilog="Without a command victor starts a chat. Exit codes: 0 answered, 1 failed, 2 usage, "
    "3 budget spent, 4 not approved, 75 try later, 77 key, 78 configuration, 124 time limit.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=dict(_HELP),
)


class _Mode(StrEnum):
    ASK = "ask"
    ACCEPT_EDITS = "accept-edits"
    PLAN = "plan"
    AUTO = "auto"


class _Output(StrEnum):
    TEXT = "text"
    JSON = "json"


_Provider = Annotated[
    str | None,
    typer.Option("--provider", "-p", metavar="NAME", help="Such as openai, ollama or local."),
]
_Model = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="NAME", help="Instead of the default model."),
]
_BaseUrl = Annotated[
    str | None,
    typer.Option(
        "--base-url", metavar="URL", help="Where the provider is, if not at its usual place."
    ),
]
_ModeOption = Annotated[
    _Mode | None,
    typer.Option(
        "--mode",
        help="ask before edits and commands; accept-edits without asking; plan: only look; "
        "auto: never ask.",
    ),
]
_MaxTurns = Annotated[
    int | None,
    typer.Option("--max-turns", min=1, metavar="NUMBER", help="How often the model may be asked."),
]
_Workspace = Annotated[
    Path | None, typer.Option("--workspace", "-C", metavar="DIR", help="Instead of this directory.")
]
_ExplainRoute = Annotated[
    bool, typer.Option("--explain-route", help="Say whom it would go to, and send nothing.")
]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also show the model's thinking.")]


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", help="Show the version and leave.")
    ] = False,
) -> None:
    if version:
        from victor import __version__

        typer.echo(f"victor {__version__}")
        raise typer.Exit


@app.command("run")
def _run(
    *,
    prompt: Annotated[
        list[str] | None, typer.Argument(metavar="QUESTION", show_default=False)
    ] = None,
    provider: _Provider = None,
    model: _Model = None,
    base_url: _BaseUrl = None,
    mode: _ModeOption = None,
    max_turns: _MaxTurns = None,
    workspace: _Workspace = None,
    output: Annotated[
        _Output, typer.Option("--output", "-o", help="The answer alone, or one JSON object.")
    ] = _Output.TEXT,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0.001, metavar="SECONDS", help="Give up after that long."),
    ] = None,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "--attach",
            "-a",
            metavar="FILE",
            help="An image or a document that goes with the question; may be repeated.",
            show_default=False,
        ),
    ] = None,
    explain_route: _ExplainRoute = False,
    verbose: _Verbose = False,
) -> None:
    """Answer one question; stdout gets the answer alone.

    What is piped in goes with the question: git diff | victor run "review this"
    """
    with boundary():
        from victor.cli.run import run

        flags = _flags(provider, model, base_url, mode, max_turns, workspace)
        code = (
            _explained(flags, as_json=output is _Output.JSON)
            if explain_route
            else run(
                prompt or (),
                flags,
                output=output.value,
                timeout_s=timeout,
                verbose=verbose,
                attach=attach or (),
            )
        )
    raise typer.Exit(code)


@app.command("chat")
def _chat(
    *,
    provider: _Provider = None,
    model: _Model = None,
    base_url: _BaseUrl = None,
    mode: _ModeOption = None,
    max_turns: _MaxTurns = None,
    workspace: _Workspace = None,
    explain_route: _ExplainRoute = False,
    verbose: _Verbose = False,
) -> None:
    """Hold a conversation (what victor does without a command)."""
    with boundary():
        from victor.cli.chat import chat

        flags = _flags(provider, model, base_url, mode, max_turns, workspace)
        code = _explained(flags) if explain_route else chat(flags, verbose=verbose)
    raise typer.Exit(code)


def _explained(flags: Flags, *, as_json: bool = False) -> int:
    from victor.cli.route import explain_route

    return explain_route(flags, as_json=as_json)


def _flags(
    provider: str | None,
    model: str | None,
    base_url: str | None,
    mode: _Mode | None,
    max_turns: int | None,
    workspace: Path | None,
) -> Flags:
    from victor.cli.compose import Flags

    return Flags(
        provider=provider,
        model=model,
        base_url=base_url,
        mode=None if mode is None else mode.value,
        max_turns=max_turns,
        workspace=workspace,
    )


def _add_group(name: str, module: str, about: str) -> None:
    """Add a command that hands its arguments to another module's app, imported only then."""

    @app.command(
        name,
        help=about,
        add_help_option=False,
        context_settings={
            "ignore_unknown_options": True,
            "allow_extra_args": True,
            "allow_interspersed_args": False,
            "help_option_names": [],
        },
    )
    def _forward(context: typer.Context) -> None:
        with boundary():
            group: typer.Typer = import_module(module).app
            code = group(context.args, prog_name=f"victor {name}", standalone_mode=False, **_HELP)
        raise typer.Exit(code if isinstance(code, int) else ExitCode.OK)


for _name, (_module, _about) in _GROUPS.items():
    _add_group(_name, _module, _about)


def main(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Args:
        arguments: without the program's name.
    """
    _make_streams_usable()
    try:
        return _run_app(_with_command(arguments))
    except UsageError as error:
        print_error(error)
        return ExitCode.USAGE
    except BrokenPipeError:
        quiet_stdout()
        return ExitCode.BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last boundary: a person gets no traceback
        print_bug(error)
        return exit_code(error)


def _make_streams_usable() -> None:
    if sys.stdout is None or sys.stderr is None:  # closed by the caller, as with 2>&-
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115 - open as long as the process lives
        sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # not UTF-8? a ? is better than a crash
            stream.reconfigure(errors="replace")


def _run_app(arguments: Sequence[str]) -> int:
    stdout = sys.stdout
    try:
        app(list(arguments), prog_name="victor")
    except SystemExit as end:
        sys.stdout.flush()  # here, where a broken pipe is still quiet
        if sys.stdout is not stdout:  # what typer does about a broken pipe, with exit code 1
            return ExitCode.BROKEN_PIPE
        return end.code if isinstance(end.code, int) else ExitCode.OK
    return ExitCode.OK


def _with_command(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `chat` put before flags that have no command.

    Raises:
        UsageError: they begin with something that is no command.
    """
    first = arguments[0] if arguments else "--"
    if first in _COMMANDS or first in {"-h", "--help", "-V", "--version"}:
        return list(arguments)
    if first.startswith("-"):
        return ["chat", *arguments]
    near = get_close_matches(first, _COMMANDS, n=1)
    if len(arguments) == 1 and near:
        advice = f"victor {near[0]}"
    else:
        advice = f"victor run {shlex.quote(' '.join(arguments))}"
    raise UsageError(f"there is no command {first!r}; did you mean: {advice}")
