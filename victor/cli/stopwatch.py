"""The line of a tool call that is running: its seconds, and the last that it said.

It is the last line and has no end yet: nothing above it is touched. Knows nothing about tools or
colours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from victor.cli.width import cells, columns, fitted

__all__ = ["Stopwatch"]

_TICK_S = 1.0
_OFTEN_S = 0.1
"""What a tool says more often than this is not shown before the next tick."""


class Stopwatch:
    """Writes the line when it is made, and anew each second until `stop`; needs a running loop.

    Args:
        write: writes the line: how it starts (nothing, or back at the left edge), and its text.
        call: what runs, sanitised; it is cut to the width of the terminal.
        indent: columns that `write` puts before the text.
    """

    def __init__(self, write: Callable[[str, str], None], call: str, *, indent: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._write = write
        self._call = call
        self._indent = indent
        self._words = ""
        self._began = self._drawn_at = self._loop.time()
        first = fitted(call, self._room())
        self._drawn = cells(first)
        self.is_whole = first == call
        """Whether the line is as it was written first, with nothing of the call cut off."""
        write("", first)
        self._timer = self._loop.call_later(_TICK_S, self._tick)

    def say(self, words: str) -> None:
        """Show words of the tool, sanitised and on one line."""
        self._words = words
        if self._loop.time() - self._drawn_at >= _OFTEN_S:
            self._draw()

    def stop(self) -> None:
        """Write no more; the line stays, and its end is the caller's."""
        self._timer.cancel()

    def wipe(self) -> None:
        """Stop, and leave the line empty."""
        self.stop()
        self._write("\r", " " * self._drawn)
        self._drawn = 0

    def _tick(self) -> None:
        self._timer = self._loop.call_later(_TICK_S, self._tick)
        self._draw()

    def _draw(self) -> None:
        self._drawn_at = self._loop.time()
        text = self._text()
        width = cells(text)
        self.is_whole = False
        with suppress(OSError):  # the terminal is gone; whoever writes next finds out
            self._write("\r", text + " " * (self._drawn - width))
        self._drawn = max(self._drawn, width)

    def _room(self) -> int:
        # A line that wraps cannot be written anew.
        return max(10, columns() - 1 - self._indent)

    def _text(self) -> str:
        seconds = f" · {self._loop.time() - self._began:.0f} s"
        room = self._room() - cells(seconds)
        if not self._words:
            return fitted(self._call, room) + seconds
        room -= len(" · ")
        call = fitted(self._call, max(room // 2, room - cells(self._words)))
        return f"{call}{seconds} · {fitted(self._words, room - cells(call))}"
