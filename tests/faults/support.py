"""How one fault of the matrix is put before a provider, and what the provider's breaker made of it.

Knows servers, certificates and breakers; what is expected is the tables' business.
"""

from __future__ import annotations

import datetime
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, TypeAlias

import pytest
import trustme

from tests.faults.protocols import BOTH, PROTOCOLS, How, Protocol
from victor.errors import ProviderError, StreamInterruptedError
from victor.providers import transport
from victor.providers.http import HTTPProvider
from victor.resilience.votes import Outcome, Vote
from victor.testing.faults import UNKNOWN_HOST, Answer, FaultServer, Script, refusing
from victor.types import Message, StreamChunk

__all__ = [
    "HI",
    "KEY",
    "MODEL",
    "Answers",
    "Fault",
    "Letter",
    "Where",
    "ask",
    "check",
    "check_trial",
    "chunks_of",
    "connect",
    "each",
    "half_open",
    "votes",
]

KEY: Final = "sk-very-secret-0123456789"
PROMPT: Final = "a very private prompt"
HI: Final = [Message(role="user", content=PROMPT)]
MODEL: Final = "m"

Letter: TypeAlias = Literal["F", "Fl", "M", "A", "N", "-"]
"""The vote of an attempt that failed: failure, failure of this machine's network, failure of one
model, alive, neutral. A dash is for what does not fail at all."""

Where: TypeAlias = Literal["server", "refused", "unknown", "expired", "other host", "no tls"]

Answers: TypeAlias = Callable[[Protocol, How, str], Script | Answer]
"""Given the protocol, the method and the address of somebody else, returns what the server says."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the matrix: what happens, and what has to come of it."""

    id: str
    vote: Letter
    error: type[ProviderError] | None = None
    """What the caller gets; None is the answer."""
    answers: Answers | None = None
    says: str = ""
    """A regular expression that the error's message matches."""
    attempts: int = 3
    """With two retries allowed."""
    partial: str | None = None
    """For a stream that breaks after it began: its text until then."""
    how: tuple[How, ...] = BOTH
    only: str = ""
    """The one protocol that has this fault."""
    where: Where = "server"
    timeout: float = 5.0
    text: str = "Hello"


def each(faults: Sequence[Fault]) -> pytest.MarkDecorator:
    """Run a test for every fault, protocol and method."""
    rows = [
        pytest.param(fault, protocol, how, id=f"{fault.id}-{protocol.name}-{how}")
        for fault in faults
        for protocol in PROTOCOLS
        for how in fault.how
        if fault.only in ("", protocol.name)
    ]
    return pytest.mark.parametrize(("fault", "protocol", "how"), rows)


