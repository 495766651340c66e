"""Call a blocking function from a coroutine, on a daemon thread that is kept for the next call.

Not `asyncio.to_thread`: its threads are few and are joined at exit, so tools that never return
would block every later call and the end of the process. Knows nothing about tools.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

__all__ = ["call_in_thread"]

_T = TypeVar("_T")

_MOST_IDLE = 8
"""Threads kept for later; more are started where needed and end with their call."""

_Jobs: TypeAlias = SimpleQueue[Callable[[], Callable[[], object]]]
"""Each job does its work and returns what is still to be called: the delivery of the result."""


def call_in_thread(function: Callable[[], _T]) -> asyncio.Future[_T]:
    """Start a function on another thread, with the caller's context variables.

    Args:
        function: what to call. Cancelling the future does not stop it.

    Returns:
        A future of the running loop with the function's result or exception.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()
    context = contextvars.copy_context()

    def job() -> Callable[[], object]:
        value: Any = None
        failure: BaseException | None = None
        try:
            value = context.run(function)
        except StopIteration as error:  # a future cannot carry it
            failure = RuntimeError("the function raised StopIteration")
            failure.__cause__ = error
        except BaseException as error:  # noqa: BLE001 - carried over to the caller
            failure = error
        return functools.partial(loop.call_soon_threadsafe, _settle, done, value, failure)

    try:
        jobs = _idle(os.getpid()).pop()
    except IndexError:
        jobs = SimpleQueue()
        threading.Thread(target=_serve, args=(jobs,), name="victor-tool", daemon=True).start()
    jobs.put(job)
    return done


def _settle(done: asyncio.Future[Any], value: Any, failure: BaseException | None) -> None:
    if done.done():  # cancelled: nobody waits any more
        return
    if failure is None:
        done.set_result(value)
    else:
        done.set_exception(failure)


@functools.cache
def _idle(_process: int) -> list[_Jobs]:
    """Return the queues of the threads that wait; a forked process has none of its parent's."""
    return []


def _serve(jobs: _Jobs) -> None:
    idle = _idle(os.getpid())
    while True:
        deliver = jobs.get()()
        # First back among the idle, then deliver: the next call often comes at once.
        kept = len(idle) < _MOST_IDLE
        if kept:
            idle.append(jobs)
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            deliver()
        if not kept:
            return
        del deliver  # it holds the result
