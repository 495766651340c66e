from __future__ import annotations

import asyncio
import errno
import http.client
import json
import socket
import ssl
import urllib.error
from collections.abc import Callable
from email.message import Message

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor import errors
from victor.errors import ProviderError
from victor.resilience.votes import Outcome, Vote, judge, judge_response

FAIL = Outcome(Vote.FAIL, retryable=True)
FAIL_FOR_GOOD = Outcome(Vote.FAIL)
OFFLINE = Outcome(Vote.FAIL, retryable=True, local=True)
ALIVE = Outcome(Vote.ALIVE)
ALIVE_RETRY = Outcome(Vote.ALIVE, retryable=True)
NEUTRAL = Outcome(Vote.NEUTRAL)
NEUTRAL_RETRY = Outcome(Vote.NEUTRAL, retryable=True)
OK = Outcome(Vote.OK)

Make = Callable[[], BaseException]


def foreign(module: str, *names: str, base: type[Exception] = Exception) -> Exception:
    """An exception of a library that is not installed: its class, below its base classes."""
    kind = base
    for name in reversed(names):
        kind = type(name, (kind,), {"__module__": module})
    return kind("foreign")


def status_error(status: int, headers: dict[str, str] | None = None) -> httpx.HTTPStatusError:
    request = httpx.Request("POST", "http://127.0.0.1/")
    response = httpx.Response(status, headers=headers, request=request)
    return httpx.HTTPStatusError("bad status", request=request, response=response)


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def in_context(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


TYPED: list[tuple[ProviderError, Outcome]] = [
    (errors.ProviderAuthError("x"), ALIVE),
    (errors.ProviderPermissionError("x"), ALIVE),
    (errors.ProviderRateLimitError("x"), ALIVE_RETRY),
    (errors.ProviderQuotaError("x"), ALIVE),
    (errors.ProviderConnectionError("x"), FAIL),
    (errors.ProviderTLSError("x"), NEUTRAL),
    (errors.ProviderTimeoutError("x"), FAIL),
    (errors.ProviderServerError("x"), FAIL),
    (errors.ProviderOverloadedError("x"), Outcome(Vote.FAIL, True, of_part=True)),
    (
        errors.ProviderOverloadedError("x", status_code=529),
        Outcome(Vote.FAIL, True, of_part=True),
    ),
    (errors.ProviderOverloadedError("x", status_code=503), FAIL),
    (errors.ProviderInvalidRequestError("x"), ALIVE),
    (errors.ContextWindowExceededError("x"), ALIVE),
    (errors.ModelNotFoundError("x"), ALIVE),
    (errors.UnsupportedFeatureError("x"), NEUTRAL),
    (errors.ProviderInvalidResponseError("x"), FAIL),
    (
        errors.ProviderInvalidResponseError("x", fault="page"),
        Outcome(Vote.FAIL, True, most_retries=1),
    ),
    (
        errors.ProviderInvalidResponseError("x", fault="empty"),
        Outcome(Vote.FAIL, True, most_retries=1),
    ),
    (
        errors.ProviderInvalidResponseError("x", fault="model"),
        Outcome(Vote.ALIVE, True, most_retries=1),
    ),
    (errors.ContentFilterError("x"), ALIVE),
    (errors.StreamInterruptedError("x"), FAIL_FOR_GOOD),
    (errors.CircuitOpenError("x"), NEUTRAL),
    (ProviderError("x"), FAIL_FOR_GOOD),
]


@pytest.mark.parametrize(
    ("error", "outcome"), TYPED, ids=[type(error).__name__ for error, _ in TYPED]
)
def test_typed_errors_speak_for_themselves(error: ProviderError, outcome: Outcome) -> None:
    assert judge(error) == outcome


def test_every_provider_error_has_its_row() -> None:
    def tree(kind: type[ProviderError]) -> set[type[ProviderError]]:
        ours = [each for each in kind.__subclasses__() if each.__module__ == errors.__name__]
        return {kind}.union(*(tree(each) for each in ours))

    assert {type(error) for error, _ in TYPED} == tree(ProviderError)


STATUS = {
    301: NEUTRAL,
    307: NEUTRAL,
    400: ALIVE,
    401: ALIVE,
    402: ALIVE,
    403: ALIVE,
    404: ALIVE,
    407: FAIL_FOR_GOOD,
    408: FAIL,
    409: ALIVE,
    413: ALIVE,
    422: ALIVE,
    425: ALIVE_RETRY,
    429: ALIVE_RETRY,
    500: FAIL,
    501: ALIVE,
    502: FAIL,
    503: FAIL,
    504: FAIL,
    505: ALIVE,
    511: FAIL_FOR_GOOD,
    522: FAIL,
    529: FAIL,
}


@pytest.mark.parametrize(("status", "outcome"), STATUS.items(), ids=str)
def test_a_status_means_the_same_wherever_it_is_found(status: int, outcome: Outcome) -> None:
    with_status = type("APIError", (Exception,), {"__module__": "some_sdk"})("x")
    with_status.status = status
    found_in = [
        ProviderError("x", status_code=status),
        ProviderError("x", raw_error=status_error(status)),
        status_error(status),
        with_status,
        urllib.error.HTTPError("http://127.0.0.1/", status, "x", Message(), None),
    ]
    assert [judge(error) for error in found_in] == [outcome] * len(found_in)
    assert judge_response(httpx.Response(status)) == outcome


@pytest.mark.parametrize(
    "returned", [httpx.Response(200), httpx.Response(204), {"a": 1}, None, "text"], ids=repr
)
def test_what_returns_without_a_bad_status_is_well(returned: object) -> None:
    assert judge_response(returned) == OK


def test_a_returned_refusal_states_its_wait() -> None:
    response = httpx.Response(503, headers={"retry-after": "7"})
    assert judge_response(response) == Outcome(Vote.FAIL, retryable=True, retry_after=7.0)


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        (lambda: ConnectionRefusedError(errno.ECONNREFUSED, "refused"), FAIL),
        (lambda: ConnectionResetError("reset"), FAIL),
        (lambda: BrokenPipeError(errno.EPIPE, "pipe"), FAIL),
        (TimeoutError, FAIL),
        (lambda: OSError(errno.EHOSTUNREACH, "no route to host"), FAIL),
        (lambda: OSError("All connection attempts failed"), FAIL),
        (lambda: OSError(errno.ENETUNREACH, "unreachable"), OFFLINE),
        (lambda: OSError(errno.ENETDOWN, "down"), OFFLINE),
        (lambda: socket.gaierror(socket.EAI_NONAME, "unknown"), OFFLINE),
        (lambda: OSError(errno.ENOSPC, "disk full"), NEUTRAL),
        (lambda: OSError(errno.EMFILE, "too many files"), NEUTRAL),
        (lambda: OSError(errno.ENFILE, "too many files"), NEUTRAL),
        (lambda: FileNotFoundError(errno.ENOENT, "no file"), NEUTRAL),
        (lambda: PermissionError(errno.EACCES, "no"), NEUTRAL),
        (lambda: ssl.SSLCertVerificationError(1, "expired"), NEUTRAL),
        (lambda: ssl.SSLError(1, "wrong version number"), NEUTRAL),
        (lambda: ssl.SSLEOFError(8, "EOF"), FAIL),
        (EOFError, FAIL),
        (lambda: asyncio.IncompleteReadError(b"", 3), FAIL),
        (lambda: http.client.IncompleteRead(b""), FAIL),
        (lambda: urllib.error.URLError(socket.gaierror(socket.EAI_AGAIN, "again")), OFFLINE),
        (lambda: TypeError("bug"), NEUTRAL),
        (lambda: KeyError("bug"), NEUTRAL),
        (MemoryError, NEUTRAL),
        (lambda: RuntimeError("who knows"), NEUTRAL),
        (lambda: json.JSONDecodeError("not below a provider's error", "", 0), NEUTRAL),
        (asyncio.CancelledError, NEUTRAL),
        (GeneratorExit, NEUTRAL),
        (KeyboardInterrupt, NEUTRAL),
        (lambda: SystemExit(1), NEUTRAL),
        (lambda: httpx.ConnectError("x"), FAIL),
        (lambda: httpx.ReadTimeout("x"), FAIL),
        (lambda: httpx.PoolTimeout("x"), NEUTRAL_RETRY),
        (lambda: httpx.RemoteProtocolError("x"), FAIL),
        (lambda: httpx.LocalProtocolError("x"), NEUTRAL),
        (lambda: httpx.UnsupportedProtocol("x"), NEUTRAL),
        (lambda: httpx.ProxyError("x"), FAIL),
        (lambda: httpx.DecodingError("x"), FAIL),
        (lambda: httpx.TooManyRedirects("x"), NEUTRAL),
        (lambda: httpx.InvalidURL("x"), NEUTRAL),
        (httpx.StreamConsumed, NEUTRAL),
        (
            lambda: foreign("aiohttp.client_exceptions", "ServerDisconnectedError", "ClientError"),
            FAIL,
        ),
        (lambda: foreign("aiohttp", "ClientSSLError", "ClientError", base=OSError), NEUTRAL),
        (
            lambda: foreign("requests.exceptions", "ReadTimeout", "RequestException", base=OSError),
            FAIL,
        ),
        (
            lambda: foreign("requests.exceptions", "SSLError", "RequestException", base=OSError),
            NEUTRAL,
        ),
        (lambda: foreign("not_httpx", "ConnectError"), NEUTRAL),
    ],
    ids=lambda value: repr(value()) if callable(value) else "",
)
def test_foreign_exceptions_are_known_by_their_classes(make: Make, outcome: Outcome) -> None:
    assert judge(make()) == outcome


