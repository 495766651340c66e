from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.resilience.retry import RetryBudget, RetryPolicy


def low() -> float:
    return 0.0


def high() -> float:
    return 1.0


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        (RetryPolicy(), [1.0, 2.0, 4.0, None]),
        (RetryPolicy(max_retries=0), [None]),
        (RetryPolicy(max_retries=4, max_delay=3.0), [1.0, 2.0, 3.0, 3.0, None]),
        (RetryPolicy(retry_delay=0.5, retry_backoff=1.0), [0.5, 0.5, 0.5, None]),
    ],
    ids=["default", "no retries", "capped", "steady"],
)
def test_waits_grow_up_to_their_cap(policy: RetryPolicy, waits: list[float | None]) -> None:
    assert [policy.wait(retry, None, low) for retry in range(len(waits))] == waits


def test_jitter_only_shortens_a_wait() -> None:
    assert RetryPolicy(jitter=0.25).wait(1, None, high) == 1.5


@pytest.mark.parametrize(
    ("retry_after", "wait"), [(0.0, 1.0), (1.5, 1.5), (60.0, 60.0), (60.1, None), (1e9, None)]
)
def test_what_the_server_asks_for_is_a_floor_with_a_limit(
    retry_after: float, wait: float | None
) -> None:
    assert RetryPolicy().wait(0, retry_after, low) == wait


def test_a_retry_beyond_any_number_waits_the_longest() -> None:
    assert RetryPolicy(max_retries=10**6).wait(99_999, None, low) == 60.0


@pytest.mark.parametrize(
    "bad",
    [
        {"max_retries": -1},
        {"retry_delay": -0.1},
        {"retry_backoff": math.nan},
        {"jitter": 1.5},
        {"max_delay": -1},
    ],
    ids=str,
)
def test_a_senseless_number_is_refused_by_name(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        RetryPolicy(**bad)  # type: ignore[arg-type]  # wrong on purpose


@given(
    st.integers(0, 100),
    st.none() | st.floats(0, 1e6),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1),
)
@settings(max_examples=100)
def test_a_wait_is_never_shorter_than_asked_nor_longer_than_allowed(
    retry: int, retry_after: float | None, chance: float, jitter: float
) -> None:
    policy = RetryPolicy(max_retries=50, jitter=jitter)
    wait = policy.wait(retry, retry_after, lambda: chance)
    if wait is None:
        assert retry >= 50 or (retry_after or 0) > 60
    else:
        assert (retry_after or 0) <= wait <= 60


def test_a_budget_pays_for_retries_until_it_is_empty() -> None:
    budget = RetryBudget(20, cost=5)
    assert budget.spend()
    assert budget.spend(timed_out=True)
    assert not budget.spend(timed_out=True)
    assert budget.spend()
    assert not budget.spend()
    assert budget.tokens == 0


def test_successes_refill_a_budget_up_to_its_capacity() -> None:
    budget = RetryBudget(20, cost=5)
    budget.spend(timed_out=True)
    budget.earn()
    assert budget.tokens == 11
    budget.earn(retried=True)
    assert budget.tokens == 16
    budget.earn(retried=True)
    assert budget.tokens == 20


def test_threads_never_spend_more_than_there_is() -> None:
    budget = RetryBudget(5_000, cost=5)
    with ThreadPoolExecutor(8) as pool:
        paid = sum(pool.map(lambda _: budget.spend(), range(2_000)))
    assert (paid, budget.tokens) == (1_000, 0)
