"""The attempts of one guarded call: who votes what, whether another follows, which error goes on.

The bookkeeping of `pipeline`, which does the awaiting. Knows no task and no socket.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from victor.errors import (
    CircuitOpenError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderTimeoutError,
    StreamInterruptedError,
)
from victor.resilience.circuits import Circuits, Leave
from victor.resilience.deadlines import Deadlines, Watchdog
from victor.resilience.events import (
    AttemptFailed,
    AttemptStarted,
    BreakerEvent,
    GuardEvent,
    RetryScheduled,
    one_line,
)
from victor.resilience.retry import RetryBudget, RetryPolicy
from victor.resilience.votes import Outcome, Vote, judge
from victor.types import Attempt

__all__ = ["Guard", "Observer", "Run", "StreamAttempt"]

Observer: TypeAlias = Callable[[GuardEvent | BreakerEvent], None]
"""Is told what happens, in the task and context of the call it happens to."""

_OK: Final = Outcome(Vote.OK)
_NEUTRAL: Final = Outcome(Vote.NEUTRAL)


@dataclass(frozen=True, slots=True)
class Guard:
    """What all calls to one endpoint have in common; the fields are `Pipeline`'s arguments."""

    name: str
    owner: str
    circuits: Circuits | None
    retry: RetryPolicy
    budget: RetryBudget | None
    clock: Callable[[], float]
    random: Callable[[], float]

    def timed_out(self, phase: str, limit_s: float | None) -> ProviderTimeoutError:
        """Make the error for one of our own deadlines."""
        return ProviderTimeoutError(f"{self.name}: {phase} {limit_s:g} s", provider=self.owner)


