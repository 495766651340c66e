"""Deadlines that count only the time spent waiting for somebody else.

A `Watchdog` cancels the task that waits inside it when the wait outlasts its limit. The consumer of
a stream may take as long as it likes between two items: nothing runs meanwhile. Knows nothing about
streams, errors or retries.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import Final

__all__ = ["Deadlines", "Watchdog"]

_current_task = asyncio.current_task

_STALL_S: Final = 0.1
"""A timer that rings this late shows that the loop stood still, and not that nobody answered."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long an attempt may take, in seconds; None is for ever.

    Only waiting counts, not what the consumer of a stream does between two items.

    Raises:
        ValueError: a limit is not above 0.
    """

    call_s: float | None = 60.0
    """One whole attempt without streaming."""
    first_content_s: float | None = 60.0
    """Until the first content of a stream; heartbeats are not content."""
    idle_s: float | None = 60.0
    """Between two pieces of content."""
    total_s: float | None = None
    """One whole attempt of a stream."""
    wait_s: float | None = None
    """Before another attempt: a call that would have to wait longer fails at once."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} must be above 0 seconds, or None, not {limit!r}")


class Watchdog:
    """Cancels the waiting task when a wait is too long.

    Put `begin()` before an `await` and `end()` after it. When the `await` raises, `claims(error)`
    tells whether that was this watchdog's doing. Belongs to the running event loop; the task may be
    another one from one wait to the next. One timer is kept and moved lazily, so that a wait costs
    no call into the loop's schedule.

    Args:
        limit_s: seconds of waiting until `restart` is called; None is for ever.
        total_s: seconds of waiting altogether; None is for ever.
    """

    __slots__ = (
        "_cancelling",
        "_due",
        "_end",
        "_fired",
        "_limit_end",
        "_loop",
        "_since",
        "_task",
        "_time",
        "_timer",
        "_total_end",
        "_waited",
        "_waiting",
    )

    def __init__(self, limit_s: float | None, total_s: float | None = None) -> None:
        self._loop = loop = asyncio.get_running_loop()
        # Asked twice for every item: without the method that only asks the same.
        is_plain = type(loop).time is asyncio.BaseEventLoop.time
        self._time = time.monotonic if is_plain else loop.time
        self._waited = 0.0
        """Seconds of all waits that are over; the limits end at sums of it."""
        self._total_end = math.inf if total_s is None else total_s
        self.restart(limit_s)
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf
        self._since = 0.0
        self._cancelling = 0
        self._waiting = False
        self._fired = False

    @property
    def waiting(self) -> bool:
        """Whether a wait has begun and not ended."""
        return self._waiting

    @property
    def total_is_up(self) -> bool:
        """After `claims`: whether it was the total that ran out."""
        return self._total_end <= self._limit_end

    def begin(self) -> None:
        """Start to wait."""
        self._task = task = _current_task(self._loop)
        # What counts is a cancellation that arrives during this wait.
        self._cancelling = 0 if task is None else task.cancelling()
        self._waiting = True
        self._since = since = self._time()
        due = since + self._end - self._waited
        # A timer that rings too early moves itself; only one that would be late is replaced.
        if due < self._due:
            self._ring_at(due)

    def end(self) -> None:
        """Stop waiting: something came."""
        self._waiting = False
        self._waited += self._time() - self._since
        if self._fired:
            self._take_back()

    def restart(self, limit_s: float | None) -> None:
        """Start the clock of the limit anew; the total goes on."""
        self._limit_end = end = math.inf if limit_s is None else self._waited + limit_s
        self._end = end if end < self._total_end else self._total_end

    def claims(self, error: BaseException) -> bool:
        """Tell whether the wait failed because this watchdog ended it; it has ended then.

        The cancellation is taken back, as `asyncio.timeout` does it. A cancellation that somebody
        else asked for as well is not claimed.
        """
        self._waiting = False
        if not self._fired:
            return False
        cancelled_by_others = self._take_back() > self._cancelling
        if isinstance(error, asyncio.CancelledError):
            return not cancelled_by_others
        # Code on the way may have turned the cancellation into an error of its own.
        return isinstance(error, Exception) and not cancelled_by_others

    def close(self) -> None:
        """Let the timer go. Safe to call twice."""
        self._waiting = False
        self._due = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        now = self._time()
        late = now - self._due
        self._timer = None
        self._due = math.inf
        if not self._waiting or self._task is None:
            return
        if late > _STALL_S:
            # What came meanwhile has not been read yet; it gets a moment to be.
            self._since += late + _STALL_S
        due = self._since + self._end - self._waited
        if due > now:
            self._ring_at(due)
            return
        self._fired = True
        self._task.cancel()

    def _take_back(self) -> int:
        self._fired = False
        return 0 if self._task is None else self._task.uncancel()
