from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from types import SimpleNamespace
from typing import Literal

import pytest

from tests.resilience.guards import NO_RETRY, failures, guard, state
from victor.errors import (
    CircuitOpenError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
)
from victor.resilience.breaker import BreakerEvent, BreakerOpened, BreakerPolicy, CircuitBreaker
from victor.resilience.events import AttemptStarted
from victor.resilience.pipeline import (
    AttemptFailed,
    Deadlines,
    GuardEvent,
    Pipeline,
    RetryScheduled,
)
from victor.resilience.retry import RetryBudget, RetryPolicy
from victor.testing.virtual import now, run_virtual


class Script:
    """Does what it is told, one step for each attempt; the last step repeats."""

    def __init__(self, *steps: BaseException | str | float) -> None:
        self.steps = steps
        self.times: list[float] = []

    async def __call__(self) -> str:
        step = self.steps[min(len(self.times), len(self.steps) - 1)]
        self.times.append(now())
        if isinstance(step, BaseException):
            raise step
        if isinstance(step, float):
            await asyncio.sleep(step)
            return "slow"
        return step


@pytest.mark.parametrize(("fault", "failed"), [("empty", 2), ("model", 0)])
def test_an_answer_of_no_use_is_asked_for_once_more(
    fault: Literal["empty", "model"], failed: int
) -> None:
    async def main() -> None:
        script = Script(ProviderInvalidResponseError("x", fault=fault))
        pipeline = guard()
        with pytest.raises(ProviderInvalidResponseError):
            await pipeline.call(script)
        assert script.times == [0, 1]
        assert failures(pipeline) == failed

    run_virtual(main())


def test_a_transient_failure_is_retried_on_schedule() -> None:
    async def main() -> None:
        script = Script(ConnectionError(), ProviderServerError("x"), TimeoutError(), "fine")
        pipeline = guard()
        assert await pipeline.call(script) == "fine"
        assert script.times == [0, 1, 3, 7]
        assert failures(pipeline) == 0

    run_virtual(main())


def test_the_last_error_is_raised_unchanged_and_without_a_last_sleep() -> None:
    async def main() -> None:
        errors = [ProviderServerError(str(n)) for n in range(3)]
        with pytest.raises(ProviderServerError) as caught:
            await guard(retry=RetryPolicy(max_retries=2, jitter=0)).call(Script(*errors))
        assert caught.value is errors[2]
        assert caught.value.__context__ is None
        assert now() == 3

    run_virtual(main())


