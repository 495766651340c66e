from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from victor.errors import (
    ProviderConnectionError,
    ProviderInvalidResponseError,
    ProviderTLSError,
)
from victor.providers.failures import error_from_response
from victor.resilience.breaker import BreakerPolicy, CircuitBreaker
from victor.resilience.events import AttemptFailed, AttemptStarted
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryBudget, RetryPolicy
from victor.resilience.votes import judge
from victor.testing.virtual import now, run_virtual

SHARED = json.loads((Path(__file__).parents[1] / "data" / "retry_cases.json").read_text("utf-8"))
CASES: list[dict[str, Any]] = SHARED["cases"]

RETRY = ("max_retries", "retry_delay", "retry_backoff", "max_delay", "max_retry_after", "jitter")
BREAKER = ("consecutive_failures", "base_open_s")
OTHERS = ("call_s", "budget", "patience_s")


def _offline() -> Exception:
    error = ProviderConnectionError("the name does not resolve")
    error.__cause__ = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return error


FAULTS: Mapping[str, Callable[[], Exception]] = {
    "connection": lambda: ProviderConnectionError("the connection broke"),
    "offline": _offline,
    "tls": lambda: ProviderTLSError("the certificate has expired"),
    "garbage": lambda: ProviderInvalidResponseError("not valid JSON"),
    "empty": lambda: ProviderInvalidResponseError("neither text nor calls", fault="empty"),
    "bug": lambda: TypeError("a bug"),
}


@dataclass
class Seen:
    """What a call did."""

    attempts: int = 0
    waits: list[float] = field(default_factory=list)
    votes: list[str] = field(default_factory=list)

    def observe(self, event: object) -> None:
        if isinstance(event, AttemptStarted):
            self.attempts += 1
        elif isinstance(event, AttemptFailed):
            self.votes.append(_vote(event.error))

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(seconds)


def _vote(error: Exception) -> str:
    outcome = judge(error)
    if outcome.of_part or outcome.local:
        return "part" if outcome.of_part else "local"
    return str(outcome.vote)


async def _respond(response: Mapping[str, Any]) -> str:
    await asyncio.sleep(response.get("takes_s", 0))
    fault = response.get("fault")
    if fault == "stall":
        await asyncio.sleep(10**6)
    if fault is not None:
        raise FAULTS[fault]()
    if response["status"] == 200:
        return "ok"
    body = json.dumps(response["body"]).encode() if "body" in response else b""
    raise error_from_response(
        response["status"], response.get("headers", {}), body, provider="api", model="m"
    )


def _pipeline(policy: Mapping[str, Any], seen: Seen) -> Pipeline:
    def chosen(names: tuple[str, ...]) -> dict[str, Any]:
        return {name: policy[name] for name in names if name in policy}

    budget = policy.get("budget")
    return Pipeline(
        "api",
        breaker=CircuitBreaker(
            "api", BreakerPolicy(**chosen(BREAKER)), clock=now, random=lambda: 0.5
        ),
        retry=RetryPolicy(**{"jitter": 0, **chosen(RETRY)}),
        deadlines=Deadlines(call_s=policy.get("call_s", 60)),
        budget=None if budget is None else RetryBudget(budget),
        clock=now,
        sleep=seen.sleep,
        random=lambda: 0.5,
        on_event=seen.observe,
    )


async def _play(case: Mapping[str, Any]) -> dict[str, Any]:
    policy, responses, seen = case.get("policy", {}), case["responses"], Seen()
    pipeline = _pipeline(policy, seen)

    async def attempt() -> str:
        return await _respond(responses[min(seen.attempts, len(responses)) - 1])

    try:
        async with asyncio.timeout(policy.get("patience_s")):
            outcome = await pipeline.call(attempt, part="m")
        seen.votes.append("ok")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        outcome = type(error).__name__
    assert pipeline.breaker is not None
    return {
        "attempts": seen.attempts,
        "waits": seen.waits,
        "outcome": outcome,
        "votes": seen.votes,
        "breaker": pipeline.breaker.state,
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_case(case: dict[str, Any]) -> None:
    assert set(case.get("policy", {})) <= {*RETRY, *BREAKER, *OTHERS}
    found = run_virtual(_play(case))
    expected = {"breaker": "closed", **case["expect"]}
    assert found.pop("waits") == pytest.approx(expected.pop("waits"))
    assert found == expected


def test_there_are_at_least_forty_cases_with_names_of_their_own() -> None:
    assert len({case["name"] for case in CASES}) == len(CASES) >= 40
    assert len(SHARED["about"]) == 4
