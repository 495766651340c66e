"""The setting `fallback`: who may answer where the chosen provider cannot. Knows no provider."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from victor.config.checks import Check, WrongSettingError, checked, integer, table, text

__all__ = ["Fallback", "fallbacks"]


class Fallback(NamedTuple):
    """One entry: `"openai/gpt-5-mini"`, or `{ route = "openai/gpt-5-mini", quality = 3 }`."""

    route: str
    """`provider/model`, or `provider` for its default model."""
    quality: int | None = None
    """On the user's own scale; compared with the setting `quality_floor`."""


_FALLBACK: Mapping[str, Check] = MappingProxyType({"route": text, "quality": integer(0)})


def fallbacks(name: str, value: Any) -> tuple[Fallback, ...]:
    """Accept a list of routes."""
    if not isinstance(value, list):
        raise WrongSettingError(f'{name}: expected a list of routes, as in ["openai/gpt-5-mini"]')
    return tuple(_fallback(f"{name}[{index}]", item) for index, item in enumerate(value))


def _fallback(name: str, value: Any) -> Fallback:
    if isinstance(value, str):
        return Fallback(text(name, value))
    found = checked(table(name, value), _FALLBACK, name)
    if "route" not in found:
        raise WrongSettingError(f'{name}: needs a route, as in route = "openai/gpt-5-mini"')
    return Fallback(**found)
