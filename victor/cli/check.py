"""`victor providers check NAME`: a few small requests that show whether a provider really works.

The checks are `victor.testing.conformance`'s; here are the key, the lines on the screen and the
next steps. This costs a few hundred tokens. Knows nothing about what a provider has to do.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import typer

from victor.cli.exits import ExitCode, next_step
from victor.cli.render import Colour, paint
from victor.cli.sanitize import one_line
from victor.cli.terminal import colour_wanted, run_to_signal

if TYPE_CHECKING:
    from victor.config.settings import Settings
    from victor.testing.conformance import Check, Status

__all__ = ["check_provider"]

_COLOURS: Mapping[Status, Colour] = MappingProxyType(
    {"ok": "green", "failed": "red", "skipped": "dim"}
)


@dataclass(slots=True)
class _Screen:
    """Shows each check when it is over."""

    as_json: bool
    colour: bool
    rows: list[dict[str, object]] = field(default_factory=list)

    def show(self, check: Check) -> None:
        step = None if check.error is None else next_step(check.error)
        self.rows.append(
            {
                "name": check.name,
                "status": check.status,
                "seconds": round(check.seconds, 3),
                "detail": check.detail,
                "next": step,
            }
        )
        if self.as_json:
            return
        status = paint(f"{check.status:<7}", _COLOURS[check.status], on=self.colour)
        detail = one_line(check.detail)
        typer.echo(f"{status}  {check.name:<11}  {check.seconds:6.2f} s  {detail}")
        if step is not None and step not in detail:
            typer.echo(f"{'':<32}next: {one_line(step)}")


def check_provider(
    name: str, *, model: str | None, base_url: str | None = None, as_json: bool = False
) -> int:
    """Check a provider and return the exit code: 0 if nothing failed, else 1.

    Args:
        name: of the provider.
        model: to be asked; None is the provider's own choice.
        base_url: where it is, if not at its usual place.
        as_json: print one JSON object at the end instead of a line for each check.

    Raises:
        ConfigError: there is no such provider, it cannot be made, or no model is known.
    """
    from victor.config.settings import load_settings

    name = name.strip().lower()
    screen = _Screen(as_json, colour_wanted(sys.stdout))
    place = {} if base_url is None else {"base_url": base_url}
    return run_to_signal(_checked(name, model, place, load_settings(), screen))


async def _checked(
    name: str,
    model: str | None,
    place: Mapping[str, str],
    settings: Settings,
    screen: _Screen,
) -> int:
    from victor.providers.registry import create_provider, list_providers
    from victor.testing import conformance

    if name not in list_providers():
        create_provider(name)  # says it best
    key = await asyncio.to_thread(_key, name, settings)
    screen.show(key)
    if key.status != "failed":  # without a key there is nothing to learn
        async with create_provider(name, max_retries=1, **place) as provider:
            report = await conformance.run(provider, model=model, on_check=screen.show)
        model = report.model
    failed = any(row["status"] == "failed" for row in screen.rows)
    if screen.as_json:
        found = {"provider": name, "model": model, "ok": not failed, "checks": screen.rows}
        typer.echo(json.dumps({"version": 1, **found}, indent=2))
    return ExitCode.FAILED if failed else ExitCode.OK


def _key(name: str, settings: Settings) -> Check:
    from victor.config.api_keys import find_api_keys, fingerprint, missing_key_message
    from victor.errors import ProviderAuthError
    from victor.testing.conformance import Check

    row = settings.vendors().get(name)
    if row is None:
        return Check("key", "skipped", "not known here: the provider sees to it by itself")
    found = find_api_keys(name, settings=settings)
    if found:
        keys = (f"{fingerprint(each.value)} from {each.source}" for each in found)
        return Check("key", "ok", ", ".join(keys))
    if not row.needs_key:
        return Check("key", "skipped", "none, and none is needed")
    missing = ProviderAuthError(missing_key_message(name, settings=settings), provider=name)
    return Check("key", "failed", str(missing), error=missing)
