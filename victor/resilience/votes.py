"""What an outcome says about an endpoint: the votes that a circuit breaker counts.

Knows exceptions, status codes and operating-system errors. Knows no breaker, no retry schedule and
no HTTP library: foreign exceptions are recognised by the module and name of their classes, so that
nothing is imported for it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from victor.errors import (
    CircuitOpenError,
    ContentFilterError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    ProviderTLSError,
    StreamInterruptedError,
    UnsupportedFeatureError,
)
from victor.resilience.retry_after import parse_retry_after

__all__ = ["Outcome", "Vote", "judge", "judge_response", "parse_retry_after"]


class Vote(StrEnum):
    """What one attempt says about the endpoint."""

    OK = "ok"
    """It did its work."""
    FAIL = "fail"
    """It did not."""
    ALIVE = "alive"
    """It answered and refused this request: no merit, but a half-open circuit closes."""
    NEUTRAL = "neutral"
    """Says nothing: cancelled, abandoned, or our own fault."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict over one attempt."""

    vote: Vote
    retryable: bool = False
    """Whether the same attempt may succeed when it is made again."""
    retry_after: float | None = None
    """Seconds the server asked us to wait."""
    local: bool = False
    """The fault is this machine's network: names do not resolve, or there is no route."""
    of_part: bool = False
    """It says that one part of the endpoint, such as a model, cannot serve; the rest may."""
    most_retries: int | None = None
    """How often it is worth trying again; None leaves it to the policy."""


_OK: Final = Outcome(Vote.OK)
_FAIL: Final = Outcome(Vote.FAIL, retryable=True)
_FAIL_FOR_GOOD: Final = Outcome(Vote.FAIL)
_OFFLINE: Final = Outcome(Vote.FAIL, retryable=True, local=True)
_ALIVE: Final = Outcome(Vote.ALIVE)
_ALIVE_RETRY: Final = Outcome(Vote.ALIVE, retryable=True)
_NEUTRAL: Final = Outcome(Vote.NEUTRAL)
_NEUTRAL_RETRY: Final = Outcome(Vote.NEUTRAL, retryable=True)

# Whether a typed error may be retried is the error's own `retryable`.
_OURS: Final[tuple[tuple[type[ProviderError], Vote], ...]] = (
    (CircuitOpenError, Vote.NEUTRAL),
    (UnsupportedFeatureError, Vote.NEUTRAL),
    (ProviderTLSError, Vote.NEUTRAL),
    (ContentFilterError, Vote.ALIVE),
    (ProviderAuthError, Vote.ALIVE),
    (ProviderInvalidRequestError, Vote.ALIVE),
    (ProviderQuotaError, Vote.ALIVE),
    (ProviderRateLimitError, Vote.ALIVE),
    (ProviderConnectionError, Vote.FAIL),
    (ProviderInvalidResponseError, Vote.FAIL),  # by its fault
    (ProviderServerError, Vote.FAIL),
    (ProviderTimeoutError, Vote.FAIL),
    (StreamInterruptedError, Vote.FAIL),
)

_OF_PART: Final = frozenset({None, 498, 529})
"""What overloaded models answer; None is an error within a stream. A 503 is of the endpoint."""

_STATUS: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        407: _FAIL_FOR_GOOD,  # the proxy wants a password
        408: _FAIL,
        425: _ALIVE_RETRY,
        429: _ALIVE_RETRY,
        501: _ALIVE,
        505: _ALIVE,
        511: _FAIL_FOR_GOOD,  # a captive portal (RFC 6585)
    }
)

