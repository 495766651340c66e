from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.agent.support import Chunks, final
from victor.agent.agent import Agent
from victor.agent.events import (
    AgentEvent,
    AnswerRestarted,
    AttemptFailed,
    BreakerClosed,
    BreakerHalfOpened,
    BreakerOpened,
)
from victor.errors import CircuitOpenError, ProviderServerError
from victor.providers.scripted import MockLLM, Reply
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.circuits import Circuits
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryPolicy
from victor.types import StreamChunk


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _provider(replies: list[Reply], clock: Callable[[], float]) -> MockLLM:
    """A provider whose circuit opens with its first failure, for at most a second."""
    provider = MockLLM(replies)
    provider.__dict__["_guard"] = _guard("mock", clock)
    return provider


def _guard(name: str, clock: Callable[[], float]) -> Pipeline:
    policy = BreakerPolicy(consecutive_failures=1, base_open_s=1.0)
    return Pipeline(
        name,
        breaker=Circuits(CircuitBreaker(name, policy, clock=clock, random=lambda: 0.0)),
        retry=RetryPolicy(max_retries=0),
        deadlines=Deadlines(),
    )


async def test_a_circuit_that_opens_and_closes_is_an_event_of_the_run_it_happens_to() -> None:
    clock = Clock()
    agent = Agent(_provider([ProviderServerError("down", status_code=500), "well"], clock))
    seen: list[AgentEvent] = []

    async def run() -> None:
        async for event in agent.stream("hello"):
            if isinstance(event, BreakerOpened | BreakerHalfOpened | BreakerClosed):
                seen.append(event)

    with pytest.raises(ProviderServerError):
        await run()
    assert seen == [BreakerOpened("mock", "down", 0.5)]
    clock.now = 2.0
    await run()
    assert seen[1:] == [BreakerHalfOpened("mock"), BreakerClosed("mock")]


async def test_what_a_broken_stream_does_to_the_circuit_is_told_before_what_follows() -> None:
    provider = Chunks(
        [StreamChunk("half"), ProviderServerError("gone")], [StreamChunk("whole"), final()]
    )
    provider.__dict__["_guard"] = _guard("chunks", time.monotonic)
    kinds: list[type[AgentEvent]] = []

    async def run() -> None:
        async for event in Agent(provider).stream("hello"):
            kinds.append(type(event))

    with pytest.raises(CircuitOpenError):
        await run()
    at = kinds.index(BreakerOpened)
    assert kinds[at : at + 3] == [BreakerOpened, AttemptFailed, AnswerRestarted]
