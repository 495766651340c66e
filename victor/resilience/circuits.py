"""The breakers of an endpoint: one for the whole, and one for each part that may fail alone.

A part is whatever its caller names so; where a failure says that only the part is overloaded, it
counts against the part and says that the endpoint is alive. All objects of a process that call one
endpoint share its circuits. Knows nothing about what is guarded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import cache
from threading import Lock
from typing import Protocol, TypeAlias

from victor.errors import CircuitOpenError
from victor.resilience.breaker import BreakerPolicy, CircuitBreaker, Permit
from victor.resilience.events import BreakerEvent
from victor.resilience.retry import RetryBudget
from victor.resilience.votes import Outcome, Vote

__all__ = ["Circuits", "Leave", "Outside", "SharedCircuits", "shared_circuits"]

_Listener: TypeAlias = Callable[[BreakerEvent], None]

_ALIVE = Outcome(Vote.ALIVE)
_NEUTRAL = Outcome(Vote.NEUTRAL)
_MOST_PARTS = 64
_MOST_ENDPOINTS = 256


class Leave:
    """Leave to make one attempt, of the endpoint and of the part it is for."""

    __slots__ = ("endpoint", "observe", "part", "part_permit")

    def __init__(
        self,
        endpoint: Permit,
        part: str | None,
        part_permit: Permit | None,
        observe: _Listener | None,
    ) -> None:
        self.endpoint = endpoint
        self.part = part
        self.part_permit = part_permit
        self.observe = observe


class Outside(Protocol):
    """What an endpoint's circuits have to do with those of other processes.

    `pipeline` asks it before each attempt and tells it after; nothing here may block.
    """

    def turn(self, part: str | None) -> Awaitable[None] | None:
        """Take over what others know; what is returned has to be awaited before `admit`."""

    def look(self, part: str | None) -> Awaitable[None] | None:
        """Take over what others know, for those who only ask when a call may be made."""

    def changed(self, part: str | None) -> None:
        """Pass on what an attempt that is not over changed."""

    def settled(
        self, part: str | None, outcome: Outcome, error: BaseException | None, seconds: float
    ) -> None:
        """Pass on what an attempt that is over changed, and remember the attempt."""


class Circuits:
    """The breakers of one endpoint.

    Args:
        endpoint: the breaker of the whole.
        make: makes the breaker of a part, by its name; by default one like the endpoint's.
    """

    def __init__(
        self, endpoint: CircuitBreaker, make: Callable[[str], CircuitBreaker] | None = None
    ) -> None:
        self.endpoint = endpoint
        self.budget = RetryBudget()
        """Limits the retries of all that call the endpoint, together."""
        self.outside: Outside | None = None
        """Set by `SharedCircuits.join`; None shares nothing."""
        self._make = make or endpoint.like
        self._parts: OrderedDict[str, CircuitBreaker] = OrderedDict()
        self._lock = Lock()

    @property
    def parts(self) -> dict[str, CircuitBreaker]:
        """The parts that have failed alone, by name."""
        with self._lock:
            return dict(self._parts)

    def admit(self, part: str | None = None, observe: _Listener | None = None) -> Leave:
        """Ask for leave to make an attempt; every leave has to be settled.

        Args:
            part: what of the endpoint it is for.
            observe: is told of the changes that this attempt causes.

        Raises:
            CircuitOpenError: the circuit of the endpoint or of the part is open.
        """
        breaker = None if part is None else self.known_part(part)
        if breaker is None:
            return Leave(self.endpoint.admit(observe), part, None, observe)
        permit = breaker.admit(observe)
        try:
            return Leave(self.endpoint.admit(observe), part, permit, observe)
        except CircuitOpenError:
            breaker.settle(permit, _NEUTRAL)
            raise

    def settle(self, leave: Leave, outcome: Outcome, error: BaseException | None = None) -> None:
        """Record what became of an attempt. Later calls for the same leave have no effect."""
        if outcome.of_part and leave.part is not None and outcome.vote is Vote.FAIL:
            breaker = self.part(leave.part)
            permit = leave.part_permit
            if permit is None and not leave.endpoint.settled:
                permit = breaker.late_permit(leave.observe)
            if permit is not None:
                breaker.settle(permit, outcome, error)
            self.endpoint.settle(leave.endpoint, _ALIVE)
            return
        if leave.part_permit is not None:
            says = _NEUTRAL if outcome.vote is Vote.FAIL else outcome
            self.part(leave.part or "").settle(leave.part_permit, says)
        self.endpoint.settle(leave.endpoint, outcome, error)

    def probe_progress(self, leave: Leave) -> None:
        """Say that an attempt delivers; see `CircuitBreaker.probe_progress`."""
        self.endpoint.probe_progress(leave.endpoint)
        if leave.part_permit is not None:
            self.part(leave.part or "").probe_progress(leave.part_permit)

    async def look(self, part: str | None = None) -> None:
        """Take over what other processes know."""
        if self.outside is not None and (news := self.outside.look(part)) is not None:
            await news

    def wait_s(self, part: str | None = None) -> float:
        """Seconds until a call may be let through: 0 if at once, infinite if forced open."""
        wait = self.endpoint.wait_s()
        breaker = None if part is None else self.known_part(part)
        return wait if breaker is None else max(wait, breaker.wait_s())

    def known_part(self, name: str) -> CircuitBreaker | None:
        """Return the breaker of a part that has failed alone."""
        return self._parts.get(name) if self._parts else None

    def part(self, name: str) -> CircuitBreaker:
        """Return the breaker of a part, which is made if need be."""
        with self._lock:
            breaker = self._parts.get(name)
            if breaker is None:
                breaker = self._parts[name] = self._make(f"{name} of {self.endpoint.name}")
                if len(self._parts) > _MOST_PARTS:
                    self._parts.popitem(last=False)
            return breaker


class SharedCircuits:
    """The circuits of every endpoint this process calls, by name.

    Args:
        most: how many are kept; the one used least recently goes first, well ones before others.
    """

    def __init__(self, most: int = _MOST_ENDPOINTS) -> None:
        self._most = most
        self._found: OrderedDict[str, Circuits] = OrderedDict()
        self._join: Callable[[Circuits], Outside] | None = None
        self._lock = Lock()

    def of(
        self, name: str, *, owner: str | None = None, policy: BreakerPolicy | None = None
    ) -> Circuits:
        """Return the circuits of an endpoint; the first to ask decides owner and policy.

        Args:
            name: the endpoint, for messages too; never holds a key.
            owner: whose endpoint it is, for the errors.
            policy: when to open and for how long.
        """
        with self._lock:
            circuits = self._found.get(name)
            if circuits is None:
                breaker = CircuitBreaker(name, policy or BreakerPolicy(), owner=owner)
                circuits = self._found[name] = Circuits(breaker)
                if self._join is not None:
                    circuits.outside = self._join(circuits)
                if len(self._found) > self._most:
                    self._drop_one()
            self._found.move_to_end(name)
            return circuits

    def all(self) -> list[Circuits]:
        """Return what there is, least recently used first."""
        with self._lock:
            return list(self._found.values())

    def join(self, join: Callable[[Circuits], Outside] | None) -> None:
        """Connect all circuits, those to come too, with other processes; None ends it."""
        with self._lock:
            self._join = join
            for circuits in self._found.values():
                circuits.outside = None if join is None else join(circuits)

    def clear(self) -> None:
        """Forget everything; objects that hold circuits keep them."""
        with self._lock:
            self._found.clear()

    def _drop_one(self) -> None:
        well = (name for name, one in self._found.items() if one.endpoint.state == "closed")
        self._found.pop(next(well, next(iter(self._found))))


@cache
def shared_circuits() -> SharedCircuits:
    """Return those of this process."""
    return SharedCircuits()
