from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.faults.protocols import How, Protocol
from tests.faults.support import KEY, Answers, Fault, check, check_trial, each
from victor.errors import (
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
)
from victor.testing.faults import Answer, html_answer, json_answer, redirect_answer

PAST = {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}
# A moment after the server's own clock, which is 20 years wrong.
DATES = {
    "date": "Wed, 21 Oct 2015 07:28:00 GMT",
    "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT",
}
PAGE = "<!doctype html>\n<title>\x1b[31mLog in\x07</title>" + "<p>blah" * 9_000


def status(code: int, kind: str = "api_error", headers: Mapping[str, str] | None = None) -> Answers:
    """Always answer with an error status."""
    return lambda p, *_: json_answer(p.error(kind), code, headers)


def once(code: int, kind: str = "api_error", headers: Mapping[str, str] | None = None) -> Answers:
    """Answer with an error status, and from then on as asked."""
    return lambda p, how, _: [json_answer(p.error(kind), code, headers), p.well(how)]


def body(kind: str) -> Answers:
    """Answer with success, and an error in the body."""
    return lambda p, *_: json_answer(p.error(kind))


def first(kind: str) -> Answers:
    """Begin a stream with an error."""
    return lambda p, *_: p.cut([p.error(kind)])


def mid(kind: str) -> Answers:
    """Break a stream off with an error."""
    return lambda p, *_: p.cut([*p.text("Hel", "lo"), p.error(kind)])


def elsewhere(code: int) -> Answers:
    """Point to somebody else."""
    return lambda _, __, other: redirect_answer(f"{other}/v1", code)


def _echo(code: int) -> Answer:
    return json_answer({"error": {"message": f"Incorrect API key provided: {KEY}."}}, code)


LIMITS = "rate_limit_error"
RATE = [
    Fault("F18 429, wait in seconds", "A", None, once(429, LIMITS, {"retry-after": "0.01"}),
          attempts=2),
    Fault("F18 429, wait in milliseconds", "A", None, once(429, LIMITS, {"retry-after-ms": "9"}),
          attempts=2),
    Fault("F18 429, a date by a wrong clock", "A", None, once(429, LIMITS, DATES), attempts=2),
    Fault("F18 429, a date that is past", "A", None, once(429, LIMITS, PAST), attempts=2),
    Fault("F18 429, garbage", "A", None, once(429, LIMITS, {"retry-after": "soon; -1"}),
          attempts=2),
    Fault("F18 429, reset of a limit", "A", None,
          once(429, LIMITS, {"x-ratelimit-remaining-requests": "0",
                             "x-ratelimit-reset-requests": "12ms"}), attempts=2),
    Fault("F18 429, for 30 years", "A", ProviderRateLimitError,
          status(429, LIMITS, {"retry-after": "1000000000"}), attempts=1),
    Fault("F19 429 without a wait", "A", ProviderRateLimitError, status(429, LIMITS)),
    Fault("F19 429 without a wait, once", "A", None, once(429, LIMITS), attempts=2),
    Fault("F20 429, quota", "A", ProviderQuotaError, status(429, "insufficient_quota"),
          attempts=1),
    Fault("F20 429, spend limit", "A", ProviderQuotaError,
          status(429, "enforced_spend_limit_reached"), attempts=1),
    Fault("F20 402", "A", ProviderQuotaError, status(402, "billing_error"), attempts=1),
    Fault("F21 401", "A", ProviderAuthError, status(401, "authentication_error"), attempts=1),
    Fault("F21 401 that quotes the key", "A", ProviderAuthError, lambda *_: _echo(401),
          attempts=1, says="Incorrect API key provided"),
    Fault("F21 403", "A", ProviderPermissionError, status(403, "permission_error"), attempts=1),
    Fault("F21 400", "A", ProviderInvalidRequestError, status(400, "invalid_request_error"),
          attempts=1),
    Fault("F21 404", "A", ModelNotFoundError, status(404, "model_not_found"), attempts=1),
    Fault("F21 413", "A", ContextWindowExceededError, status(413, "request_too_large"),
          attempts=1),
    Fault("F21 422", "A", ProviderInvalidRequestError, status(422, "invalid_request_error"),
          attempts=1),
]  # fmt: skip