@pytest.mark.parametrize(
    "error",
    [
        ProviderInvalidRequestError("bad"),
        TypeError("bug"),
        ProviderRateLimitError("later", retry_after=61),
        CircuitOpenError("somebody else's"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_get_better_is_tried_once(error: Exception) -> None:
    async def main() -> None:
        script, pipeline = Script(error), guard()
        with pytest.raises(type(error)) as caught:
            await pipeline.call(script)
        assert caught.value is error
        assert len(script.times) == 1
        assert failures(pipeline) == 0

    run_virtual(main())


def test_it_waits_as_long_as_the_server_asks() -> None:
    async def main() -> None:
        script = Script(ProviderRateLimitError("later", retry_after=30), "fine")
        assert await guard().call(script) == "fine"
        assert script.times == [0, 30]

    run_virtual(main())


def test_an_open_circuit_refuses_at_once_and_names_the_wait() -> None:
    async def main() -> None:
        pipeline = guard(consecutive_failures=1, base_open_s=10)
        script = Script(ConnectionError("refused"))
        with pytest.raises(ConnectionError):
            await pipeline.call(script)
        for _ in range(10):
            with pytest.raises(CircuitOpenError, match=r"api was not called.* 7\.5 s"):
                await pipeline.call(script)
        assert script.times == [0]
        assert now() == 0

    run_virtual(main())


def test_when_the_circuit_opens_between_attempts_the_real_error_is_raised() -> None:
    async def main() -> None:
        error = ProviderServerError("real")
        pipeline = guard(consecutive_failures=3, base_open_s=10)
        script = Script(error)
        with pytest.raises(ProviderServerError) as caught:
            await pipeline.call(script)
        assert caught.value is error
        assert len(script.times) == 3
        assert now() == 3  # it did not sleep to be refused

    run_virtual(main())


def test_when_others_open_the_circuit_during_a_wait_the_real_error_is_raised() -> None:
    async def main() -> None:
        error = ProviderServerError("real")
        pipeline = guard()
        task = asyncio.create_task(pipeline.call(Script(error, "never reached")))
        await asyncio.sleep(0.5)
        assert pipeline.breaker is not None
        pipeline.breaker.force_open()
        with pytest.raises(ProviderServerError) as caught:
            await task
        assert caught.value is error

    run_virtual(main())


def test_an_attempt_that_takes_too_long_is_ended_and_tried_again() -> None:
    async def main() -> None:
        script = Script(100.0, "fine")
        assert await guard(deadlines=Deadlines(call_s=5)).call(script) == "fine"
        assert script.times == [0, 6]

    run_virtual(main())


def test_our_deadline_names_the_endpoint_the_phase_and_the_limit() -> None:
    async def main() -> None:
        pipeline = guard(retry=NO_RETRY)
        with pytest.raises(ProviderTimeoutError, match=r"api: no answer within 2\.5 s"):
            await pipeline.call(Script(100.0), deadlines=Deadlines(call_s=2.5))
        assert failures(pipeline) == 1
        assert await pipeline.call(Script(1e6), deadlines=Deadlines(call_s=None)) == "slow"

    run_virtual(main())


@pytest.mark.parametrize("at", [1.0, 5.5], ids=["in the attempt", "in the wait"])
def test_a_cancelled_call_ends_at_once_without_a_vote_of_its_own(at: float) -> None:
    async def main() -> None:
        pipeline = guard()
        script = Script(100.0, "never reached")
        task = asyncio.create_task(pipeline.call(script, deadlines=Deadlines(call_s=5)))
        await asyncio.sleep(at)
        before = failures(pipeline)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now() == at
        assert failures(pipeline) == before
        assert len(script.times) == 1

    run_virtual(main())


def test_a_callers_timeout_is_not_a_failure() -> None:
    async def main() -> None:
        pipeline = guard()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await pipeline.call(Script(100.0))
        assert failures(pipeline) == 0

    run_virtual(main())


def test_a_cancelled_trial_call_lets_the_next_one_try() -> None:
    async def main() -> None:
        pipeline = guard(retry=NO_RETRY, consecutive_failures=1)
        with pytest.raises(ConnectionError):
            await pipeline.call(Script(ConnectionError()))
        await asyncio.sleep(1)
        trial = asyncio.create_task(pipeline.call(Script(100.0)))
        await asyncio.sleep(0.1)
        trial.cancel()
        await asyncio.wait([trial])
        assert state(pipeline) == "half-open"
        assert await pipeline.call(Script("fine")) == "fine"
        assert state(pipeline) == "closed"

    run_virtual(main())


def test_a_hundred_calls_that_fail_together_all_see_their_own_error_and_one_trip() -> None:
    async def main() -> None:
        heard: list[BreakerEvent] = []
        pipeline = guard(retry=NO_RETRY)
        assert pipeline.breaker is not None
        pipeline.breaker.add_listener(heard.append)
        errors = [ConnectionError(str(n)) for n in range(100)]

        async def fail(error: ConnectionError) -> str:
            await asyncio.sleep(1)
            raise error

        calls = [pipeline.call(lambda error=error: fail(error)) for error in errors]  # type: ignore[misc]  # a default argument
        assert await asyncio.gather(*calls, return_exceptions=True) == errors
        assert len(heard) == 1

    run_virtual(main())


def test_a_hundred_calls_at_a_half_open_circuit_make_one_attempt() -> None:
    async def main() -> None:
        pipeline = guard(retry=NO_RETRY, consecutive_failures=1)
        with pytest.raises(ConnectionError):
            await pipeline.call(Script(ConnectionError()))
        await asyncio.sleep(1)
        script = Script(1.0)
        results = await asyncio.gather(
            *(pipeline.call(script) for _ in range(100)), return_exceptions=True
        )
        assert len(script.times) == 1
        assert results.count("slow") == 1
        assert sum(isinstance(result, CircuitOpenError) for result in results) == 99

    run_virtual(main())


def test_without_a_breaker_retries_and_deadlines_remain() -> None:
    async def main() -> None:
        pipeline = guard(breaker=False, deadlines=Deadlines(call_s=5))
        assert pipeline.breaker is None
        assert await pipeline.call(Script(100.0, ConnectionError(), "fine")) == "fine"

    run_virtual(main())


def test_a_budget_ends_retries_that_the_policy_would_allow() -> None:
    async def main() -> None:
        budget = RetryBudget(20, cost=5)
        pipeline = Pipeline(
            "api",
            breaker=None,
            retry=RetryPolicy(max_retries=100, jitter=0),
            deadlines=Deadlines(),
            budget=budget,
        )
        script = Script(ConnectionError(), ProviderTimeoutError("x"), ConnectionError())
        with pytest.raises(ConnectionError):
            await pipeline.call(script)
        assert len(script.times) == 4
        assert budget.tokens == 0
        assert await pipeline.call(Script("fine")) == "fine"
        assert budget.tokens == 1

    run_virtual(main())


def test_observers_are_told_in_order_and_once() -> None:
    async def main() -> None:
        always: list[GuardEvent | BreakerEvent] = []
        this_call: list[GuardEvent | BreakerEvent] = []
        error = ConnectionError("refused")
        pipeline = Pipeline(
            "api",
            breaker=CircuitBreaker(
                "api", BreakerPolicy(consecutive_failures=2), clock=now, random=lambda: 1.0
            ),
            retry=RetryPolicy(max_retries=1, jitter=0),
            deadlines=Deadlines(),
            clock=now,
            on_event=always.append,
        )

        async def fail() -> str:
            await asyncio.sleep(2)
            raise error

        with pytest.raises(ConnectionError):
            await pipeline.call(fail, on_event=this_call.append)
        assert this_call == [
            AttemptStarted(1, "api"),
            AttemptFailed(error, 1, 2.0),
            RetryScheduled(error, 1.0, 1),
            AttemptStarted(2, "api"),
            BreakerOpened("api", 6.0, error, 1.0),
            AttemptFailed(error, 2, 2.0),
        ]
        assert always == this_call

    run_virtual(main())


def test_what_an_observer_raises_stays_out_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("observer bug")

    async def main() -> None:
        script = Script(ConnectionError(), "fine")
        with caplog.at_level(logging.ERROR):
            assert await guard().call(script, on_event=broken) == "fine"

    run_virtual(main())
    assert "observer bug" in caplog.text


@pytest.mark.parametrize(
    ("status", "counted"), [(200, 0), (404, 0), (429, 0), (500, 5), (503, 5)], ids=str
)
def test_call_once_judges_an_unchecked_response_by_its_status(status: int, counted: int) -> None:
    async def main() -> None:
        pipeline = guard()
        answer = SimpleNamespace(status_code=status)

        async def once() -> SimpleNamespace:
            return answer

        for _ in range(5):
            assert await pipeline.call_once(once) is answer
        assert (state(pipeline) == "open") == (counted == 5)

    run_virtual(main())


def test_call_once_neither_retries_nor_swallows() -> None:
    async def main() -> None:
        pipeline = guard(consecutive_failures=1)
        error = ConnectionError("refused")
        script = Script(error)
        with pytest.raises(ConnectionError) as caught:
            await pipeline.call_once(script)
        assert caught.value is error
        assert len(script.times) == 1
        with pytest.raises(CircuitOpenError):
            await pipeline.call_once(script)

    run_virtual(main())


def test_call_once_works_without_a_breaker() -> None:
    async def main() -> str:
        return await guard(breaker=False).call_once(Script("fine"))

    assert run_virtual(main()) == "fine"


def test_a_finished_call_leaves_nothing_behind() -> None:
    class Answer:
        pass

    async def main() -> weakref.ref[Answer]:
        pipeline = guard()
        tries = 0

        async def attempt() -> Answer:
            nonlocal tries
            tries += 1
            if tries == 1:
                raise ProviderError("x", status_code=503)
            return Answer()

        answer = await pipeline.call(attempt)
        return weakref.ref(answer)

    gone = run_virtual(main())
    gc.collect()
    assert gone() is None


def test_a_call_may_refuse_to_wait_for_long() -> None:
    async def main() -> None:
        script = Script(ProviderRateLimitError("slow", retry_after=7), "fine")
        with pytest.raises(ProviderRateLimitError):
            await guard().call(script, deadlines=Deadlines(wait_s=5))
        assert script.times == [0]
        patient = Script(ProviderRateLimitError("slow", retry_after=7), "fine")
        assert await guard().call(patient, deadlines=Deadlines(wait_s=8)) == "fine"
        assert patient.times[1] - patient.times[0] == 7

    run_virtual(main())
