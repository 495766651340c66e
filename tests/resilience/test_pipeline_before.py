from __future__ import annotations

import asyncio

import pytest

from tests.resilience.guards import NO_RETRY, failures, guard
from tests.resilience.sources import END, Item, Source, Step
from victor.errors import CircuitOpenError, ProviderRateLimitError, ProviderServerError
from victor.resilience.events import AttemptStarted, Held
from victor.resilience.pipeline import Before, Deadlines, Observer, Pipeline
from victor.testing.virtual import now, run_virtual


class Gate:
    """Lets attempts wait, and says so; notes when they were let through."""

    def __init__(self, wait_s: float = 0, error: Exception | None = None) -> None:
        self.wait_s = wait_s
        self.error = error
        self.times: list[float] = []

    async def __call__(self, observe: Observer | None) -> None:
        if observe is not None:
            observe(Held("its turn", self.wait_s))
        await asyncio.sleep(self.wait_s)
        if self.error is not None:
            raise self.error
        self.times.append(now())


async def asked(how: str, pipeline: Pipeline, before: Before, *steps: Exception | float) -> int:
    """Make one call; return how many attempts it took."""
    scripts: list[list[Step]] = [[step, Item("x"), END] for step in steps]
    source = Source(*scripts)
    if how == "stream":
        stream = pipeline.stream(
            source,
            content_of=lambda item: item.text or None,
            is_final=lambda item: item.final,
            before=before,
        )
        assert [item.text for item in [item async for item in stream]] == ["x", ""]
        return source.started

    async def attempt() -> str:
        return "".join([item.text async for item in source()])

    assert await pipeline.call(attempt, before=before) == "x"
    return source.started


either = pytest.mark.parametrize("how", ["call", "stream"])


@either
def test_what_comes_before_an_attempt_takes_nothing_from_its_deadline(how: str) -> None:
    async def main() -> None:
        limits = Deadlines(call_s=60, first_content_s=60)
        gate = Gate(50)
        assert await asked(how, guard(deadlines=limits), gate, 50.0) == 1
        assert (gate.times, now()) == ([50], 100)

    run_virtual(main())


@either
def test_every_attempt_passes_it(how: str) -> None:
    async def main() -> None:
        gate = Gate(10)
        down = ProviderServerError("down")
        assert await asked(how, guard(), gate, down, down, 0.0) == 3
        assert gate.times == [10, 21, 33]

    run_virtual(main())


@either
def test_its_refusal_ends_the_call_and_says_nothing_about_the_endpoint(how: str) -> None:
    async def main() -> None:
        pipeline = guard()
        error = ProviderRateLimitError("not yet", retry_after=1)
        with pytest.raises(ProviderRateLimitError) as caught:
            await asked(how, pipeline, Gate(error=error), 0.0)
        assert caught.value is error
        assert pipeline.breaker is not None
        assert pipeline.breaker.snapshot().calls == 0

    run_virtual(main())


@either
def test_an_open_circuit_refuses_without_it(how: str) -> None:
    async def main() -> None:
        pipeline = guard(retry=NO_RETRY, consecutive_failures=1)
        gate = Gate(30)
        with pytest.raises(ProviderServerError):
            await asked(how, pipeline, gate, ProviderServerError("down"))
        with pytest.raises(CircuitOpenError):
            await asked(how, pipeline, gate, 0.0)
        assert (gate.times, now()) == ([30], 30)
        assert failures(pipeline) == 1

    run_virtual(main())


def test_without_a_breaker_it_is_passed_too() -> None:
    async def main() -> None:
        gate = Gate(5)
        assert await asked("call", guard(breaker=False), gate, 0.0) == 1
        assert gate.times == [5]

    run_virtual(main())


@either
def test_it_is_given_whom_to_tell_of_waits(how: str) -> None:
    async def main() -> None:
        told: list[object] = []
        pipeline = guard()
        pipeline._on_event = told.append
        assert await asked(how, pipeline, Gate(5), 0.0) == 1
        assert told == [Held("its turn", 5), AttemptStarted(1, "api")]

    run_virtual(main())
