"""`victor providers`: what can be asked, which keys are there, and what would be used.

The list sends nothing and asks neither the keyring nor a key command; `status` and `check` have
modules of their own. Knows nothing about how a provider is made.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from victor.cli.exits import boundary

if TYPE_CHECKING:
    from victor.config.choice import Choice
    from victor.config.settings import Settings

__all__ = ["ProviderRow", "app", "current_choice", "provider_rows"]

app = typer.Typer(
    help="Show the providers, their keys, and which one would be used.",
    add_completion=False,
    rich_markup_mode=None,
)


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider as people see it."""

    name: str
    key: str
    """Where its key comes from, that it needs none, or the command that adds one."""
    base_url: str | None
    default_model: str | None
    about: str


_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def providers(context: typer.Context, as_json: _Json = False) -> None:
    """Show the providers, their keys, and which one would be used."""
    if context.invoked_subcommand is not None:
        return
    from victor.config.settings import load_settings
    from victor.errors import UnknownProviderError

    with boundary():
        settings = load_settings()
        rows = provider_rows(settings)
        failure = choice = None
        try:
            choice = current_choice(settings)
        except UnknownProviderError as error:
            failure = error
        if as_json:
            chosen = choice and {
                "provider": choice.provider,
                "model": choice.model,
                "reason": choice.reason,
            }
            table = [asdict(row) for row in rows]
            typer.echo(json.dumps({"version": 1, "chosen": chosen, "providers": table}, indent=2))
        else:
            _print(rows, choice)
        if failure is not None:
            raise failure


@app.command("status")
def _status(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Show it again every second, until Ctrl-C.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Show which endpoints are well, by the calls of the last hour."""
    with boundary():
        from victor.cli.status import show_status

        code = show_status(watch=watch, as_json=as_json)
    raise typer.Exit(code)


@app.command("check")
def _check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as openai, ollama or local.")],
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME", help="Instead of the default model."),
    ] = None,
    base_url: Annotated[
        str | None,
        typer.Option("--base-url", metavar="URL", help="Where it is, if not at its usual place."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Ask a provider a few small questions, to see that it works.

    This costs a few hundred tokens. The exit code is 1 if something failed.
    """
    with boundary():
        from victor.cli.check import check_provider

        code = check_provider(name, model=model, base_url=base_url, as_json=as_json)
    raise typer.Exit(code)


def current_choice(
    settings: Settings, *, provider: str | None = None, model: str | None = None
) -> Choice:
    """Return what would be used.

    Args:
        settings: the user's settings.
        provider: what `--provider` says.
        model: what `--model` says.

    Raises:
        UnknownProviderError: a provider is named that does not exist.
    """
    from victor.config.api_keys import key_hint
    from victor.config.choice import choose_provider
    from victor.providers.registry import list_providers

    return choose_provider(
        flag_provider=provider,
        flag_model=model,
        settings=settings,
        environ=os.environ,
        has_key=lambda vendor: key_hint(vendor.name, settings=settings),
        known=list_providers(),
    )


def provider_rows(settings: Settings) -> list[ProviderRow]:
    """List the embedded model, the vendors, and what packages have registered."""
    from victor.config.api_keys import key_hint
    from victor.config.catalog import DEFAULT_PROVIDER
    from victor.providers.registry import list_providers

    vendors = settings.vendors()
    rows = [
        ProviderRow(
            DEFAULT_PROVIDER, "not needed", None, None, "the embedded model, on this machine"
        )
    ]
    for name, row in vendors.items():
        missing = f"missing: victor keys set {name}" if row.needs_key else "not needed"
        key = key_hint(name, settings=settings) or missing
        rows.append(ProviderRow(name, key, row.base_url, row.default_model, row.about))
    for name in list_providers():
        if name not in vendors and name != DEFAULT_PROVIDER:
            key = key_hint(name, settings=settings) or "not known"
            rows.append(ProviderRow(name, key, None, None, "registered by a package"))
    return rows


def _print(rows: list[ProviderRow], choice: Choice | None) -> None:
    from victor.cli.sanitize import one_line

    width = max(len(row.name) for row in rows)
    for row in rows:
        mark = "*" if choice is not None and row.name == choice.provider else " "
        typer.echo(f"{mark} {one_line(row.name):<{width}}  {one_line(row.key)}")
        details = [row.base_url, row.default_model, row.about]
        typer.echo("      " + "  ".join(one_line(text) for text in details if text))
    if choice is not None:
        typer.echo(f"\nWithout flags victor uses {one_line(choice.reason)}")
