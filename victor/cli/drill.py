"""`victor drill "anthropic: 529 for 2m"`: what this configuration would do while providers fail.

Settings and flags become the routes of a simulation (`victor.testing.drill`); nothing is sent,
and keys are only counted. Knows nothing about how a drill is played or how its timeline is laid
out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from victor.cli.exits import ExitCode, UsageError, boundary
from victor.cli.sanitize import one_line, sanitize_terminal
from victor.errors import ConfigError

if TYPE_CHECKING:
    from victor.config.settings import Settings
    from victor.providers.base import BaseProvider
    from victor.testing.drill import DrillReport
    from victor.testing.scenario import Scenario, ScenarioError
    from victor.testing.simulated import Target

__all__ = ["app", "drill_targets"]

app = typer.Typer(
    help="Simulate an outage: what would your configuration do?",
    add_completion=False,
    rich_markup_mode=None,
)

_EXAMPLE = 'victor drill "anthropic: 529 for 2m, then stall 30s"'
_HOW = "--provider NAME and --fallback NAME choose routes, --every and --for how many requests"
# What the embedded provider has instead of the defaults of others.
_LOCAL_TIMEOUT_S, _LOCAL_RETRIES = 300.0, 2


@app.command(epilog="The language of scenarios is described in docs/reference/drills.md.")
def drill(
    scenario: Annotated[
        str,
        typer.Argument(
            metavar="SCENARIO",
            show_default=False,
            help='Such as "anthropic: 529 for 2m, then stall 30s; openai: refuse".',
        ),
    ] = "",
    *,
    every: Annotated[
        str, typer.Option("--every", metavar="DURATION", help="From request to request.")
    ] = "5s",
    length: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How long requests are made.")
    ] = "5m",
    provider: Annotated[
        str | None, typer.Option("--provider", "-p", metavar="NAME", help="As in victor run.")
    ] = None,
    model: Annotated[
        str | None, typer.Option("--model", "-m", metavar="NAME", help="As in victor run.")
    ] = None,
    fallback: Annotated[
        list[str] | None,
        typer.Option(
            "--fallback",
            metavar="ROUTE",
            help="Such as openai or openai/gpt-5-mini, in place of the settings'; may be repeated.",
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", help="Other dice for the waits.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate an outage in virtual time, and show what your configuration would do.

    Nothing is sent. The exit code is 1 if some request would get no answer.
    """
    with boundary():
        from victor.cli.providers import current_choice
        from victor.config.settings import load_settings
        from victor.testing import drill as drills

        parsed = _parsed(scenario)
        every_s, for_s = _duration("--every", every), _duration("--for", length)
        settings = load_settings()
        choice = current_choice(settings, provider=provider, model=model)
        targets = drill_targets(settings, choice.provider, choice.model, fallback)
        targets = [_with_keys(target, parsed, settings) for target in targets]
        try:
            report = drills.drill(
                parsed,
                targets,
                every_s=every_s,
                for_s=for_s,
                seed=seed,
                policy=settings.failover if fallback is None else "auto",
                quality_floor=settings.quality_floor if fallback is None else None,
                ask=_as_run,
            )
        except ConfigError as error:
            raise UsageError(f"{error} ({_HOW})") from None
        if as_json:
            typer.echo(json.dumps(_document(parsed, targets, report), indent=2))
        else:
            _print(parsed, targets, report)
    raise typer.Exit(ExitCode.OK if report.answered == len(report.requests) else ExitCode.FAILED)


def drill_targets(
    settings: Settings, provider: str, model: str | None, fallback: Sequence[str] | None = None
) -> list[Target]:
    """Return whom requests would go to, in order.

    Args:
        settings: the user's.
        provider: the one in use.
        model: the one in use; None is the provider's default.
        fallback: routes instead of the settings' own.

    Raises:
        UnknownProviderError: a route names a provider that does not exist.
    """
    from victor.config.catalog import DEFAULT_PROVIDER
    from victor.config.fallbacks import Fallback
    from victor.providers.routes import as_route

    found = [_target(settings, provider, model, None)]
    others: Sequence[Fallback] = settings.fallback
    if fallback is not None:
        others = [Fallback(route) for route in fallback]
    elif provider == DEFAULT_PROVIDER:
        others = []  # what was meant for this machine stays on it
    for text, quality in others:
        route = as_route(text)
        found.append(_target(settings, str(route.provider), route.model, quality))
    return found


