"""The routes of a failover, as values: who may be asked, who would be, which failures move on.

Knows error types and names. Calls nothing and keeps nothing; `legs.py` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

from victor.errors import (
    CircuitOpenError,
    ConfigError,
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from victor.providers.base import BaseProvider
from victor.resilience.votes import Vote, judge

__all__ = [
    "Route",
    "RouteLike",
    "RouteState",
    "Rule",
    "as_route",
    "keeps_away",
    "label_of",
    "rule_for",
]


@dataclass(frozen=True, slots=True)
class Route:
    """A provider and a model that may answer."""

    provider: BaseProvider | str
    """The provider, or the name of one, which is made when it is first needed."""
    model: str | None = None
    """None: the provider's own default; for the first route, the one that a call asks for."""
    quality: int | None = None
    """How good its answers are, on a scale of your own; compared with `quality_floor`."""


RouteLike: TypeAlias = (
    "Route | BaseProvider | str | tuple[BaseProvider | str, str | None] "
    "| tuple[BaseProvider | str, str | None, int | None]"
)
"""A route, a provider, `"provider/model"`, `"provider"`, or a tuple of a route's fields."""


@dataclass(frozen=True, slots=True)
class RouteState:
    """What would become of one route if a call were made now."""

    provider: str
    model: str | None
    """None where nobody has named one yet."""
    quality: int | None
    usable: bool
    """Whether it would be asked, were it its turn; the first usable route is asked first."""
    reason: str | None = None
    """One line: why it would not be."""
    retry_after_s: float | None = None
    """Seconds until the reason passes by itself; None where it does not."""
    notes: tuple[str, ...] = ()
    """What of the conversation it would not get as it is."""

    @property
    def label(self) -> str:
        """Provider and model, as `provider/model`."""
        return label_of(self.provider, self.model)


def label_of(provider: str, model: str | None) -> str:
    """Return a route's name for people."""
    return f"{provider}/{model}" if model else provider


def as_route(route: RouteLike) -> Route:
    """Read what may stand for a route.

    Raises:
        ConfigError: it is none of the forms of `RouteLike`; the message has an example.
    """
    match route:
        case Route():
            return route
        case BaseProvider():
            return Route(route)
        case str():
            # The first slash only: models of gateways have slashes of their own.
            name, slash, model = route.strip().partition("/")
            if name and bool(model) == bool(slash):
                return Route(name, model or None)
        case (BaseProvider() | str(), *_) if 2 <= len(route) <= 3:
            return Route(*route)
    raise ConfigError(
        f"a route is a provider, a name such as 'openai' or 'openai/gpt-5-mini', or a pair of "
        f"provider and model, not {route!r}"
    )


class Rule(StrEnum):
    """What follows when a route fails."""

    NEXT = "next"
    """The next route is asked."""
    LARGER = "larger"
    """Only a route whose window is known to be larger."""
    REFUSAL = "refusal"
    """The next one, if the user wants that for refusals."""
    STAY = "stay"
    """Nobody else: the request is wrong, or victor is."""


_RULES: Final[tuple[tuple[type[Exception], Rule], ...]] = (
    (ContextWindowExceededError, Rule.LARGER),
    (ModelNotFoundError, Rule.NEXT),
    (ProviderInvalidRequestError, Rule.STAY),
    (ContentFilterError, Rule.REFUSAL),
    (ProviderAuthError, Rule.NEXT),
    (ProviderQuotaError, Rule.NEXT),
    (ProviderRateLimitError, Rule.NEXT),
    (ProviderConnectionError, Rule.NEXT),
    (ProviderInvalidResponseError, Rule.NEXT),
    (ProviderServerError, Rule.NEXT),
    (ProviderTimeoutError, Rule.NEXT),
    (StreamInterruptedError, Rule.NEXT),
    (CircuitOpenError, Rule.NEXT),
    (ConfigError, Rule.NEXT),  # of that one provider: its weights, its extra, its address
)
"""The first type that fits decides. What fits none is judged by its evidence."""

_OF_KEY: Final[Mapping[int, Rule]] = MappingProxyType(dict.fromkeys((401, 402, 403), Rule.NEXT))


def rule_for(error: Exception) -> Rule:
    """Say what follows when a route failed with this.

    Exceptions that are none of ours, and plain `ProviderError`s, are judged by what the guard
    makes of them: what speaks against the endpoint moves on, our own bugs never do.
    """
    for kind, rule in _RULES:
        if isinstance(error, kind):
            return rule
    outcome = judge(error)
    if outcome.vote is Vote.FAIL or outcome.retryable:
        return Rule.NEXT
    return _OF_KEY.get(_status(error), Rule.STAY)


def keeps_away(error: Exception) -> bool:
    """Tell whether the next calls should rather not begin at a route that failed with this.

    An open circuit says by itself when it may be tried again; a call that the model wrote wrongly
    is the luck of one draw.
    """
    if isinstance(error, StreamInterruptedError) and isinstance(error.raw_error, Exception):
        error = error.raw_error
    if isinstance(error, CircuitOpenError):
        return False
    drawn = isinstance(error, ProviderInvalidResponseError) and error.fault == "model"
    return rule_for(error) is Rule.NEXT and not drawn


def _status(error: Exception) -> int:
    if isinstance(error, ProviderError):
        return error.status_code or 0
    response = getattr(error, "response", None)  # of a foreign HTTP library
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else 0