DOWN = [
    *(Fault(f"F22 {code} once", "F", None, once(code), attempts=2)
      for code in (408, 500, 502, 503, 504, 520, 524)),
    *(Fault(f"F22 {code} for ever", "F", error, status(code))
      for code, error in ((408, ProviderTimeoutError), (500, ProviderServerError),
                          (502, ProviderServerError), (503, ProviderOverloadedError),
                          (504, ProviderTimeoutError), (524, ProviderServerError))),
    Fault("F22 529 once", "M", None, once(529, "overloaded_error"), attempts=2),
    Fault("F22 529 for ever", "M", ProviderOverloadedError, status(529, "overloaded_error")),
    Fault("F22 503 page", "F", ProviderOverloadedError, lambda *_: html_answer(PAGE, 503),
          says="a web page, not the API"),
]  # fmt: skip

IN_BAND = [
    Fault("F24 200, server error", "F", ProviderServerError, body("api_error")),
    Fault("F24 200, rate limit", "A", ProviderRateLimitError, body(LIMITS)),
    Fault("F24 200, quota", "A", ProviderQuotaError, body("insufficient_quota"), attempts=1),
    Fault("F24 200, wrong key", "A", ProviderAuthError, body("authentication_error"), attempts=1),
    Fault("F24 200, overloaded", "M", ProviderOverloadedError, body("overloaded_error")),
    Fault("F25 server error at once", "F", ProviderServerError, first("api_error"),
          how=("stream",)),
    Fault("F25 overloaded at once", "M", ProviderOverloadedError, first("overloaded_error"),
          how=("stream",)),
    Fault("F25 rate limit at once", "A", ProviderRateLimitError, first(LIMITS), how=("stream",)),
    Fault("F25 invalid at once", "A", ProviderInvalidRequestError, first("invalid_request_error"),
          how=("stream",), attempts=1),
    Fault("F25 server error after text", "F", ProviderServerError, mid("api_error"),
          how=("stream",), attempts=1, partial="Hello"),
    Fault("F25 overloaded after text", "M", ProviderOverloadedError, mid("overloaded_error"),
          how=("stream",), attempts=1, partial="Hello"),
    Fault("F25 rate limit after text", "A", ProviderRateLimitError, mid(LIMITS),
          how=("stream",), attempts=1, partial="Hello"),
    Fault("F25 error once, then well", "F", None,
          lambda p, how, _: [p.cut([p.error("api_error")]), p.well(how)], how=("stream",),
          attempts=2),
]  # fmt: skip

NOT_THE_API = [
    Fault("F26 page", "F", ProviderInvalidResponseError, lambda *_: html_answer(PAGE),
          says="answered with a web page, .*; is base_url right"),
    Fault("F26 captive portal", "F", ProviderServerError, lambda *_: html_answer(PAGE, 511),
          says="a web page, not the API"),
    Fault("F26 page not found", "A", ProviderInvalidRequestError, lambda *_: html_answer(PAGE, 404),
          attempts=1, says="base_url"),
    Fault("F26 other JSON", "F", ProviderInvalidResponseError,
          lambda *_: json_answer({"hello": PAGE})),
    *(Fault(f"F27 {code} to another host", "N", ProviderInvalidRequestError, elsewhere(code),
            attempts=1, says=r"points to http://127\.0\.0\.1:\d+/v1")
      for code in (301, 302, 303, 307, 308)),
    Fault("F27 loop", "N", ProviderInvalidRequestError, lambda *_: redirect_answer("/"),
          attempts=1, says="points to /"),
    Fault("F27 nowhere", "N", ProviderInvalidRequestError,
          lambda *_: json_answer({}, 304), attempts=1),
]  # fmt: skip

FAULTS = [*RATE, *DOWN, *IN_BAND, *NOT_THE_API]


@each(FAULTS)
async def test_fault(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(fault, protocol, how, monkeypatch)


@each(FAULTS)
async def test_vote_of_a_trial(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_trial(fault, protocol, how, monkeypatch)
