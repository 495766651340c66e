"""What a circuit breaker hands out: leave for an attempt, and what it looks like at one moment.

Data. Knows nothing about how states change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from victor.resilience.events import BreakerEvent

__all__ = ["BreakerSnapshot", "BreakerState", "Permit"]

BreakerState: TypeAlias = Literal["closed", "open", "half-open", "forced-open", "disabled"]
"""The automatic three, and the two that a person sets."""


@dataclass(frozen=True, slots=True)
class BreakerSnapshot:
    """A breaker at one moment."""

    name: str
    state: BreakerState
    consecutive: int
    """Failures in a row."""
    calls: int
    """Calls that voted within the window."""
    failures: int
    """Failures within the window."""
    trips: int
    """How often it opened since it was last well; open times grow with it."""
    retry_at: float | None
    """When the next call will be let through, on the breaker's clock; None if at once."""
    last_error: str | None
    """Type and first line of the failure that opened it; None when closed."""
    epoch: int = field(default=0, compare=False)
    """How often its state changed."""

    @property
    def is_due(self) -> bool:
        """Whether the next call is let through as a trial."""
        return self.state in ("open", "half-open") and self.retry_at is None


class Permit:
    """Leave to make one attempt; settled exactly once."""

    __slots__ = ("epoch", "observe", "settled", "since")

    def __init__(
        self, epoch: int, since: float, observe: Callable[[BreakerEvent], None] | None
    ) -> None:
        self.epoch = epoch
        self.observe = observe
        self.since = since
        self.settled = False
