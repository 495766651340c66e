"""Virtual time: an event loop that never waits, so that minutes of retries pass in milliseconds.

    run_virtual(main())  # asyncio.sleep(3600) inside returns at once, an hour later

Where nothing is ready to run, the loop's time jumps to the next timer: it waits neither for sockets
nor for threads. Knows nothing about what is run.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["VirtualLoop", "now", "run_virtual"]

_T = TypeVar("_T")


class _Jump(selectors.DefaultSelector):
    """Where nothing is ready, lets the loop's time pass instead of waiting."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits, and in virtual time nothing will ever happen")
            self.loop.seconds += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer; it begins at 0."""

    def __init__(self) -> None:
        self.seconds = 0.0
        selector = _Jump()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.seconds


def run_virtual(main: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine in virtual time and return its result.

    Clocks other than the loop's own are not virtual: pass `now` to what takes one.

    Raises:
        RuntimeError: everybody waits for something that no timer will bring; also where an event
            loop runs already.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


def now() -> float:
    """Return the running loop's time, in seconds; a clock for breakers and pipelines."""
    return asyncio.get_running_loop().time()