@pytest.mark.parametrize(
    ("make", "outcome"),
    [
        pytest.param(lambda: httpx.ConnectError("x"), FAIL, id="connection"),
        pytest.param(lambda: TypeError("x"), NEUTRAL, id="bug"),
        pytest.param(lambda: json.JSONDecodeError("x", "", 0), FAIL, id="bad JSON"),
        pytest.param(lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), FAIL, id="bad UTF-8"),
        pytest.param(asyncio.CancelledError, NEUTRAL, id="cancelled"),
        pytest.param(lambda: RuntimeError("x"), FAIL_FOR_GOOD, id="meaningless"),
        pytest.param(lambda: status_error(503), FAIL, id="status"),
        pytest.param(lambda: errors.ProviderQuotaError("x"), ALIVE, id="typed"),
        pytest.param(
            lambda: caused(RuntimeError("x"), httpx.ReadError("x")), FAIL, id="second link"
        ),
        pytest.param(
            lambda: ExceptionGroup("x", [RuntimeError("x"), httpx.ReadError("x")]), FAIL, id="group"
        ),
    ],
)
def test_a_plain_provider_error_is_judged_by_its_cause(make: Make, outcome: Outcome) -> None:
    wrapped = [
        ProviderError("x", raw_error=make()),
        caused(ProviderError("x"), make()),
        in_context(ProviderError("x"), make()),
    ]
    assert [judge(error) for error in wrapped] == [outcome] * 3


