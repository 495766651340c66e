from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from victor.errors import (
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderAuthError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.circuits import Circuits
from victor.testing.scenario import Clause, Fault, parse_scenario
from victor.testing.simulated import USAGE, SimulatedProvider, Target
from victor.testing.virtual import now, run_virtual
from victor.types import Message, StreamChunk

HELLO = [Message(role="user", content="hello")]


ONE_TRY = Target(provider="acme", model="large", max_retries=0)


@dataclass
class Stage:
    """One simulated provider, and what it says while it works."""

    fault: Fault
    target: Target = ONE_TRY
    said: list[str] = field(default_factory=list)

    def provider(self) -> SimulatedProvider:
        breaker = CircuitBreaker(self.target.where, clock=now, random=lambda: 0.5)
        return SimulatedProvider(
            self.target,
            fault=lambda: self.fault,
            circuits=Circuits(breaker),
            random=lambda: 0.0,
            on_event=lambda event: self.said.append(type(event).__name__),
            on_key=lambda: self.said.append("key"),
            on_words=lambda: self.said.append("words"),
        )


def _fault(text: str) -> Fault:
    clause: Clause = parse_scenario(f"acme: {text}").clauses[0]
    return clause.steps[0].fault


def _streamed(stage: Stage, times: int = 1) -> tuple[list[StreamChunk], float]:
    async def main() -> tuple[list[StreamChunk], float]:
        provider = stage.provider()
        chunks: list[StreamChunk] = []
        for _ in range(times):
            chunks = [chunk async for chunk in provider.stream(HELLO, model="large")]
        return chunks, now()

    return run_virtual(main())


def _failure(stage: Stage) -> tuple[ProviderError, float]:
    async def main() -> tuple[ProviderError, float]:
        with pytest.raises(ProviderError) as found:
            async for _ in stage.provider().stream(HELLO, model="large"):
                pass
        return found.value, now()

    return run_virtual(main())


def test_an_answer_is_a_stream_with_one_final_chunk_and_usage() -> None:
    chunks, seconds = _streamed(Stage(Fault("ok")))
    assert [chunk.is_final for chunk in chunks] == [False] * 5 + [True]
    assert "".join(chunk.content for chunk in chunks) == "This is a simulated answer."
    assert chunks[-1].usage == USAGE
    assert len(chunks[-1].attempts) == 1
    assert seconds == pytest.approx(1.3)


def test_chat_is_the_same_answer_at_once() -> None:
    async def main() -> tuple[str, float]:
        answer = await Stage(Fault("ok")).provider().chat(HELLO, model="large")
        assert answer.usage == USAGE
        return answer.content, now()

    text, seconds = run_virtual(main())
    assert text == "This is a simulated answer."
    assert seconds == pytest.approx(1.3)


@pytest.mark.parametrize(
    ("fault", "kind", "status"),
    [
        ("401", ProviderAuthError, 401),
        ("402", ProviderQuotaError, 402),
        ("404", ModelNotFoundError, 404),
        ("413", ContextWindowExceededError, 413),
        ("429", ProviderRateLimitError, 429),
        ("500", ProviderServerError, 500),
        ("529", ProviderOverloadedError, 529),
        ("revoked", ProviderAuthError, 401),
        ("refuse", ProviderConnectionError, None),
        ("reset", ProviderConnectionError, None),
        ("garbage", ProviderInvalidResponseError, None),
        ("empty", ProviderInvalidResponseError, None),
        ("stall", ProviderTimeoutError, None),
        ("cut", StreamInterruptedError, None),
    ],
    ids=str,
)
def test_a_fault_is_the_error_that_the_real_one_would_be(
    fault: str, kind: type[ProviderError], status: int | None
) -> None:
    error, _ = _failure(Stage(_fault(fault)))
    assert type(error) is kind
    assert error.status_code == status
    assert error.provider == "acme"


def test_a_status_says_how_long_to_wait() -> None:
    error, _ = _failure(Stage(_fault("429 retry-after 1500ms")))
    assert error.retry_after == 1.5


def test_a_cut_answer_leaves_a_part() -> None:
    stage = Stage(Fault("cut"))
    error, _ = _failure(stage)
    assert isinstance(error, StreamInterruptedError)
    assert error.partial == "This is a "
    assert "words" in stage.said


def test_a_silent_provider_is_ended_by_its_own_timeout() -> None:
    target = Target(provider="acme", model="large", timeout=20, max_retries=0)
    _, seconds = _failure(Stage(Fault("stall"), target))
    assert seconds == pytest.approx(20)


@pytest.mark.parametrize(("fault", "seconds"), [("stall 30s", 30.8), ("slow 40s", 40)])
def test_a_late_answer_comes_in_its_time(fault: str, seconds: float) -> None:
    chunks, took = _streamed(Stage(_fault(fault)))
    assert chunks[-1].is_final
    assert took == pytest.approx(seconds)


def test_a_slow_answer_is_never_silent_for_long() -> None:
    target = Target(provider="acme", model="large", timeout=10, max_retries=0)
    chunks, took = _streamed(Stage(_fault("slow 6m"), target))
    assert chunks[-1].is_final
    assert took == pytest.approx(360)


def test_a_refused_key_is_given_up_once_for_the_next_one() -> None:
    stage = Stage(Fault("revoked"), Target(provider="acme", model="large", keys=2))
    chunks, seconds = _streamed(stage, times=2)
    assert chunks[-1].is_final
    assert stage.said.count("key") == 1
    assert seconds == pytest.approx(0.2 + 1.3 + 1.3)


def test_retries_are_those_of_the_real_guard() -> None:
    stage = Stage(_fault("503"), Target(provider="acme", model="large", max_retries=2))
    error, seconds = _failure(stage)
    assert len(error.attempts) == 3
    assert seconds == pytest.approx(3 * 0.2 + 1 + 2)
    assert stage.said.count("RetryScheduled") == 2


def test_an_endpoint_is_named_as_the_guard_names_it() -> None:
    names: Sequence[str] = [
        Target(provider="acme", model="m").where,
        Target(provider="acme", model="m", base_url="https://api.acme.example/v1").where,
    ]
    assert names == ["acme", "acme at https://api.acme.example/v1"]


def test_it_takes_tools_and_streams() -> None:
    provider = Stage(Fault("ok")).provider()
    assert provider.supports_tools()
    assert provider.supports_streaming()
    assert provider.name == "acme"