class Run:
    """The attempts of one call."""

    __slots__ = (
        "_attempt",
        "_last",
        "_leave",
        "_most_wait_s",
        "_observe",
        "_part",
        "_records",
        "_since",
        "guard",
    )

    def __init__(
        self,
        guard: Guard,
        observe: Observer | None,
        part: str | None = None,
        records: list[Attempt] | None = None,
        most_wait_s: float | None = None,
    ) -> None:
        self.guard = guard
        self._most_wait_s = math.inf if most_wait_s is None else most_wait_s
        self._records = records
        self._observe = observe
        self._part = part
        self._attempt = 0
        self._since = 0.0
        self._last: BaseException | None = None
        self._leave: Leave | None = None

    def turn(self) -> Awaitable[None] | None:
        """Return what has to be awaited before `start`: what other processes know."""
        circuits = self.guard.circuits
        if circuits is None or circuits.outside is None:
            return None
        return circuits.outside.turn(self._part)

    def start(self) -> None:
        """Begin an attempt, if the breaker lets it."""
        if not self._admitted() and self._last is not None:
            raise self._last
        self._attempt += 1
        self._since = self.guard.clock()
        if self._observe is not None:
            self._observe(AttemptStarted(self._attempt, self.guard.owner, self._part))

    def _admitted(self) -> bool:
        circuits = self.guard.circuits
        if circuits is not None:
            try:
                self._leave = circuits.admit(self._part, self._observe)
            except CircuitOpenError:
                if circuits.outside is not None:
                    circuits.outside.changed(self._part)
                # Opened while we waited: what this call failed of tells the caller more.
                if self._last is not None:
                    return False
                raise
        return True

    def progress(self) -> None:
        """Say that the attempt delivers."""
        circuits, leave = self.guard.circuits, self._leave
        if leave is None or circuits is None:
            return
        circuits.probe_progress(leave)
        if circuits.outside is not None:
            circuits.outside.changed(self._part)

    def settle(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Give the attempt's vote."""
        circuits, leave = self.guard.circuits, self._leave
        if leave is None or circuits is None:
            return
        again = leave.endpoint.settled
        circuits.settle(leave, outcome, error)
        if circuits.outside is not None and not again:
            seconds = self.guard.clock() - self._since
            circuits.outside.settled(self._part, outcome, error, seconds)

    def succeeded(self) -> None:
        self.settle(_OK)
        if self.guard.budget is not None:
            self.guard.budget.earn(retried=self._attempt > 1)
        self._last = None
        self._record(None)

    def failed(self, error: BaseException, *, last: bool = False) -> float | None:
        """Vote, and return the wait before the next attempt; None if there is none."""
        outcome = judge(error)
        self.settle(outcome, error)
        if not isinstance(error, Exception):
            return None
        seconds = self._record(error)
        if self._observe is not None:
            self._observe(AttemptFailed(error, self._attempt, seconds))
        wait = None if last else self._wait(outcome, error)
        if wait is not None:
            self._last = error
            if self._observe is not None:
                self._observe(RetryScheduled(error, wait, self._attempt))
        return wait

    def _record(self, error: Exception | None) -> float:
        seconds = self.guard.clock() - self._since
        if self._records is not None:
            told = None if error is None else one_line(error)
            self._records.append(Attempt(self.guard.owner, self._part, seconds, told))
            if isinstance(error, ProviderError):
                error.attempts = tuple(self._records)
        return seconds

    @property
    def failures(self) -> tuple[Attempt, ...]:
        """The attempts that are over."""
        return tuple(self._records or ())

    def so_far(self) -> tuple[Attempt, ...]:
        """Return the attempts up to now, the one under way as a success."""
        seconds = self.guard.clock() - self._since
        return (*self.failures, Attempt(self.guard.owner, self._part, seconds))

    def _wait(self, outcome: Outcome, error: Exception) -> float | None:
        most = outcome.most_retries
        if not outcome.retryable or (most is not None and self._attempt > most):
            return None
        guard = self.guard
        wait = guard.retry.wait(self._attempt - 1, outcome.retry_after, guard.random)
        if wait is None or wait > self._most_wait_s:
            return None
        if guard.circuits is not None and guard.circuits.wait_s(self._part) > wait:
            return None
        timed_out = isinstance(error, TimeoutError | ProviderTimeoutError)
        if guard.budget is not None and not guard.budget.spend(timed_out=timed_out):
            return None
        return wait


class StreamAttempt:
    """One attempt of a stream, begun if the breaker lets it: what has come so far."""

    __slots__ = ("_finish", "_run", "begun", "complete", "dog", "final", "limits", "parts")

    def __init__(
        self,
        run: Run,
        limits: Deadlines,
        finish: Callable[[Any, tuple[Attempt, ...]], None] | None,
    ) -> None:
        run.start()
        self._run = run
        self._finish = finish
        self.limits = limits
        self.dog = Watchdog(limits.first_content_s, limits.total_s)
        self.parts: list[str] = []
        self.begun = False
        """Content has come: from here on nothing is tried again."""
        self.final = False
        self.complete = False
        """It failed after its final item, which takes nothing away from it."""

    def begin(self) -> None:
        self.begun = True
        self._run.progress()

    def finish(self, item: object) -> None:
        """Take the final item."""
        self.final = True
        if self._finish is not None:
            self._finish(item, self._run.so_far())

    def end(self) -> None:
        if not self.final:
            raise ProviderInvalidResponseError(
                f"{self._run.guard.name}: the stream ended without its final message",
                provider=self._run.guard.owner,
            )
        self._run.succeeded()

    def failed(self, error: BaseException) -> float | None:
        """Vote, and return the wait before the next attempt; None if `error` goes on as it is."""
        if not self.dog.waiting:  # the consumer left, or threw something at us
            self._run.settle(_OK if self.final else _NEUTRAL)
            return None
        timeout: ProviderTimeoutError | None = None
        if self.dog.claims(error):
            timeout = self._timeout()
            timeout.__cause__ = error
        failure = timeout or error
        if self.final and judge(failure).vote is Vote.FAIL:
            self._run.succeeded()
            self.complete = True
            return None
        if self.begun and isinstance(failure, Exception):
            self._run.failed(failure, last=True)
            if isinstance(failure, StreamInterruptedError):
                return None
            raise self._interrupted(failure) from failure
        wait = self._run.failed(failure)
        if wait is None and timeout is not None:
            raise timeout
        return wait

    def _timeout(self) -> ProviderTimeoutError:
        limits, timed_out = self.limits, self._run.guard.timed_out
        if self.dog.total_is_up:
            return timed_out("the stream was not complete after", limits.total_s)
        if self.begun:
            return timed_out("the stream brought nothing new for", limits.idle_s)
        return timed_out("no content within", limits.first_content_s)

    def _interrupted(self, error: Exception) -> StreamInterruptedError:
        partial = "".join(self.parts)
        interrupted = StreamInterruptedError(
            f"{self._run.guard.name}: the stream broke after {len(partial)} characters: "
            f"{one_line(error)}",
            partial,
            provider=self._run.guard.owner,
            model=error.model if isinstance(error, ProviderError) else None,
            raw_error=error,
        )
        interrupted.attempts = self._run.failures
        return interrupted
