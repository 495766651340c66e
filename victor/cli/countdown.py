"""A line of a terminal on which seconds are counted down.

It is the last line and has no end yet: nothing above it is touched, and what stays is how long the
wait was. Knows nothing about what is waited for.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress

__all__ = ["Countdown"]


class Countdown:
    """Counts down from when it is made until `stop`; needs a running event loop.

    Args:
        write: writes to the terminal, at the start of a line.
        text: what stands before the seconds, sanitised; it is cut to the width of the terminal.
        wait_s: how long.
    """

    def __init__(self, write: Callable[[str], None], text: str, wait_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._write = write
        self._wait_s = wait_s
        self._due = self._loop.time() + wait_s
        # A line that wraps cannot be written anew.
        room = max(1, shutil.get_terminal_size().columns - len(" after 0000.0 s") - 1)
        self._text = text if len(text) <= room else text[: room - 1] + "…"
        self._timer: asyncio.TimerHandle | None = None
        self._write(self._line())
        self._next()

    def stop(self) -> None:
        """Leave on the line how long the wait was, if it is over; its end is the caller's."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop.time() >= self._due:
            self._write(f"\r{self._text} after {self._wait_s:.1f} s")

    def _line(self) -> str:
        left = max(0.0, self._due - self._loop.time())
        width = len(f"{self._wait_s:.0f}")
        return f"{self._text} in {left:>{width}.0f} s"

    def _next(self) -> None:
        self._timer = self._loop.call_later(min(1.0, self._due - self._loop.time()), self._tick)

    def _tick(self) -> None:
        with suppress(OSError):  # the terminal is gone; whoever writes next finds out
            self._write("\r" + self._line())
            if self._loop.time() < self._due:
                self._next()