def _target(settings: Settings, name: str, model: str | None, quality: int | None) -> Target:
    from victor.config.catalog import DEFAULT_PROVIDER
    from victor.config.model_capabilities import ModelData, model_data
    from victor.config.settings import ProviderSettings
    from victor.errors import UnknownProviderError
    from victor.local.weights import DEFAULT_WEIGHTS
    from victor.providers.registry import list_providers
    from victor.testing.simulated import Target

    if name not in list_providers():
        raise UnknownProviderError(f"no provider is called {name!r}: see `victor providers`.")
    local = name == DEFAULT_PROVIDER
    row = settings.vendors().get(name)
    own = settings.providers.get(name, ProviderSettings())
    model = (
        model or (row.default_model if row else None) or (DEFAULT_WEIGHTS if local else "default")
    )
    timeout, retries = (_LOCAL_TIMEOUT_S, _LOCAL_RETRIES) if local else (60.0, 3)
    return Target(
        provider=name,
        model=model,
        base_url=row.base_url if row else None,
        timeout=timeout if own.timeout is None else own.timeout,
        max_retries=retries if own.max_retries is None else own.max_retries,
        quality=quality,
        data=ModelData(input_price=0.0, output_price=0.0)
        if local
        else model_data(name, model, settings.model_rows()),
    )


def _with_keys(target: Target, scenario: Scenario, settings: Settings) -> Target:
    """Count the provider's keys, if the scenario takes one away; otherwise none is looked for."""
    if target.provider not in settings.vendors() or not scenario.revokes(target.provider):
        return target
    from victor.config.api_keys import find_api_keys

    return replace(target, keys=max(1, len(find_api_keys(target.provider, settings=settings))))


async def _as_run(provider: BaseProvider) -> None:
    """Ask as `victor run` does: an answer that breaks off is asked for once more."""
    from victor.agent.agent import Agent

    async for _ in Agent(provider).stream("drill"):
        pass


def _parsed(text: str) -> Scenario:
    from victor.testing.scenario import ScenarioError, parse_scenario

    if not text.strip():
        raise UsageError(f"there is no scenario: {_EXAMPLE}")
    try:
        return parse_scenario(text)
    except ScenarioError as error:
        _point_at(error)
        raise UsageError(f"the scenario, {error}") from None


def _point_at(error: ScenarioError) -> None:
    """Write the text to stderr with a mark under the place, where both fit on a line."""
    width = 100
    if error.text.isprintable() and len(error.text) <= width:
        sys.stderr.write(f"  {error.text}\n  {' ' * (error.column - 1)}^\n")


def _duration(option: str, text: str) -> float:
    from victor.testing.scenario import ScenarioError, parse_duration

    try:
        return parse_duration(text)
    except ScenarioError as error:
        raise UsageError(f"{option} {one_line(text)}: {error}") from None


def _document(
    scenario: Scenario, targets: Sequence[Target], report: DrillReport
) -> dict[str, object]:
    return {
        "version": 1,
        "scenario": str(scenario),
        "routes": [target.label for target in targets],
        "requests": [asdict(request) for request in report.requests],
        "events": [asdict(event) for event in report.events],
        "answered": report.answered,
        "cost": report.cost,
    }


def _print(scenario: Scenario, targets: Sequence[Target], report: DrillReport) -> None:
    from victor.cli.terminal import colour_wanted
    from victor.cli.timeline import summary_lines, timeline_lines

    typer.echo(f"drill: {sanitize_terminal(str(scenario))}")
    for number, target in enumerate(targets, 1):
        limits = f"{target.max_retries} retries, {target.timeout:g} s timeout"
        typer.echo(f"route {number}: {one_line(target.label)} ({limits})")
    typer.echo()
    for line in timeline_lines(report, colour=colour_wanted(sys.stdout)):
        typer.echo(line)
    typer.echo()
    for line in summary_lines(report):
        typer.echo(line)
    if report.answered < len(report.requests) and len(targets) == 1:
        typer.echo(
            "next: see what a fallback would do with --fallback PROVIDER; to have one, set "
            'fallback = ["PROVIDER"] in the settings'
        )
