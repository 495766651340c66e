from __future__ import annotations

from collections.abc import Callable

import pytest

from victor.agent.agent import Agent
from victor.agent.events import AgentEvent, CircuitClosed, CircuitOpened
from victor.errors import ProviderServerError
from victor.providers.scripted import MockLLM, Reply
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.circuits import Circuits
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryPolicy


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def _provider(replies: list[Reply], clock: Callable[[], float]) -> MockLLM:
    """A provider whose circuit opens with its first failure, for at most a second."""
    provider = MockLLM(replies)
    policy = BreakerPolicy(consecutive_failures=1, base_open_s=1.0)
    provider.__dict__["_guard"] = Pipeline(
        "mock",
        breaker=Circuits(CircuitBreaker("mock", policy, clock=clock)),
        retry=RetryPolicy(max_retries=0),
        deadlines=Deadlines(),
    )
    return provider


async def test_a_circuit_that_opens_and_closes_is_an_event_of_the_run_it_happens_to() -> None:
    clock = Clock()
    agent = Agent(_provider([ProviderServerError("down", status_code=500), "well"], clock))
    seen: list[AgentEvent] = []

    async def run() -> None:
        async for event in agent.stream("hello"):
            if isinstance(event, CircuitOpened | CircuitClosed):
                seen.append(event)

    with pytest.raises(ProviderServerError):
        await run()
    assert seen == [CircuitOpened("mock", "down")]
    clock.now = 2.0
    await run()
    assert seen[1:] == [CircuitClosed("mock")]