def test_the_status_of_a_plain_provider_error_comes_before_its_cause() -> None:
    assert judge(ProviderError("x", status_code=404, raw_error=httpx.ReadError("x"))) == ALIVE


def test_a_suppressed_context_does_not_count() -> None:
    error = in_context(ProviderError("x"), httpx.ReadError("x"))
    error.__suppress_context__ = True
    assert judge(error) == FAIL_FOR_GOOD


def test_an_authors_own_subclass_may_ask_for_another_try() -> None:
    class BusyError(ProviderError):
        retryable = True

    assert judge(BusyError("x")) == FAIL
    assert judge(BusyError("x", status_code=404)) == ALIVE_RETRY
    assert judge(caused(BusyError("x"), asyncio.CancelledError())) == NEUTRAL


def test_a_subclass_of_a_typed_error_means_what_its_base_means() -> None:
    class NoSuchKey(errors.ProviderAuthError):
        pass

    assert judge(NoSuchKey("x", status_code=500)) == ALIVE


@pytest.mark.parametrize(
    ("cause", "outcome"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), OFFLINE),
        (OSError(errno.ENETUNREACH, "unreachable"), OFFLINE),
        (ssl.SSLCertVerificationError(1, "expired"), NEUTRAL),
        (OSError(errno.EMFILE, "too many files"), NEUTRAL),
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), FAIL),
        (ExceptionGroup("all", [OSError(errno.ENETUNREACH, "unreachable")]), OFFLINE),
    ],
    ids=repr,
)
def test_a_vague_connection_error_is_judged_by_the_fault_below(
    cause: Exception, outcome: Outcome
) -> None:
    vague = caused(httpx.ConnectError("x"), foreign("httpcore", "ConnectError", "NetworkError"))
    assert vague.__cause__ is not None
    vague.__cause__.args = (cause,)
    assert judge(vague) == outcome
    assert judge(caused(errors.ProviderConnectionError("x"), vague)) == outcome
    assert judge(ProviderError("x", raw_error=vague)) == outcome


