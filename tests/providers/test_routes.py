from __future__ import annotations

from typing import Any

import pytest

from tests.providers.author import Author
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
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    ProviderTLSError,
    StreamInterruptedError,
    UnsupportedFeatureError,
    WeightsMissingError,
)
from victor.providers.routes import Route, RouteState, Rule, as_route, keeps_away, rule_for

PROVIDER = Author()


@pytest.mark.parametrize(
    ("given", "route"),
    [
        (Route("a", "b", 3), Route("a", "b", 3)),
        ("local", Route("local")),
        (" openai/gpt-5 ", Route("openai", "gpt-5")),
        ("openrouter/meta/llama:free", Route("openrouter", "meta/llama:free")),
        (PROVIDER, Route(PROVIDER)),
        ((PROVIDER, "m"), Route(PROVIDER, "m")),
        (("openai", None), Route("openai")),
        (("openai", "m", 2), Route("openai", "m", 2)),
    ],
    ids=["route", "name", "with-model", "slashes", "provider", "pair", "no-model", "triple"],
)
def test_a_route_may_be_written_in_several_ways(given: Any, route: Route) -> None:
    assert as_route(given) == route


@pytest.mark.parametrize("given", ["", "/m", "openai/", 7, None, (), ("a",), ("a", "b", 1, 2)])
def test_what_is_no_route_is_refused_with_an_example(given: Any) -> None:
    with pytest.raises(ConfigError, match="'openai/gpt-5-mini'"):
        as_route(given)


class _Response:
    def __init__(self, status: int) -> None:
        self.status_code = status


class _StatusError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("status")
        self.response = _Response(status)


@pytest.mark.parametrize(
    ("error", "rule", "away"),
    [
        (ContextWindowExceededError("x"), Rule.LARGER, False),
        (ContentFilterError("x"), Rule.REFUSAL, False),
        (ProviderInvalidRequestError("x"), Rule.STAY, False),
        (UnsupportedFeatureError("x"), Rule.STAY, False),
        (ModelNotFoundError("x"), Rule.NEXT, True),
        (ProviderAuthError("x"), Rule.NEXT, True),
        (ProviderPermissionError("x"), Rule.NEXT, True),
        (ProviderQuotaError("x"), Rule.NEXT, True),
        (ProviderRateLimitError("x"), Rule.NEXT, True),
        (ProviderOverloadedError("x"), Rule.NEXT, True),
        (ProviderServerError("x"), Rule.NEXT, True),
        (ProviderTimeoutError("x"), Rule.NEXT, True),
        (ProviderConnectionError("x"), Rule.NEXT, True),
        (ProviderTLSError("x"), Rule.NEXT, True),
        (ProviderInvalidResponseError("x"), Rule.NEXT, True),
        (ProviderInvalidResponseError("x", fault="empty"), Rule.NEXT, True),
        (ProviderInvalidResponseError("x", fault="model"), Rule.NEXT, False),
        (StreamInterruptedError("x"), Rule.NEXT, True),
        (StreamInterruptedError("x", raw_error=ContentFilterError("x")), Rule.NEXT, False),
        (StreamInterruptedError("x", raw_error=ProviderServerError("x")), Rule.NEXT, True),
        (CircuitOpenError("x"), Rule.NEXT, False),
        (WeightsMissingError("x"), Rule.NEXT, True),
        (ProviderError("x"), Rule.NEXT, True),
        (ProviderError("x", status_code=503), Rule.NEXT, True),
        (ProviderError("x", status_code=429), Rule.NEXT, True),
        (ProviderError("x", status_code=401), Rule.NEXT, True),
        (ProviderError("x", status_code=402), Rule.NEXT, True),
        (ProviderError("x", status_code=400), Rule.STAY, False),
        (ConnectionResetError("x"), Rule.NEXT, True),
        (_StatusError(500), Rule.NEXT, True),
        (_StatusError(403), Rule.NEXT, True),
        (_StatusError(422), Rule.STAY, False),
        (TypeError("our own"), Rule.STAY, False),
        (OSError(28, "no space left"), Rule.STAY, False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_class_of_a_failure_decides_what_follows(
    error: Exception, rule: Rule, away: bool
) -> None:
    assert rule_for(error) is rule
    assert keeps_away(error) is away


def test_a_state_has_a_name_for_people() -> None:
    assert RouteState("openai", "gpt-5", None, usable=True).label == "openai/gpt-5"
    assert RouteState("local", None, None, usable=False).label == "local"
