"""How many of the recent calls failed: a sliding window of ten buckets.

Counts, and nothing else. Knows no states, no threads and no clock.
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["Window"]

_BUCKETS: Final = 10


class Window:
    """Calls and failures of the last seconds, to a tenth of the span.

    Args:
        span_s: how many seconds are remembered.
    """

    __slots__ = ("_buckets", "_calls", "_failures", "_width")

    def __init__(self, span_s: float) -> None:
        self._width = span_s / _BUCKETS
        self._buckets: deque[list[int]] = deque()  # [number, calls, failures], oldest first
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._buckets.clear()
        self._calls = self._failures = 0

    def add(self, now: float, *, failed: bool) -> tuple[int, int]:
        """Count one call; return `totals(now)`."""
        number = int(now / self._width)
        if not self._buckets or self._buckets[-1][0] != number:
            self._buckets.append([number, 0, 0])
        newest = self._buckets[-1]
        newest[1] += 1
        newest[2] += failed
        self._calls += 1
        self._failures += failed
        return self.totals(now)

    def totals(self, now: float) -> tuple[int, int]:
        """Return the calls and the failures within the window; what left it is dropped."""
        oldest = int(now / self._width) - _BUCKETS + 1
        while self._buckets and self._buckets[0][0] < oldest:
            _, calls, failures = self._buckets.popleft()
            self._calls -= calls
            self._failures -= failures
        return self._calls, self._failures
