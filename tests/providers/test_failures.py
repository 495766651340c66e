from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
)
from victor.providers.failures import error_from_body, error_from_response, looks_like_html
from victor.resilience.votes import Vote, judge

DAY = "Sat, 01 Jan 2000"


def _error(
    status: int, body: object = b"", headers: Mapping[str, str] | None = None
) -> ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_from_response(
        status, headers or {}, raw, provider="acme", model="m1", host="api.acme.example"
    )


def _openai(message: str = "", code: object = None, kind: object = None) -> object:
    return {"error": {"message": message, "type": kind, "code": code, "param": None}}


def _google(*details: object) -> object:
    error = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "no", "details": details}
    return {"error": error}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ProviderInvalidRequestError),
        (401, ProviderAuthError),
        (402, ProviderQuotaError),
        (403, ProviderPermissionError),
        (404, ProviderInvalidRequestError),
        (405, ProviderInvalidRequestError),
        (408, ProviderTimeoutError),
        (409, ProviderInvalidRequestError),
        (413, ContextWindowExceededError),
        (422, ProviderInvalidRequestError),
        (425, ProviderOverloadedError),
        (429, ProviderRateLimitError),
        (498, ProviderOverloadedError),
        (499, ProviderInvalidRequestError),
        (500, ProviderServerError),
        (501, ProviderServerError),
        (502, ProviderServerError),
        (503, ProviderOverloadedError),
        (504, ProviderTimeoutError),
        (520, ProviderServerError),
        (529, ProviderOverloadedError),
        (599, ProviderServerError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"{}", b"no", b"<html>Bad</html>", b"[]", b"null", b"\xff"])
def test_a_status_alone_decides_where_the_body_says_nothing(
    status: int, kind: type[ProviderError], body: bytes
) -> None:
    error = _error(status, body)
    assert type(error) is kind
    assert error.status_code == status
    assert (error.provider, error.model) == ("acme", "m1")
    assert str(error).startswith(f"api.acme.example answered {status}: ")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # the key
        (400, {"code": "invalid-argument", "error": "Incorrect API key."}, ProviderAuthError),
        (
            400,
            [{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}],
            ProviderAuthError,
        ),
        (401, {"detail": "Invalid API Key"}, ProviderAuthError),
        (403, _openai("no access", kind="permission_error"), ProviderPermissionError),
        # the model
        (400, _openai("unknown", "model_not_found"), ModelNotFoundError),
        (400, _openai("The requested model 'x' does not exist."), ModelNotFoundError),
        (400, _openai("acme/x is not a valid model ID"), ModelNotFoundError),
        (400, _openai("The supported API model names are a or b, but you"), ModelNotFoundError),
        (404, {"error": "model 'x' not found"}, ModelNotFoundError),
        (404, _openai("nope", "DeploymentNotFound"), ModelNotFoundError),
        (404, {"message": "model 'command' was removed on September 15"}, ModelNotFoundError),
        (404, {"detail": "Not Found"}, ProviderInvalidRequestError),
        # the window
        (400, _openai("too long", "context_length_exceeded"), ContextWindowExceededError),
        (400, {"error": {"type": "exceed_context_size_error"}}, ContextWindowExceededError),
        (400, _openai("prompt is too long: 9 tokens"), ContextWindowExceededError),
        (400, {"message": "x", "error_type": "TOO_MANY_TOKENS"}, ContextWindowExceededError),
        (429, _openai("", "too_many_prompt_tokens"), ContextWindowExceededError),
        (422, {"message": "Too many tokens: 9"}, ContextWindowExceededError),
        # money
        (429, _openai("You exceeded your quota", "insufficient_quota"), ProviderQuotaError),
        (429, _openai("INSUFFICIENT QUOTA", "rate_limit_exceeded"), ProviderRateLimitError),
        (400, _openai("Your credit balance is too low to ..."), ProviderQuotaError),
        # filters
        (400, _openai("filtered", "content_filter"), ContentFilterError),
        (
            400,
            {"error": {"code": "x", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            ContentFilterError,
        ),
        (403, {"message": "The security token in the request is expired"}, ProviderAuthError),
        (403, {"__type": "com.amazon#ExpiredTokenException"}, ProviderAuthError),
        (403, {"error": {"code": 403, "metadata": {"flagged_input": "x"}}}, ContentFilterError),
        (400, {"message": "The provided model identifier is invalid."}, ModelNotFoundError),
        (400, {"__type": "ThrottlingException"}, ProviderRateLimitError),
        (424, {"message": "The model failed"}, ProviderServerError),
        # what a 429 may mean
        (429, {"message": "Too many tokens, please wait"}, ProviderRateLimitError),
        (429, {"message": "up", "code": "ModelNotReadyException"}, ProviderOverloadedError),
        (429, _openai("Request too large: Limit 300, Requested 5,000"), ContextWindowExceededError),
        (429, _openai("Request too large: Limit 30000, Requested 10"), ProviderRateLimitError),
        (
            429,
            _google({"violations": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}),
            ProviderQuotaError,
        ),
        (
            429,
            _google({"violations": [{"quotaId": "GenerateRequestsPerMinute"}]}),
            ProviderRateLimitError,
        ),
        (429, _openai("Quota exceeded for metric x, limit: 0, model y"), ProviderRateLimitError),
        (429, {"error": {"message": "metric x, limit: 0, y", "details": []}}, ProviderQuotaError),
        # 400 and 422 say that the server is well, whatever type they name
        (400, _openai("unsupported", "unsupported_parameter"), ProviderInvalidRequestError),
        (400, _openai("x", kind="api_error"), ProviderInvalidRequestError),
        (400, _openai("x", "server_error"), ProviderInvalidRequestError),
        (422, _openai("x", kind="overloaded_error"), ProviderInvalidRequestError),
        (400, _openai("bad call", "tool_use_failed"), ProviderInvalidResponseError),
        # a server error stays one, whatever words are in it
        (500, _openai("model x not found", "model_not_found"), ProviderServerError),
        (500, _openai("Invalid API key for the cache"), ProviderServerError),
        (500, _openai("x", kind="invalid_request_error"), ProviderServerError),
        (502, {"error": {"code": 429, "message": "upstream is limited"}}, ProviderRateLimitError),
        (502, {"error": {"code": "429", "message": "upstream is limited"}}, ProviderRateLimitError),
        (429, {"error": {"code": 500, "message": "odd"}}, ProviderRateLimitError),
    ],
)  # fmt: skip
def test_a_body_tells_more_than_its_status(
    status: int, body: object, kind: type[ProviderError]
) -> None:
    error = _error(status, body)
    assert type(error) is kind
    assert error.status_code == status


