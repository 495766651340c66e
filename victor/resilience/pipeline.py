"""The guard round one endpoint: every attempt passes breaker and deadline, the call may retry.

    retry -> breaker.admit -> deadline -> the attempt -> breaker.settle, exactly once

Knows outcomes. What an attempt does, and what the items of a stream are, only its caller knows.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from random import random as _random
from typing import Any, TypeAlias, TypeVar

from victor.resilience.attempts import Guard, Observer, Run, StreamAttempt
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.circuits import Circuits
from victor.resilience.deadlines import Deadlines, Watchdog
from victor.resilience.events import (
    AttemptFailed,
    BreakerEvent,
    GuardEvent,
    RetryScheduled,
)
from victor.resilience.retry import RetryBudget, RetryPolicy
from victor.resilience.votes import judge, judge_response
from victor.types import Attempt

__all__ = [
    "AttemptFailed",
    "Before",
    "Deadlines",
    "GuardEvent",
    "Mark",
    "Observer",
    "Pipeline",
    "RetryScheduled",
]

T = TypeVar("T")

Mark: TypeAlias = tuple[ContextVar[Any], object]
"""A context variable and a value for it."""

Before: TypeAlias = Callable[[Observer | None], Awaitable[None]]
"""What attempts have to pass first; is given who is to be told of waits."""

_log = logging.getLogger(__name__)


class Pipeline:
    """Guards the calls to one endpoint.

    What an attempt raises reaches the caller as it is. Only a deadline of our own becomes a
    `ProviderTimeoutError`, and a stream that breaks after its first content a
    `StreamInterruptedError`.

    Args:
        name: the endpoint, for messages; never holds a key.
        owner: whose endpoint it is, for the errors; by default the name.
        breaker: or the circuits of the endpoint; None leaves the breaker out.
        retry: how often and when to try again.
        deadlines: limits of one attempt.
        budget: limits the retries of many calls together; None is no limit.
        clock: monotonic seconds.
        sleep: waits between attempts.
        random: a number from 0 up to 1.
        on_event: is told of failed attempts, scheduled retries, and what they do to the breaker;
            what it raises is logged and goes no further.
    """

    def __init__(
        self,
        name: str,
        *,
        owner: str | None = None,
        breaker: CircuitBreaker | Circuits | None,
        retry: RetryPolicy,
        deadlines: Deadlines,
        budget: RetryBudget | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        random: Callable[[], float] = _random,
        on_event: Observer | None = None,
    ) -> None:
        self.name = name
        self.circuits = Circuits(breaker) if isinstance(breaker, CircuitBreaker) else breaker
        self.deadlines = deadlines
        self._guard = Guard(name, owner or name, self.circuits, retry, budget, clock, random)
        self._sleep = sleep
        self._on_event = on_event

    @property
    def breaker(self) -> CircuitBreaker | None:
        """The breaker of the whole endpoint."""
        return None if self.circuits is None else self.circuits.endpoint

    async def call(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        part: str | None = None,
        records: list[Attempt] | None = None,
        deadlines: Deadlines | None = None,
        on_event: Observer | None = None,
        before: Before | None = None,
    ) -> T:
        """Make attempts until one succeeds or trying again is no use.

        Args:
            attempt: starts one attempt.
            part: what of the endpoint it is for, which may fail alone.
            records: gets every attempt that is over.
            deadlines: limits for this call instead of the pipeline's.
            on_event: a second observer, for this call only.
            before: awaited before each attempt, outside its deadline, unless the breaker refuses
                it anyway; is given who to tell of waits. What it raises ends the call and says
                nothing about the endpoint.

        Raises:
            CircuitOpenError: refused by the breaker; nothing was attempted.
            ProviderTimeoutError: the last attempt took longer than `call_s`.
            BaseException: what the last attempt raised, unchanged.
        """
        limits = deadlines or self.deadlines
        limit_s = limits.call_s
        observe = self._observer(on_event)
        run = Run(self._guard, observe, part, records, limits.wait_s)
        while True:
            if before is not None and not self._is_open(part):
                await before(observe)
            if (turn := run.turn()) is not None:
                await turn
            run.start()
            try:
                value = await self._within(limit_s, attempt)
            except BaseException as error:
                wait = run.failed(error)
                if wait is None:
                    raise
            else:
                run.succeeded()
                return value
            await self._sleep(wait)

    def stream(
        self,
        attempt: Callable[[], AsyncIterator[T]],
        *,
        content_of: Callable[[T], str | None],
        is_final: Callable[[T], bool],
        mark: Mark | None = None,
        finish: Callable[[T, tuple[Attempt, ...]], None] | None = None,
        part: str | None = None,
        deadlines: Deadlines | None = None,
        on_event: Observer | None = None,
        before: Before | None = None,
    ) -> AsyncGenerator[T, None]:
        """Pass a stream on, item by item. It is tried again only before its first content.

        The stream that `attempt` returns is closed on every path. It has succeeded when it ends
        after a final item; a consumer that leaves earlier says nothing about the endpoint.

        Args:
            attempt: starts one stream.
            content_of: the text of an item, `""` if it is useful without one; None for heartbeats.
            is_final: whether an item says that the stream is complete.
            mark: a variable and the value it has while the stream's own code runs.
            finish: is given the final item and all attempts, before the item is passed on.
            part: what of the endpoint it is for, which may fail alone.
            deadlines: limits for this stream instead of the pipeline's.
            on_event: a second observer, for this stream only.
            before: as in `call`.

        Raises:
            CircuitOpenError: refused by the breaker; nothing was attempted.
            StreamInterruptedError: the stream broke, stalled or ended too early after content.
            ProviderTimeoutError: no content within `first_content_s`.
            ProviderInvalidResponseError: the stream ended with neither content nor a final item.
            BaseException: what the last attempt raised, unchanged.
        """
        observe = self._observer(on_event)
        limits = deadlines or self.deadlines
        run = Run(self._guard, observe, part, [], limits.wait_s)

        async def begin() -> StreamAttempt:
            if before is not None and not self._is_open(part):
                await before(observe)
            if (turn := run.turn()) is not None:
                await turn
            return StreamAttempt(run, limits, finish)

        return self._stream(attempt, content_of, is_final, mark, begin)

    async def call_once(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Run something under the breaker alone: no retry and no deadline.

        Args:
            fn: starts the work. If it returns something with an HTTP status, such as a response
                that was not checked yet, that status is the outcome.

        Raises:
            CircuitOpenError: refused by the breaker; nothing was started.
            BaseException: what `fn` raised, unchanged.
        """
        run = Run(self._guard, self._observer(None))
        if (turn := run.turn()) is not None:
            await turn
        run.start()
        try:
            value = await fn()
        except BaseException as error:
            run.settle(judge(error), error)
            raise
        run.settle(judge_response(value))
        return value

    async def _stream(  # noqa: C901, PLR0912 - a call costs as much as the rest does for an item
        self,
        attempt: Callable[[], AsyncIterator[T]],
        content_of: Callable[[T], str | None],
        is_final: Callable[[T], bool],
        mark: Mark | None,
        begin: Callable[[], Awaitable[StreamAttempt]],
    ) -> AsyncGenerator[T, None]:
        while True:
            state = await begin()
            dog, parts, idle_s = state.dog, state.parts, state.limits.idle_s
            source: AsyncIterator[T] | None = None
            try:
                dog.begin()
                source = attempt()
                advance = aiter(source).__anext__
                while True:
                    dog.begin()
                    token = None if mark is None else mark[0].set(mark[1])
                    try:
                        item = await advance()
                    except StopAsyncIteration:
                        break
                    finally:
                        if token is not None:
                            token.var.reset(token)
                    dog.end()
                    text = content_of(item)
                    if text is not None:
                        dog.restart(idle_s)
                        parts.append(text)
                        if not state.begun:
                            state.begin()
                    if is_final(item):
                        state.finish(item)
                    yield item
                state.end()
                return
            except BaseException as error:
                wait = state.failed(error)
                if state.complete:
                    return
                if wait is None:
                    raise
            finally:
                dog.close()
                await _close(source)
            await self._sleep(wait)

    async def _within(self, limit_s: float | None, attempt: Callable[[], Awaitable[T]]) -> T:
        if limit_s is None:
            return await attempt()
        dog = Watchdog(limit_s)
        dog.begin()
        try:
            value = await attempt()
        except BaseException as error:
            if dog.claims(error):
                raise self._guard.timed_out("no answer within", limit_s) from error
            raise
        else:
            dog.end()
            return value
        finally:
            dog.close()

    def _is_open(self, part: str | None) -> bool:
        return self.circuits is not None and self.circuits.wait_s(part) > 0

    def _observer(self, on_event: Observer | None) -> Observer | None:
        observers = [each for each in (self._on_event, on_event) if each is not None]
        if not observers:
            return None

        def tell(event: GuardEvent | BreakerEvent) -> None:
            for observer in observers:
                try:
                    observer(event)
                except Exception:  # noqa: BLE001 - an observer's bug must not enter a call
                    _log.exception("an observer of the guard of %s failed", self.name)

        return tell


async def _close(source: object) -> None:
    close = getattr(source, "aclose", None)
    if close is None:
        return
    try:
        await close()
    except Exception:  # noqa: BLE001 - must not replace the answer, or the error on its way
        _log.warning("closing a stream failed", exc_info=True)
