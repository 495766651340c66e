"""`--explain-route`: whom a request would go to, with which key, and who stands in.

Sends nothing. Knows nothing about how routes are chosen: a failover says so itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import typer

from victor.cli.compose import Flags, Plan, prepare
from victor.cli.exits import ExitCode
from victor.cli.sanitize import one_line
from victor.cli.terminal import person_descriptor
from victor.cli.timeline import seconds
from victor.errors import ConfigError

if TYPE_CHECKING:
    from victor.config.settings import Settings
    from victor.providers.base import BaseProvider
    from victor.providers.routes import RouteState
    from victor.resilience.shared_state import EndpointStatus

__all__ = ["RouteView", "explain_route"]


@dataclass(frozen=True, slots=True)
class RouteView:
    """One route as people see it."""

    provider: str
    model: str | None
    base_url: str | None
    """None for what runs on this machine, or has no address victor knows."""
    key: str
    """The fingerprints of the keys and where they are from, or what there is instead."""
    circuit: str
    """What the calls of this machine found out about the endpoint."""
    usable: bool
    reason: str
    """Why it would be asked, or why not."""


@runtime_checkable
class _Explains(Protocol):
    async def explain(self, model: str | None = None) -> list[RouteState]: ...


def explain_route(flags: Flags, *, as_json: bool = False) -> int:
    """Print where a request would go and return the exit code: 0, or 75 if nobody can be asked now.

    Args:
        flags: of the command line.
        as_json: print JSON.

    Raises:
        ConfigError: something in the settings or the flags cannot be used.
    """
    plan = prepare(flags, note=lambda _: None, confirm=None)
    # What is missing is said in its place, and not twice.
    log = logging.getLogger("victor")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        views = asyncio.run(_views(plan))
    finally:
        log.setLevel(before)
    if as_json:
        typer.echo(json.dumps({"version": 1, "routes": [asdict(one) for one in views]}, indent=2))
    else:
        for number, view in enumerate(views, 1):
            for line in _lines(number, view):
                typer.echo(line)
        if (
            plan.settings.fallback
            and plan.settings.failover == "ask"
            and person_descriptor() is None
        ):
            typer.echo('here is nobody to ask, and failover = "ask": only the first is used')
        typer.echo("nothing was sent")
    return ExitCode.OK if any(view.usable for view in views) else ExitCode.TRY_LATER


async def _views(plan: Plan) -> list[RouteView]:
    from victor.resilience.shared_state import read_status

    settings = plan.settings
    known = {one.name: one for one in read_status()}
    ask = None if person_descriptor() is None else _nobody
    async with plan.provider(ask) as provider:
        if isinstance(provider, _Explains):
            states = await provider.explain(plan.choice.model)
        else:
            states = [await _only(provider, plan)]
    views: list[RouteView] = []
    for state in states:
        base_url = _address(settings, state.provider, None if views else plan.base_url)
        views.append(
            RouteView(
                state.provider,
                state.model,
                base_url,
                _key(settings, state.provider),
                _circuit(_endpoint(known, state.provider, base_url), state.model),
                state.usable,
                _reason(state, plan, views),
            )
        )
    return views


async def _nobody(question: str) -> str | None:
    """Stand in for the person who would be asked; nothing asks while routes are explained."""
    del question
    return None


async def _only(provider: BaseProvider, plan: Plan) -> RouteState:
    from victor.providers.routes import RouteState

    model = plan.choice.model or provider.default_model
    wait_s, circuits = 0.0, provider._guard.circuits
    if circuits is not None:
        await circuits.look(model)
        wait_s = circuits.wait_s(model)
    return RouteState(
        plan.choice.provider,
        model,
        None,
        usable=wait_s == 0,
        reason="its circuit is open" if wait_s else None,
        retry_after_s=wait_s or None,
    )


def _reason(state: RouteState, plan: Plan, before: Sequence[RouteView]) -> str:
    if not state.usable:
        wait = "" if state.retry_after_s is None else f" (for {seconds(state.retry_after_s)} yet)"
        return f"not asked: {state.reason}{wait}"
    lost = f"; {'; '.join(state.notes)}" if state.notes else ""
    if not before:
        return f"asked first ({plan.choice.why}){lost}"
    if not any(one.usable for one in before):
        return f"asked first, as nobody above can be{lost}"
    asking = "; you are asked before" if plan.settings.failover == "ask" else ""
    return f"asked if nobody above answers{asking}{lost}"


def _address(settings: Settings, name: str, given: str | None) -> str | None:
    row = settings.vendors().get(name)
    if row is None:
        return given
    from victor.config.api_keys import key_hint
    from victor.providers.endpoint import base_url_for

    try:
        return base_url_for(row, given, has_key=key_hint(name, settings=settings) is not None)
    except ConfigError:
        return None  # why it cannot be asked is said elsewhere


def _key(settings: Settings, name: str) -> str:
    from victor.config.api_keys import find_api_keys, fingerprint, key_hint

    row = settings.vendors().get(name)
    if row is None:  # the embedded model, or a provider that sees to it by itself
        return key_hint(name, settings=settings) or "none needed"
    found = find_api_keys(name, settings=settings)
    if found:
        return ", ".join(f"{fingerprint(each.value)} from {each.source}" for each in found)
    return f"missing: victor keys set {name}" if row.needs_key else "none needed"


def _endpoint(
    known: Mapping[str, EndpointStatus], name: str, base_url: str | None
) -> EndpointStatus | None:
    if base_url is not None:
        return known.get(f"{name} at {base_url.rstrip('/')}")
    return next((one for where, one in known.items() if where.split()[0] == name), None)


def _circuit(endpoint: EndpointStatus | None, model: str | None) -> str:
    if endpoint is None:
        return "closed; no call in the last hour"
    part = next((one for one in endpoint.parts if one.name == model), endpoint)
    worst = part if part.state != "closed" else endpoint
    wait = f", next try in {seconds(worst.retry_at_s)}" if worst.retry_at_s else ""
    rate = "" if endpoint.success_rate is None else f", {endpoint.success_rate:.0%} of them well"
    return f"{worst.state}{wait}; {endpoint.calls} calls in the last hour{rate}"


def _lines(number: int, view: RouteView) -> list[str]:
    name = one_line(f"{view.provider}/{view.model}" if view.model else view.provider)
    return [
        f"{number}. {name}: {one_line(view.reason)}",
        f"   address  {one_line(view.base_url or 'none: on this machine, or not known')}",
        f"   key      {one_line(view.key)}",
        f"   circuit  {one_line(view.circuit)}",
    ]