@pytest.mark.parametrize(
    ("status", "vote"),
    [(400, Vote.ALIVE), (404, Vote.ALIVE), (401, Vote.ALIVE), (402, Vote.ALIVE), (413, Vote.ALIVE),
     (429, Vote.ALIVE), (500, Vote.FAIL), (503, Vote.FAIL), (529, Vote.FAIL), (408, Vote.FAIL)],
)  # fmt: skip
@pytest.mark.parametrize("code", [None, "server_error", "api_error", "invalid_request_error"])
def test_no_refusal_counts_against_the_endpoint_and_every_outage_does(
    status: int, vote: Vote, code: str | None
) -> None:
    assert judge(_error(status, _openai("x", code))).vote is vote


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": {"message": "m"}}, "m"),
        ({"error": "e"}, "e"),
        ({"message": "m"}, "m"),
        ({"detail": "d"}, "d"),
        ({"detail": [{"loc": ["body"], "msg": "missing"}]}, "missing"),
        ({"error": {"detail": "d"}}, "d"),
        ({"error": {}, "message": "outer"}, "outer"),
        ({"code": "x", "error": "e"}, "e"),
        ([{"error": {"message": "first"}}], "first"),
        ({"errors": [{"message": "e1"}]}, "e1"),
        ({"object": "error", "message": "m"}, "m"),
        ({"error": {"message": {"de": "kaputt"}}}, "kaputt"),
        (
            {"error": {"message": "Provider returned error", "metadata": {"raw": "upstream says"}}},
            "Provider returned error (upstream says)",
        ),
        ({"error": {"message": "m", "metadata": {"raw": 5}}}, "m"),
        ({"error": {"code": "x"}}, "no details"),
        (b"plain \x1b[31mtext\r\n\twith\x00 controls", "plain [31mtext with controls"),
        (b"<!doctype html><p>Secret page", "a web page, not the API: is base_url right?"),
        (b"", "no details"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:40],
)  # fmt: skip
def test_the_message_holds_what_the_body_said(body: object, text: str) -> None:
    message = str(_error(400, body))
    assert message.startswith("api.acme.example answered 400: ")
    assert text in message
    assert message.isprintable()