async def check(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put a fault before a provider: what the caller gets, how often it asked, what was booked."""
    async with place(fault, protocol, how, monkeypatch) as (url, server, elsewhere):
        async with connect(url, protocol, timeout=fault.timeout) as provider:
            if fault.error is None:
                assert await ask(provider, how) == fault.text
            else:
                with pytest.raises(ProviderError) as caught:
                    await ask(provider, how)
                _check_error(fault, caught.value)
            failed = fault.attempts - (fault.error is None)
            calls, failures, of_model = votes(provider)
            assert failures == failed * (fault.vote in ("F", "Fl"))
            assert of_model == failed * (fault.vote == "M")
            assert calls == failures + (fault.error is None)
        assert elsewhere.connections == 0
        if server is not None and fault.where == "server":
            assert len(server.requests) == fault.attempts


async def check_trial(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Put a fault before the trial call of a half-open circuit: each vote leaves its own state."""
    async with place(fault, protocol, how, monkeypatch) as (url, _, _):
        options = {"timeout": fault.timeout, "max_retries": 0}
        async with connect(url, protocol, **options) as provider:
            half_open(provider)
            with suppress(ProviderError):
                await ask(provider, how)
            assert provider.breaker is not None
            booked = provider.breaker.snapshot()
            if fault.partial is not None:
                # It closed with the first content; what followed was a call like any other.
                assert (booked.state, booked.failures) == ("closed", fault.vote == "F")
            else:
                assert (booked.state, booked.trips) == _AFTER_TRIAL[fault.vote], booked
            assert votes(provider)[2] == (fault.vote == "M")


# State and number of openings, of which the first is that of `half_open`. What is local to this
# machine does not make the next one longer.
_AFTER_TRIAL: Final[dict[Letter, tuple[str, int]]] = {
    "F": ("open", 2),
    "Fl": ("open", 1),
    "M": ("closed", 0),
    "A": ("closed", 0),
    "N": ("half-open", 1),
    "-": ("closed", 0),
}


def _check_error(fault: Fault, error: ProviderError) -> None:
    assert fault.error is not None
    if fault.partial is None:
        assert type(error) is fault.error, error
    else:
        assert isinstance(error, StreamInterruptedError)
        assert error.partial == fault.partial
        assert type(error.__cause__) is fault.error, error.__cause__
    said = str(error)
    assert re.search(fault.says, said), said
    assert len(said) < 1200
    assert said.isprintable()
    assert KEY not in said
    assert PROMPT not in said
    assert [one.error is None for one in error.attempts] == [False] * fault.attempts  # type: ignore[attr-defined]


@asynccontextmanager
async def place(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[str, FaultServer | None, FaultServer]]:
    """Yield the address that has the fault, its server, and a server nobody should ask."""
    async with FaultServer(protocol.good) as elsewhere:
        if fault.where == "unknown":
            yield UNKNOWN_HOST, None, elsewhere
        elif fault.where == "refused":
            with refusing() as url:
                yield url, None, elsewhere
        else:
            monkeypatch.setattr(transport, "_trusted", _trusting)
            found = protocol.good if fault.answers is None else (
                fault.answers(protocol, how, elsewhere.url)
            )  # fmt: skip
            script = [found] if isinstance(found, Answer) else found
            async with FaultServer(script, tls=_certified(fault.where)) as server:
                url = server.url
                if fault.where == "no tls":
                    url = url.replace("http:", "https:")
                yield url, server, elsewhere


def connect(url: str, protocol: Protocol, **options: Any) -> HTTPProvider:
    defaults = {"api_key": KEY, "max_retries": 2, "retry_delay": 0.001, "timeout": 5.0}
    return HTTPProvider(protocol.vendor, base_url=url, **{**defaults, **options})


async def ask(provider: HTTPProvider, how: How, **options: Any) -> str:
    """Return the text of an answer."""
    if how == "chat":
        return (await provider.chat(HI, model=MODEL, **options)).content
    return "".join(chunk.content for chunk in await chunks_of(provider, **options))


async def chunks_of(provider: HTTPProvider, **options: Any) -> list[StreamChunk]:
    """Return a stream, of which exactly the last chunk is final."""
    found = [chunk async for chunk in provider.stream(HI, model=MODEL, **options)]
    assert [chunk.is_final for chunk in found] == [False] * (len(found) - 1) + [True]
    return found


def votes(provider: HTTPProvider) -> tuple[int, int, int]:
    """Return what the circuits booked: calls that voted, failures, and failures of the model."""
    assert provider.breaker is not None
    assert provider._guard.circuits is not None
    booked = provider.breaker.snapshot()
    part = provider._guard.circuits.parts.get(MODEL)
    return booked.calls, booked.failures, 0 if part is None else part.snapshot().failures


def half_open(provider: HTTPProvider) -> None:
    """Open the circuit of an endpoint, and let the time pass for which it stays open."""
    breaker = provider.breaker
    assert breaker is not None
    for _ in range(5):
        breaker.settle(breaker.admit(), Outcome(Vote.FAIL))
    assert breaker.state == "open"
    breaker._clock = lambda: time.monotonic() + 3600


@cache
def _authority() -> trustme.CA:
    return trustme.CA()


@cache
def _trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    _authority().configure_trust(context)
    return context


def _certified(where: Where) -> ssl.SSLContext | None:
    if where not in ("expired", "other host"):
        return None
    name = "127.0.0.1" if where == "expired" else "somebody-else.example"
    until = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC) if where == "expired" else None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _authority().issue_cert(name, not_after=until).configure_cert(context)
    return context
