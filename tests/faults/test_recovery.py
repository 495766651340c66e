from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.faults.protocols import PROTOCOLS, How, Protocol
from tests.faults.support import HI, MODEL, ask, connect
from victor.errors import CircuitOpenError, ProviderServerError
from victor.providers.http import HTTPProvider
from victor.testing.faults import Answer, FaultServer, Request, json_answer

BOTH_HOWS = pytest.mark.parametrize("how", ["chat", "stream"])
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: str(one.name))


class Outage:
    """Answers 500 while it lasts, and counts how many requests are there at once."""

    def __init__(self, protocol: Protocol) -> None:
        self.protocol = protocol
        self.lasts = True
        self.asked = 0

    def __call__(self, request: Request) -> Answer:
        self.asked += 1
        if self.lasts:
            return json_answer(self.protocol.error("api_error"), 500)
        return self.protocol.good(request)


class Hands:
    """A clock for a breaker that is set by hand."""

    def __init__(self, provider: HTTPProvider) -> None:
        assert provider.breaker is not None
        self.now = 1000.0
        provider.breaker._clock = self

    def __call__(self) -> float:
        return self.now


def _state(provider: HTTPProvider) -> tuple[str, int]:
    assert provider.breaker is not None
    booked = provider.breaker.snapshot()
    return booked.state, booked.trips


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f23_an_outage_opens_the_circuit_and_a_trial_closes_it(
    protocol: Protocol, how: How
) -> None:
    outage = Outage(protocol)
    async with FaultServer(outage) as server, connect(server.url, protocol) as provider:
        clock = Hands(provider)
        with pytest.raises(ProviderServerError):
            await ask(provider, how)
        assert outage.asked == 3
        # The circuit opens in the middle of the second call, which ends there.
        with pytest.raises(ProviderServerError):
            await ask(provider, how)
        assert outage.asked == 5
        assert _state(provider) == ("open", 1)

        for _ in range(20):
            with pytest.raises(CircuitOpenError):
                await ask(provider, how)
        with pytest.raises(CircuitOpenError) as caught:
            await ask(provider, how)
        assert caught.value.attempts == ()
        assert outage.asked == 5
        assert "next try in" in str(caught.value)
        assert isinstance(caught.value.last_error, ProviderServerError)
        assert caught.value.retry_at == clock.now + (caught.value.retry_after or 0)

        clock.now = caught.value.retry_at
        with pytest.raises(ProviderServerError):
            await ask(provider, how)
        assert outage.asked == 6
        assert _state(provider) == ("open", 2)

        outage.lasts = False
        with pytest.raises(CircuitOpenError) as caught:
            await ask(provider, how)
        clock.now = caught.value.retry_at
        for _ in range(3):
            assert await ask(provider, how) == "Hello"
        assert outage.asked == 9
        assert _state(provider) == ("closed", 0)


@BOTH_PROTOCOLS
async def test_a_model_without_capacity_leaves_the_others_alone(protocol: Protocol) -> None:
    def choose(request: Request) -> Answer:
        if request.json()["model"] == MODEL:
            return json_answer(protocol.error("overloaded_error"), 529)
        return protocol.good(request)

    once = {"max_retries": 0}
    async with FaultServer(choose) as server, connect(server.url, protocol, **once) as provider:
        for _ in range(5):
            with pytest.raises(ProviderServerError):
                await ask(provider, "chat")
        with pytest.raises(CircuitOpenError, match=f"^{MODEL} of "):
            await ask(provider, "chat")
        assert (await provider.chat(HI, model="other")).content == "Hello"
        assert len(server.requests) == 6


# ---------------------------------------------------------------------------- 100 at once


async def _outcomes(provider: HTTPProvider, how: How, count: int = 100) -> Counter[str]:
    async def one() -> str:
        try:
            return await ask(provider, how)
        except (CircuitOpenError, ProviderServerError) as error:
            return type(error).__name__

    return Counter(await asyncio.gather(*(one() for _ in range(count))))


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_a_hundred_tasks_trip_once_and_try_one_at_a_time(
    protocol: Protocol, how: How
) -> None:
    outage = Outage(protocol)
    async with FaultServer(outage) as server:
        async with connect(server.url, protocol, max_retries=0, timeout=20) as provider:
            assert provider.breaker is not None
            clock = Hands(provider)
            told: list[Any] = []
            provider.breaker.add_listener(told.append)

            # All that were on their way keep their own error; one of them opens the circuit.
            assert await _outcomes(provider, how) == {"ProviderServerError": 100}
            assert [type(event).__name__ for event in told] == ["BreakerOpened"]
            assert await _outcomes(provider, how) == {"CircuitOpenError": 100}
            assert outage.asked == 100

            for trial in (1, 2):
                clock.now += 3600
                found = await _outcomes(provider, how)
                assert found == {"ProviderServerError": 1, "CircuitOpenError": 99}
                assert outage.asked == 100 + trial

            outage.lasts = False
            clock.now += 3600
            found = await _outcomes(provider, how)
            assert set(found) <= {"Hello", "CircuitOpenError"}
            assert found["Hello"] >= 1
            asked = outage.asked
            assert await _outcomes(provider, how) == {"Hello": 100}
            assert outage.asked == asked + 100
        kinds = [type(event).__name__ for event in told]
        opened, halved = "BreakerOpened", "BreakerHalfOpened"
        assert kinds == [opened, halved, opened, halved, opened, halved, "BreakerClosed"]
