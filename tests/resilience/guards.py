"""A guard in virtual time, and what its breaker has seen.

Knows nothing about what it guards.
"""

from __future__ import annotations

from victor.resilience.breaker import BreakerPolicy, CircuitBreaker
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryPolicy
from victor.testing.virtual import now

NO_RETRY = RetryPolicy(max_retries=0)


def guard(
    *,
    retry: RetryPolicy | None = None,
    deadlines: Deadlines | None = None,
    breaker: bool = True,
    **policy: float,
) -> Pipeline:
    circuit = CircuitBreaker("api", BreakerPolicy(**policy), clock=now, random=lambda: 0.5)  # type: ignore[arg-type]  # int or float by name
    return Pipeline(
        "api",
        breaker=circuit if breaker else None,
        retry=retry or RetryPolicy(jitter=0),
        deadlines=deadlines or Deadlines(),
        clock=now,
    )


def failures(pipeline: Pipeline) -> int:
    assert pipeline.breaker is not None
    return pipeline.breaker.snapshot().consecutive


def state(pipeline: Pipeline) -> str:
    assert pipeline.breaker is not None
    return pipeline.breaker.state
