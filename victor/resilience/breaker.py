"""A circuit breaker for asynchronous work, over pybreaker's state machine.

pybreaker counts and changes states soundly when an outcome is an instant; it cannot be held over
an `await` (it counts cancellations, lets everybody through when half-open, and lets late outcomes
vote). So a permit is handed out before the work and settled after it, and only then is the outcome
recorded, with pybreaker's synchronous `call`. Permits carry the epoch they were handed out in: one
of an epoch gone by has no vote.

Knows nothing about what is guarded, about exceptions' meaning (see `votes`) or about sleeping.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from random import random as _random
from threading import Lock
from typing import Literal, NoReturn, TypeAlias

from victor.errors import CircuitOpenError
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.breaker_values import BreakerSnapshot, BreakerState, Permit
from victor.resilience.events import (
    BreakerClosed,
    BreakerEvent,
    BreakerHalfOpened,
    BreakerOpened,
    one_line,
)
from victor.resilience.votes import Outcome, Vote
from victor.resilience.window import Window

__all__ = [
    "BreakerClosed",
    "BreakerEvent",
    "BreakerHalfOpened",
    "BreakerOpened",
    "BreakerPolicy",
    "BreakerSnapshot",
    "BreakerState",
    "CircuitBreaker",
    "Permit",
]

_Listener: TypeAlias = Callable[[BreakerEvent], None]
_Mode: TypeAlias = Literal["auto", "forced-open", "disabled"]

_log = logging.getLogger(__name__)
_POLICY = BreakerPolicy()


class CircuitBreaker:
    """Refuses calls to an endpoint that fails, and finds out by itself when it is well again.

    Closed: everything passes, failures are counted. Open: everything is refused. Half-open: one
    trial call passes; if it fails the circuit opens again, for longer. Safe to share by threads.

    Args:
        name: the endpoint, for messages; never holds a key.
        policy: when to open and for how long.
        owner: whose endpoint it is, for the errors; by default the name.
        clock: monotonic seconds.
        random: a number from 0 up to 1; spreads the open times of many clients.
    """

    def __init__(
        self,
        name: str,
        policy: BreakerPolicy = _POLICY,
        *,
        owner: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = _random,
    ) -> None:
        # Here, because pybreaker imports redis and tornado where they are installed.
        from pybreaker import CircuitBreaker as StateMachine

        self.name = name
        self.policy = policy
        self._owner = owner or name
        self._clock = clock
        self._random = random
        self._lock = Lock()
        self._machine = StateMachine(
            fail_max=policy.consecutive_failures, throw_new_error_on_trip=False
        )
        self._window = Window(policy.window_s)
        self._mode: _Mode = "auto"
        self._epoch = 0
        self._trips = 0
        self._until = 0.0
        self._probe: Permit | None = None
        self._probed_elsewhere = False
        self._last_error: BaseException | None = None
        self._listeners: tuple[_Listener, ...] = ()

    @property
    def state(self) -> BreakerState:
        """The state as it is; an open circuit half-opens with the first call after its time."""
        if self._mode != "auto":
            return self._mode
        state: BreakerState = self._machine.current_state  # type: ignore[assignment] # its str
        return state

    @property
    def epoch(self) -> int:
        """How often the state changed; cheap, for those who watch for changes."""
        return self._epoch

    def admit(self, observe: _Listener | None = None) -> Permit:
        """Ask for leave to make an attempt; every permit has to be settled.

        Args:
            observe: is told, as listeners are, of the changes that this attempt causes.

        Raises:
            CircuitOpenError: the circuit is open, or its one trial call is on its way.
        """
        with self._lock:
            state = self.state
            if state in ("closed", "disabled"):
                return Permit(self._epoch, 0.0, observe)
            now = self._clock()
            if self._retry_at(state) > now:
                self._refuse(state, now)
            permit = self._probe = Permit(self._epoch, now, observe)
            if state == "open":
                self._machine.half_open()
                self._epoch += 1
                permit.epoch = self._epoch
        if state == "open":
            self._tell(BreakerHalfOpened(self.name), observe)
        return permit

    def recall(self, failures: int) -> None:
        """Count failures in a row of before this breaker was made; only one more may open it."""
        with self._lock:
            if self.state != "closed" or self._epoch or self._machine.fail_counter:
                return
            for _ in range(min(failures, self.policy.consecutive_failures - 1)):
                self._record_failure()

    def late_permit(self, observe: _Listener | None = None) -> Permit:
        """Return a permit for an attempt that was made without asking; it is only to be settled."""
        with self._lock:
            return Permit(self._epoch, 0.0, observe)

    def like(self, name: str) -> CircuitBreaker:
        """Make a breaker of another name with the same policy, owner, clock and randomness."""
        return CircuitBreaker(
            name, self.policy, owner=self._owner, clock=self._clock, random=self._random
        )

    def settle(self, permit: Permit, outcome: Outcome, error: BaseException | None = None) -> None:
        """Record what became of an attempt. Later calls for the same permit have no effect.

        Args:
            permit: what `admit` returned.
            outcome: the verdict.
            error: the failure, for messages.
        """
        with self._lock:
            if permit.settled:
                return
            permit.settled = True
            if permit.epoch != self._epoch or self._mode != "auto":
                return
            if permit is self._probe:
                self._probe = None
            if self._machine.current_state == "closed":
                event = self._vote_closed(outcome, error)
            else:
                event = self._vote_half_open(outcome, error)
        if event is not None:
            self._tell(event, permit.observe)

    def probe_progress(self, permit: Permit) -> None:
        """Say that a trial call delivers: the circuit closes, and nobody waits for its end.

        From then on the trial is a call like any other and votes when it is settled. Has no effect
        for other permits.
        """
        with self._lock:
            if permit is not self._probe:
                return
            # `trips` stays: a trial that breaks off later has proved little.
            event = self._close()
            permit.epoch = self._epoch
        self._tell(event, permit.observe)

    def wait_s(self) -> float:
        """Seconds until a call may be let through: 0 if at once, infinite if forced open."""
        with self._lock:
            return max(0.0, self._retry_at(self.state) - self._clock())

    def snapshot(self) -> BreakerSnapshot:
        """Describe the breaker as it is now."""
        with self._lock:
            state, now = self.state, self._clock()
            calls, failures = self._window.totals(now)
            retry_at = self._retry_at(state)
            return BreakerSnapshot(
                name=self.name,
                state=state,
                consecutive=self._machine.fail_counter,
                calls=calls,
                failures=failures,
                trips=self._trips,
                retry_at=retry_at if retry_at > now else None,
                last_error=None if self._last_error is None else one_line(self._last_error),
                epoch=self._epoch,
            )

    def adopt(
        self,
        until: float | None,
        *,
        trips: int = 0,
        error: BaseException | None = None,
        probing: bool = False,
    ) -> int:
        """Take over what somebody else found out; attempts under way lose their votes.

        Has no effect on `force_open()` and `disable()`.

        Args:
            until: when a call may be let through, on the breaker's clock; None if all is well.
            trips: how often the circuit opened in a row.
            error: the failure that opened it.
            probing: somebody else's trial call is on its way.

        Returns:
            The epoch, as of then.
        """
        event: BreakerEvent | None = None
        with self._lock:
            was = self._machine.current_state
            if self._mode == "auto":
                self._trips = trips
                if until is not None:
                    opened = self._open_until(until, error, probing=probing)
                    event = opened if was != "open" else None
                elif was != "closed":
                    event = self._close()
            epoch = self._epoch
        if event is not None:
            self._tell(event)
        return epoch

    def force_open(self) -> None:
        """Refuse everything until `auto()` or `disable()`."""
        self._switch("forced-open", BreakerOpened(self.name, math.inf, None))

    def disable(self) -> None:
        """Let everything through and count nothing until `auto()` or `force_open()`."""
        self._switch("disabled", BreakerClosed(self.name))

    def auto(self) -> None:
        """End `force_open()` or `disable()`: start closed, with nothing counted."""
        self._switch("auto", BreakerClosed(self.name))

    def add_listener(self, listener: _Listener) -> Callable[[], None]:
        """Have a function told of every change; what it raises is logged and goes no further.

        Returns:
            A function that takes the listener away again.
        """

        def remove() -> None:
            with self._lock:
                # By identity: equal bound methods may have been added twice.
                kept = [each for each in self._listeners if each is not listener]
                self._listeners = tuple(kept)

        with self._lock:
            self._listeners = (*self._listeners, listener)
        return remove

    # Everything below runs with the lock held, except `_tell` and `_switch`.

    def _vote_closed(self, outcome: Outcome, error: BaseException | None) -> BreakerEvent | None:
        if outcome.vote not in (Vote.OK, Vote.FAIL):
            return None
        failed = outcome.vote is Vote.FAIL
        calls, failures = self._window.add(self._clock(), failed=failed)
        if not failed:
            self._machine.call(_succeed)
            self._trips = 0
            return None
        self._record_failure()
        rate = self.policy.failure_rate
        if self._machine.current_state == "closed" and (
            calls < self.policy.minimum_calls or failures < rate * calls
        ):
            return None
        return self._open(outcome, error)

    def _vote_half_open(self, outcome: Outcome, error: BaseException | None) -> BreakerEvent | None:
        if outcome.vote is Vote.NEUTRAL:
            return None
        if outcome.vote is Vote.FAIL:
            self._record_failure()
            return self._open(outcome, error)
        self._trips = 0
        return self._close()

    def _record_failure(self) -> None:
        # The real error stays out of it: raising it again would rewrite its traceback.
        with suppress(_FailedError):
            self._machine.call(_fail)

    def _open(self, outcome: Outcome, error: BaseException | None) -> BreakerEvent:
        open_s = self.policy.open_s(
            self._trips, self._random(), retry_after=outcome.retry_after, local=outcome.local
        )
        self._trips += not outcome.local
        return self._open_until(self._clock() + open_s, error)

    def _open_until(
        self, until: float, error: BaseException | None, *, probing: bool = False
    ) -> BreakerEvent:
        if self._machine.current_state != "open":
            self._machine.open()
        self._until = until
        self._probed_elsewhere = probing
        self._last_error = error
        self._probe = None
        self._epoch += 1
        return BreakerOpened(self.name, until, error, max(0.0, until - self._clock()))

    def _close(self) -> BreakerEvent:
        self._machine.close()
        self._window.clear()
        self._last_error = None
        self._probe = None
        self._epoch += 1
        return BreakerClosed(self.name)

    def _retry_at(self, state: BreakerState) -> float:
        """When a call may be let through, on the clock; the past for "at once"."""
        if state == "forced-open":
            return math.inf
        if state == "open":
            return self._until
        if state == "half-open" and self._probe is not None:
            return self._probe.since + self.policy.probe_lease_s
        return -math.inf

    def _refuse(self, state: BreakerState, now: float) -> NoReturn:
        retry_at = self._retry_at(state)
        wait: float | None = retry_at - now
        if state == "forced-open":
            wait, why = None, "it was taken out of service by hand"
        elif state == "half-open":
            why = "it failed repeatedly and a trial call is probing it right now"
        elif self._probed_elsewhere:
            why = "it failed repeatedly and another process is probing it right now"
        else:
            why = f"it failed repeatedly; next try in {wait:.1f} s"
        last = "" if self._last_error is None else f" (last failure: {one_line(self._last_error)})"
        raise CircuitOpenError(
            f"{self.name} was not called: {why}{last}",
            retry_at=retry_at,
            retry_after=wait,
            last_error=self._last_error,
            provider=self._owner,
        )

    def _switch(self, mode: _Mode, event: BreakerEvent) -> None:
        with self._lock:
            if mode == self._mode:
                return
            passed = self.state in ("closed", "disabled")
            self._close()
            self._mode = mode
            self._trips = 0
        if not (passed and isinstance(event, BreakerClosed)):
            self._tell(event)

    def _tell(self, event: BreakerEvent, observe: _Listener | None = None) -> None:
        for listener in self._listeners if observe is None else (*self._listeners, observe):
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - a listener's bug must not enter a call
                _log.exception("a listener of the circuit breaker %s failed", self.name)


class _FailedError(Exception):
    """Stands for any failure in pybreaker's books."""


def _succeed() -> None:
    return None


def _fail() -> NoReturn:
    raise _FailedError