def test_a_long_body_is_cut_in_the_message() -> None:
    assert len(str(_error(500, b"x" * 100_000))) < 700
    assert len(str(_error(500, _openai("y" * 100_000)))) < 700


def test_the_decoded_error_is_kept_for_whoever_wants_it() -> None:
    error = _error(400, _openai("m", "c"))
    assert error.raw_error == {"message": "m", "type": None, "code": "c", "param": None}


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "0", "retry-after": "1"}, 1.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": f"{DAY} 00:00:20 GMT", "date": f"{DAY} 00:00:00 GMT"}, 20.0),
        ({"retry-after": f"{DAY} 00:00:00 GMT"}, 0.0),
        ({}, None),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("status", [429, 503])
def test_what_the_server_asks_us_to_wait_is_kept(
    headers: dict[str, str], seconds: float | None, status: int
) -> None:
    assert _error(status, b"", headers).retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"x-request-id": "r1"}, "r1"),
        ({"Request-Id": "r2"}, "r2"),
        ({"x-amzn-RequestId": "r3"}, "r3"),
        ({"cf-ray": "r4", "x-request-id": "r1"}, "r1"),
        ({}, None),
    ],
    ids=str,
)
def test_the_request_id_is_kept(headers: dict[str, str], found: str | None) -> None:
    assert _error(500, b"", headers).request_id == found


def test_a_request_id_in_the_body_is_kept_where_no_header_has_one() -> None:
    assert _error(500, {"error": {"message": "x"}, "request_id": "r5"}).request_id == "r5"


def test_a_header_may_name_the_exception() -> None:
    headers = {"x-amzn-ErrorType": "AccessDeniedException:http://x.example/"}
    assert type(_error(403, {"message": "no"}, headers)) is ProviderPermissionError
    headers = {"x-amzn-ErrorType": "ServiceQuotaExceededException"}
    assert type(_error(400, {"message": "no"}, headers)) is ProviderQuotaError


@pytest.mark.parametrize(
    ("body", "headers", "seconds"),
    [
        pytest.param(_google({"retryDelay": "34.4s"}), {}, 34.4, id="google"),
        pytest.param(_openai("Please try again in 1m2.5s."), {}, 62.5, id="text"),
        pytest.param({}, {"x-ratelimit-reset-requests": "9s"}, 9.0, id="reset"),
        pytest.param(
            _google({"retryDelay": "34.4s"}), {"retry-after": "2"}, 2.0, id="header first"
        ),
        pytest.param(_google({"retryDelay": "later"}), {}, None, id="garbage"),
    ],
)
def test_a_wait_is_found_wherever_a_429_states_it(
    body: object, headers: dict[str, str], seconds: float | None
) -> None:
    assert _error(429, body, headers).retry_after == (
        None if seconds is None else pytest.approx(seconds)
    )


def test_a_reset_means_nothing_where_it_was_not_too_fast() -> None:
    assert _error(500, {}, {"x-ratelimit-reset-requests": "9s"}).retry_after is None


@pytest.mark.parametrize(
    ("body", "used", "limit"),
    [
        pytest.param(
            {
                "error": {
                    "code": 400,
                    "message": "the request exceeds the available context size, try increasing it",
                    "type": "exceed_context_size_error",
                    "n_prompt_tokens": 5021,
                    "n_ctx": 4096,
                }
            },
            5021,
            4096,
            id="llama.cpp",
        ),
        pytest.param(
            {"error": {"type": "exceed_context_size_error", "n_prompt_tokens": 5021, "n_ctx": "?"}},
            5021,
            None,
            id="llama.cpp with an odd limit",
        ),
        pytest.param(
            _openai(
                "This model's maximum context length is 4097 tokens, however you requested 5000 "
                "tokens (1000 in your prompt; 4000 for the completion)."
            ),
            5000,
            4097,
            id="openai",
        ),
        pytest.param(
            _openai("prompt is too long: 210,000 tokens > 200,000 maximum"),
            210_000,
            200_000,
            id="thousands separators",
        ),
        pytest.param(
            _openai(
                "input length and `max_tokens` exceed context limit: 195000 + 20000 > 200000, "
                "decrease input length or `max_tokens`",
                "context_length_exceeded",
            ),
            215_000,
            200_000,
            id="prompt and answer added",
        ),
        pytest.param(
            _openai(
                "The model gpt-4-0613 has a maximum context length of 8192 tokens, and "
                "you asked for 10000."
            ),
            10_000,
            8192,
            id="a date in the model's name",
        ),
        pytest.param(
            {"message": "Current length is 9000 while limit is 8192"}, 9000, 8192, id="cerebras"
        ),
        pytest.param(_openai("prompt is too long"), None, None, id="no numbers"),
        pytest.param(_openai("maximum context length is 8192"), None, None, id="one number"),
    ],
)
def test_a_full_window_says_how_full_where_the_server_does(
    body: object, used: int | None, limit: int | None
) -> None:
    error = _error(400, body)
    assert isinstance(error, ContextWindowExceededError)
    assert (error.used, error.limit) == (used, limit)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_names_its_target_and_the_way_out(status: int) -> None:
    error = _error(status, b"", {"location": "https://other.example/v1"})
    assert type(error) is ProviderInvalidRequestError
    assert str(error) == (
        f"api.acme.example answered {status} and points to https://other.example/v1. Redirects are "
        "not followed, as they would carry the key and the prompt along; set base_url to the final "
        "address."
    )
    assert error.status_code == status


