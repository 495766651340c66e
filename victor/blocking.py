"""Run a coroutine from blocking code: one background event loop for the whole process.

Knows nothing about what it runs. The loop lives in a daemon thread that starts with the first call,
so that HTTP connections and the embedded model stay warm between calls.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run_blocking"]

T = TypeVar("T")

_starting = threading.Lock()


@functools.cache
def _loop(process: int) -> asyncio.AbstractEventLoop:  # noqa: ARG001 - a fork has no threads
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="victor-loop", daemon=True).start()
    return loop


def run_blocking(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on the background loop and return its result.

    An interrupt (Ctrl-C) cancels the coroutine before it is raised.

    Args:
        work: the coroutine.

    Raises:
        RuntimeError: called on a thread that runs an event loop: await the coroutine there.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        work.close()
        raise RuntimeError("this thread runs an event loop: use the async method and await it")
    with _starting:  # the cache alone would let two first callers start two loops
        loop = _loop(os.getpid())
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise
