"""`victor permissions`: what may run without asking, why, and what was allowed for good.

Runs nothing and asks no model. Knows nothing about how a decision is made.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from victor.cli.exits import ExitCode, UsageError, boundary
from victor.cli.sanitize import one_line, reveal

if TYPE_CHECKING:
    from victor.agent.grants import Grants
    from victor.agent.rules import Rules
    from victor.agent.verdicts import Decision, Verdict
    from victor.config.settings import Mode

__all__ = ["app"]

app = typer.Typer(
    help="Explain what may run without asking; list and revoke rules.",
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Workspace = Annotated[
    Path | None, typer.Option("--workspace", "-C", metavar="DIR", help="Instead of this directory.")
]
_ModeName = Annotated[
    str | None,
    typer.Option("--mode", metavar="MODE", help="ask, accept-edits, plan or auto; else as set."),
]

_DECISIONS = {"allow": "allowed", "ask": "asked about", "deny": "refused"}


@app.command("list")
def _list(*, workspace: _Workspace = None, as_json: _Json = False) -> None:
    """Show the settings' rules, and what was allowed for good here."""
    with boundary():
        rules, grants, mode = _in_force(workspace, None)
        stored = grants.list()
        if as_json:
            written = [{"action": rule.action, "rule": rule.text} for rule in rules.all]
            allowed = [asdict(grant) for grant in stored]
            _print_json({"mode": mode, "rules": written, "allowed": allowed})
            return
        typer.echo(f"mode {mode}")
        for rule in rules.all:
            typer.echo(f"{rule.action:<5}  {reveal(rule.text)}")
        if not rules.all:
            typer.echo("no rules in the settings ([permissions] allow, ask, deny)")
        typer.echo(f"\nallowed for good in {reveal(grants.workspace)}:")
        for grant in stored:
            typer.echo(f"{grant.id}  {grant.granted[:10]}  {reveal(grant.rule)}")
        typer.echo(
            "next: victor permissions revoke ID" if stored else "nothing; [a]lways adds to it"
        )


@app.command("explain")
def _explain(
    words: Annotated[list[str], typer.Argument(metavar="COMMAND", help="In quotes.")],
    *,
    mode: _ModeName = None,
    workspace: _Workspace = None,
    as_json: _Json = False,
) -> None:
    """Say what would be decided about a shell command, and why.

    Nothing is run. Exit code: 0 allowed, 1 asked about, 4 refused.
    """
    with boundary():
        from victor.agent.permissions import Permissions

        # Words that the shell has split already are quoted again, as each was one.
        command = words[0] if len(words) == 1 else shlex.join(words)
        if not command.strip():
            raise UsageError('say which command, as in: victor permissions explain "git push"')
        rules, grants, chosen = _in_force(workspace, mode)
        permissions = Permissions(Path(grants.workspace), rules, grants)
        verdict = permissions.command(command, chosen)
        if as_json:
            _print_json({"command": command, "mode": chosen, **asdict(verdict)})
        else:
            _print_verdict(verdict, chosen)
    raise typer.Exit(_code(verdict.decision))


@app.command("revoke")
def _revoke(
    id: Annotated[str, typer.Argument(metavar="ID", help="As listed; its beginning is enough.")],  # noqa: A002 - it is called so
    *,
    workspace: _Workspace = None,
) -> None:
    """Take back what was allowed for good in this project."""
    with boundary():
        from victor.agent.grants import Grants

        grant = Grants(_directory(workspace)).revoke(id)
        typer.echo(f"revoked: {reveal(grant.rule)}")


@app.command("test")
def _test() -> None:
    """Read the rules of the settings and try their examples."""
    with boundary():
        from victor.agent.rules import load_rules
        from victor.config.settings import load_settings

        settings = load_settings()
        rules = load_rules(settings.permissions, settings.path)
        typer.echo(f"{len(rules.all)} rules, {rules.examples} examples: all as they should be")


def _in_force(workspace: Path | None, mode: str | None) -> tuple[Rules, Grants, Mode]:
    from victor.agent.grants import Grants
    from victor.agent.rules import load_rules
    from victor.config.settings import load_settings

    settings = load_settings()
    rules = load_rules(settings.permissions, settings.path)
    return rules, Grants(_directory(workspace)), _mode(mode) or settings.mode


def _mode(name: str | None) -> Mode | None:
    match name:
        case None | "ask" | "accept-edits" | "plan" | "auto":
            return name
        case _:
            raise UsageError(f"there is no mode {name!r}: use one of ask, accept-edits, plan, auto")


def _directory(given: Path | None) -> Path:
    path = (given or Path.cwd()).expanduser()
    if not path.is_dir():
        raise UsageError(f"--workspace {path} is not a directory")
    return path.resolve()


def _print_verdict(verdict: Verdict, mode: Mode) -> None:
    for part in verdict.parts:
        typer.echo(
            f"{part.decision:<5}  {one_line(part.text, 200)}\n       {one_line(part.why, 300)}"
        )
    typer.echo(f"\n{_DECISIONS[verdict.decision]} in {mode} mode: {one_line(verdict.why, 300)}")
    if verdict.decision == "ask" and verdict.offer:
        typer.echo(f"always would store: {reveal(verdict.offer)}")


def _print_json(found: dict[str, object]) -> None:
    typer.echo(json.dumps({"version": 1, **found}, indent=2))


def _code(decision: Decision) -> int:
    match decision:
        case "allow":
            return ExitCode.OK
        case "ask":
            return ExitCode.FAILED
        case "deny":
            return ExitCode.REFUSED
