"""A clock for tests that is set by hand. One that passes by itself is `victor.testing.virtual`."""

from __future__ import annotations


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now