# Keyed by root module and class name; looked up along the method resolution order.
_BY_NAME: Final[Mapping[str, Outcome]] = MappingProxyType(
    dict.fromkeys(
        (
            "builtins.TypeError",
            "builtins.AttributeError",
            "builtins.NameError",
            "builtins.LookupError",
            "builtins.AssertionError",
            "builtins.ArithmeticError",
            "builtins.ImportError",
            "builtins.SyntaxError",
            "builtins.MemoryError",
            "builtins.NotImplementedError",
            "ssl.SSLError",
            "httpx.InvalidURL",
            "httpx.LocalProtocolError",
            "httpx.StreamError",
            "httpx.TooManyRedirects",
            "httpx.UnsupportedProtocol",
            "httpcore.LocalProtocolError",
            "httpcore.UnsupportedProtocol",
            "aiohttp.ClientConnectorCertificateError",
            "aiohttp.ClientSSLError",
            "aiohttp.InvalidURL",
            "requests.InvalidSchema",
            "requests.InvalidURL",
            "requests.MissingSchema",
            "requests.SSLError",
            "requests.TooManyRedirects",
        ),
        _NEUTRAL,
    )
    | dict.fromkeys(
        (
            "builtins.EOFError",
            "http.HTTPException",
            "ssl.SSLEOFError",
            "ssl.SSLSyscallError",
            "ssl.SSLZeroReturnError",
            "httpx.RequestError",
            "httpcore.NetworkError",
            "httpcore.ProtocolError",
            "httpcore.ProxyError",
            "httpcore.TimeoutException",
            "h11.RemoteProtocolError",
            "anyio.BrokenResourceError",
            "anyio.EndOfStream",
            "aiohttp.ClientError",
            "requests.RequestException",
        ),
        _FAIL,
    )
    # All connections of our own pool are busy: the endpoint was not asked.
    | dict.fromkeys(
        ("httpx.PoolTimeout", "httpcore.PoolTimeout", "httpcore.ConnectionNotAvailable"),
        _NEUTRAL_RETRY,
    )
    | {"socket.gaierror": _OFFLINE, "socket.herror": _OFFLINE}
)

_NETWORK_ERRNO: Final = frozenset(
    {errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENETRESET, errno.ENOTCONN, errno.ETIMEDOUT}
)
_OFFLINE_ERRNO: Final = frozenset({errno.ENETDOWN, errno.ENETUNREACH})

_MAX_LINKS: Final = 32
"""How many links of a chain of causes are looked at."""


def judge(error: BaseException) -> Outcome:
    """Decide what a failed attempt says about the endpoint, and whether to try again.

    Typed errors speak for themselves. A plain `ProviderError` is judged by its `status_code`, then
    by the first of its causes that means something; so is every exception nobody knows. Whatever
    is not an `Exception` (a cancellation, an abandoned generator, Ctrl-C) is neutral.

    Args:
        error: what the attempt raised. It is only looked at, never changed.

    Returns:
        The verdict. Without any evidence a `ProviderError` is a failure that is not retried, and
        every other exception is our own bug.
    """
    outcome, source = _first_meaning(error)
    if outcome.vote is Vote.FAIL:
        outcome = _fault_of_this_machine(source) or outcome
    if outcome.vote is Vote.FAIL or outcome.retryable:
        wait = _stated_wait(error)
        if wait is not None:
            outcome = replace(outcome, retry_after=wait)
    return outcome


def judge_response(response: object) -> Outcome:
    """Decide what a returned object says: by its `status_code` or `status`, if it has one.

    Args:
        response: anything. What has no HTTP status is a success.
    """
    status = _int_of(response, "status_code") or _int_of(response, "status")
    outcome = _by_status(status) if status is not None else None
    if outcome is None:
        return _OK
    return replace(outcome, retry_after=_wait_in_headers(response))


def _first_meaning(error: BaseException) -> tuple[Outcome, BaseException]:
    """Return the first verdict along the chain of causes, and the link that it is over."""
    below = False
    for link in _links(error, implicit=True):
        outcome = _meaning(link, below_ours=below)
        if outcome is not None:
            # An author's own subclass may say of itself that it is worth another try.
            if isinstance(error, ProviderError) and error.retryable:
                outcome = replace(outcome, retryable=outcome.vote is not Vote.NEUTRAL)
            return outcome, link
        below = below or isinstance(link, ProviderError)
    if isinstance(error, ProviderError):
        return Outcome(Vote.FAIL, error.retryable), error
    return _NEUTRAL, error


def _is_redirect(status: int | None) -> bool:
    return status is not None and 300 <= status < 400


def _is_refusal(status: int | None) -> bool:
    return status is not None and 400 <= status < 500


def _meaning(error: BaseException, *, below_ours: bool) -> Outcome | None:
    """Judge one exception without its causes; None where it means nothing by itself."""
    if not isinstance(error, Exception):
        return None if isinstance(error, BaseExceptionGroup) else _NEUTRAL
    if isinstance(error, ProviderError):
        return _meaning_of_ours(error)
    by_status = _by_status(_status_of(error))
    if by_status is not None:
        return by_status
    if below_ours and (isinstance(error, UnicodeDecodeError) or _is_json_error(error)):
        return _FAIL  # the provider's answer could not be read
    return _by_class(error)