def test_what_the_caller_was_handling_is_not_the_cause() -> None:
    earlier = socket.gaierror(socket.EAI_NONAME, "another endpoint")
    assert judge(in_context(httpx.ReadError("x"), earlier)) == FAIL


@pytest.mark.parametrize(
    "error",
    [
        errors.ProviderRateLimitError("x", retry_after=3.0),
        caused(errors.ProviderRateLimitError("x"), status_error(429, {"retry-after": "3"})),
        ProviderError("x", raw_error=status_error(429, {"Retry-After": "3"})),
        status_error(429, {"retry-after-ms": "3000"}),
    ],
    ids=["stated", "cause", "raw_error", "own response"],
)
def test_the_wait_is_found_wherever_it_is_stated(error: BaseException) -> None:
    assert judge(error) == Outcome(Vote.ALIVE, retryable=True, retry_after=3.0)


def test_headers_on_the_exception_itself_are_read() -> None:
    error = foreign("aiohttp", "ClientResponseError", "ClientError")
    error.__dict__.update(status=503, headers={"Retry-After": "9"})
    assert judge(error) == Outcome(Vote.FAIL, retryable=True, retry_after=9.0)


def test_a_negative_wait_is_none_at_all() -> None:
    assert judge(errors.ProviderRateLimitError("x", retry_after=-1)).retry_after == 0


def test_an_answer_with_status_200_that_raises_is_not_judged_by_it() -> None:
    error = foreign("aiohttp", "ContentTypeError", "ClientError")
    error.__dict__["status"] = 200
    assert judge(error) == FAIL


def test_properties_that_raise_do_no_harm() -> None:
    class AwkwardError(Exception):
        @property
        def response(self) -> object:
            raise RuntimeError("not read yet")

    assert judge(AwkwardError()) == NEUTRAL


def test_a_status_that_is_no_number_is_ignored() -> None:
    error = foreign("some_sdk", "APIError")
    error.__dict__.update(status_code=True, status="503")
    assert judge(error) == NEUTRAL


def test_cycles_and_endless_chains_end() -> None:
    one, two = ProviderError("one"), ProviderError("two")
    one.__cause__, two.__cause__ = two, one
    assert judge(one) == FAIL_FOR_GOOD
    chain: BaseException = httpx.ReadError("too deep to be found")
    for _ in range(10_000):
        chain = caused(RuntimeError("x"), chain)
    assert judge(chain) == NEUTRAL


@given(
    st.lists(
        st.sampled_from(
            [
                ProviderError,
                RuntimeError,
                TypeError,
                httpx.ReadError,
                asyncio.CancelledError,
                OSError,
            ]
        ),
        min_size=1,
        max_size=8,
    ),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
@settings(max_examples=100)
def test_only_what_was_cancelled_or_failed_is_ever_retried(
    kinds: list[Callable[[str], BaseException]], explicit: list[bool]
) -> None:
    links = [kind("x") for kind in kinds]
    for error, below, named in zip(links, links[1:], explicit, strict=False):
        caused(error, below) if named else in_context(error, below)
    outcome = judge(links[0])
    assert outcome.vote in (Vote.FAIL, Vote.NEUTRAL)
    assert not (outcome.retryable and outcome.vote is Vote.NEUTRAL)