def test_a_redirect_target_cannot_write_to_the_terminal_or_fill_it() -> None:
    message = str(_error(302, b"", {"location": "https://x/\x1b[2J" + "y" * 5000}))
    assert message.isprintable()
    assert len(message) < 500
    assert "nowhere" in str(_error(304))


def test_a_wrong_address_hints_at_the_version() -> None:
    for body in (b"", {"detail": "Not Found"}, b"404 page not found", b"<html>nginx</html>"):
        assert str(_error(404, body)).endswith(
            "no such address: does base_url end in the API's version, such as /v1?"
        )
    assert "base_url" not in str(_error(404, {"error": "model 'x' not found"}))


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"error": {"code": 429, "message": "slow"}}, ProviderRateLimitError, 429),
        ({"code": "401", "message": "key"}, ProviderAuthError, 401),
        ({"error": {"type": "server_error"}}, ProviderServerError, None),
        ({"error": {"code": "insufficient_quota"}}, ProviderQuotaError, None),
        ({"status_code": 400, "error": "tool_use_failed"}, ProviderInvalidResponseError, 400),
        ({"error": {"code": "tool_use_failed"}}, ProviderInvalidResponseError, None),
        ("this resulted in an invalid tool generation", ProviderInvalidResponseError, None),
        ({"detail": "decoding failed, retry or use a larger context size"}, ProviderServerError,
         None),
        ({"error": "9 tokens exceed the context size"}, ContextWindowExceededError, None),
        ({"error": {"code": 200, "message": "odd"}}, ProviderServerError, None),
        ("text", ProviderServerError, None),
        (None, ProviderServerError, None),
    ],
    ids=str,
)  # fmt: skip
def test_an_error_after_a_success_is_judged_by_what_it_says(
    error: object, kind: type[ProviderError], status: int | None
) -> None:
    found = error_from_body(error, provider="acme", model="m1", where="in the stream")
    assert type(found) is kind
    assert found.status_code == status
    assert str(found).startswith("acme sent an error in the stream: ")


@pytest.mark.parametrize(
    ("body", "page"),
    [
        (b"<!DOCTYPE html>", True),
        (b" \r\n<HTML lang=en>", True),
        (b"<head>", True),
        (b'<?xml version="1.0"?>', True),
        (b"{}", False),
        (b"<think>hm</think>", False),
        (b"", False),
        (b"x" * 300 + b"<html>", False),
    ],
)
def test_a_web_page_is_told_by_its_beginning(body: bytes, page: bool) -> None:
    assert looks_like_html(body) is page


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6)
    | st.sampled_from(["²", "٤٢٩", "9" * 5000, "429", "insufficient_quota", 10**30]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(["error", "code", "type", "status", "message", "detail", "errors",
                         "innererror", "metadata", "raw", "n_prompt_tokens", "n_ctx"]),
        inner,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.integers(300, 599), st.one_of(st.binary(max_size=30), VALUES))
def test_any_failure_makes_one_typed_error(status: int, body: object) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = error_from_response(status, {}, raw, provider="acme")
    assert isinstance(error, ProviderError)
    assert error.status_code == status
    assert str(error).startswith(("acme answered", f" answered {status}"))
    assert isinstance(error_from_body(body, provider="acme"), ProviderError)