def _meaning_of_ours(error: ProviderError) -> Outcome | None:
    """Judge a typed error by its class, and a plain one by its status."""
    if _is_redirect(error.status_code):
        return _NEUTRAL  # not followed: nobody knows who sent it
    for kind, vote in _OURS:
        if isinstance(error, kind):
            if isinstance(error, ProviderInvalidResponseError):
                return _by_fault(error)
            if isinstance(error, ProviderOverloadedError) and error.status_code in _OF_PART:
                return Outcome(vote, error.retryable, of_part=True)
            return Outcome(vote, error.retryable)
    return _by_status(error.status_code)


def _by_fault(error: ProviderInvalidResponseError) -> Outcome:
    # Where the model wrote a broken call, also told by a 4xx, the endpoint is well.
    by_model = error.fault == "model" or _is_refusal(error.status_code)
    once = None if error.fault == "form" and not by_model else 1
    vote = Vote.ALIVE if by_model else Vote.FAIL
    return Outcome(vote, error.retryable, most_retries=once)


def _by_status(status: int | None) -> Outcome | None:
    """Judge an HTTP status; None for none and for success, which says nothing in an error."""
    if status is None or status < 300:
        return None
    if status in _STATUS:
        return _STATUS[status]
    if _is_redirect(status):
        return _NEUTRAL
    return _ALIVE if status < 500 else _FAIL


def _by_class(error: Exception) -> Outcome | None:
    for kind in type(error).__mro__:
        if kind is OSError:
            break
        outcome = _BY_NAME.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
        if outcome is not None:
            return outcome
    return _by_errno(error) if isinstance(error, OSError) else None


def _by_errno(error: OSError) -> Outcome:
    if error.errno in _OFFLINE_ERRNO:
        return _OFFLINE
    # Libraries raise OSError("all attempts failed") without a number.
    network = isinstance(error, ConnectionError | TimeoutError) or error.errno is None
    # Everything else is a file, a full disk or a limit of this machine.
    return _FAIL if network or error.errno in _NETWORK_ERRNO else _NEUTRAL


def _fault_of_this_machine(error: BaseException) -> Outcome | None:
    """Look below a library's vague "could not connect" for a cause on our side.

    Only causes that were named are followed: the implicit context of the deepest link may be
    whatever the caller was handling when it called.
    """
    for link in _links(error, implicit=False):
        if isinstance(link, OSError):
            outcome = _by_class(link)
            if outcome is not None and (outcome.local or outcome.vote is Vote.NEUTRAL):
                return outcome
    return None


def _stated_wait(error: BaseException) -> float | None:
    for link in _links(error, implicit=True):
        if isinstance(link, ProviderError) and link.retry_after is not None:
            return max(0.0, link.retry_after)
        wait = _wait_in_headers(_peek(link, "response"))
        if wait is None:
            wait = _wait_in_headers(link)
        if wait is not None:
            return wait
    return None


def _links(error: BaseException, *, implicit: bool) -> Iterator[BaseException]:
    """Yield an exception and what caused it, nearest first; safe for cycles and endless chains."""
    waiting = [error]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_LINKS:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting.extend(_causes(link, implicit=implicit))


def _causes(error: BaseException, *, implicit: bool) -> Iterator[BaseException]:
    if isinstance(error, ProviderError) and isinstance(error.raw_error, BaseException):
        yield error.raw_error
    if isinstance(error, BaseExceptionGroup):
        yield from error.exceptions[:_MAX_LINKS]
    elif error.args and isinstance(error.args[0], BaseException):
        # httpcore and urllib hand the cause over as an argument, and httpcore hides the chain.
        yield error.args[0]
    if error.__cause__ is not None:
        yield error.__cause__
    elif implicit and error.__context__ is not None and not error.__suppress_context__:
        yield error.__context__


def _status_of(error: Exception) -> int | None:
    response = _peek(error, "response")
    for owner in (response, error):
        for name in ("status_code", "status"):
            status = _int_of(owner, name)
            if status is not None:
                return status
    return None


def _int_of(owner: object, name: str) -> int | None:
    value = _peek(owner, name)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _peek(owner: object, name: str) -> object:
    try:
        return getattr(owner, name, None)
    except Exception:  # noqa: BLE001 - a foreign property may raise anything; judging must not
        return None


def _wait_in_headers(owner: object) -> float | None:
    headers = _peek(owner, "headers")
    return parse_retry_after(headers) if isinstance(headers, Mapping) else None


def _is_json_error(error: Exception) -> bool:
    return any(kind.__name__ == "JSONDecodeError" for kind in type(error).__mro__)
