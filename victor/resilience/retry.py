"""When to try again: a schedule of waits, and a budget that keeps retries from multiplying.

Pure arithmetic. Knows nothing about why an attempt failed, and never sleeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

__all__ = ["RetryBudget", "RetryPolicy"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after which waits a failed attempt is made again. Times are seconds.

    Raises:
        ValueError: a number is negative, or `jitter` is above 1.
    """

    max_retries: int = 3
    """Extra attempts after the first."""
    retry_delay: float = 1.0
    """The wait before the first retry."""
    retry_backoff: float = 2.0
    """Every further wait is this many times longer."""
    max_delay: float = 60.0
    """No wait of our own choosing is longer."""
    max_retry_after: float = 60.0
    """A server that asks for a longer wait is not asked again."""
    jitter: float = 0.25
    """The share by which a wait is shortened at random, so that callers do not move in step."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)!r}")
        if self.jitter > 1:
            raise ValueError(f"jitter is a share between 0 and 1, not {self.jitter!r}")

    def wait(
        self, retry: int, retry_after: float | None, random: Callable[[], float]
    ) -> float | None:
        """Say how long to wait before a retry.

        Args:
            retry: which retry it would be, from 0.
            retry_after: seconds the server asked for: the wait is never shorter.
            random: returns a number from 0 up to 1.

        Returns:
            Seconds, or None if there shall be no such retry: they are used up, or the server asks
            for more patience than `max_retry_after`.
        """
        if retry >= self.max_retries:
            return None
        try:
            delay = min(self.max_delay, self.retry_delay * self.retry_backoff**retry)
        except OverflowError:
            delay = self.max_delay
        delay *= 1.0 - self.jitter * random()
        if retry_after is None:
            return delay
        return max(delay, retry_after) if retry_after <= self.max_retry_after else None


class RetryBudget:
    """Tokens that retries cost and successes earn: an outage cannot multiply the load.

    The "standard" retry mode of the AWS SDKs
    (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html). Safe to share by
    threads.

    Args:
        capacity: tokens at the start, and the most there can be.
        cost: tokens of a retry; twice that after a timeout.
    """

    def __init__(self, capacity: int = 500, *, cost: int = 5) -> None:
        self._capacity = capacity
        self._cost = cost
        self._tokens = capacity
        self._lock = Lock()

    @property
    def tokens(self) -> int:
        """What is left."""
        return self._tokens

    def spend(self, *, timed_out: bool = False) -> bool:
        """Pay for a retry; return whether there were tokens enough."""
        price = self._cost * 2 if timed_out else self._cost
        with self._lock:
            if price > self._tokens:
                return False
            self._tokens -= price
            return True

    def earn(self, *, retried: bool = False) -> None:
        """Book a success: one token, or the price of a retry if it took one."""
        if self._tokens == self._capacity:
            return
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + (self._cost if retried else 1))
