"""The way of one call along the routes: who is asked next, and what is raised in the end.

Bookkeeping for `failover.py`, which does the asking. Knows legs and errors; no chunk of a stream.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from victor.errors import ContextWindowExceededError, ProviderError, VictorError
from victor.providers.legs import Hurdle, Leg, Request
from victor.providers.routes import Rule, keeps_away, rule_for
from victor.resilience.events import FailedOver, RetryScheduled, one_line
from victor.resilience.pipeline import Observer
from victor.types import Attempt

__all__ = ["Ask", "Passage", "Rules"]

Ask: TypeAlias = Callable[[FailedOver], bool | Awaitable[bool]]
"""Is asked whether a call may move on; told what is known: from where, to where, and why."""

_log = logging.getLogger(__name__)

_LAST: dict[str, int] = {"held": 0, "open": 1}


@dataclass(frozen=True, slots=True)
class Rules:
    """What the calls of one failover have in common."""

    ask: Ask | None
    """None: nobody has to be asked."""
    on_refusal: bool
    clock: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    agreed: set[tuple[str, str]]
    """The moves a person has agreed to, until the first route answers again."""


class Passage:
    """One call's way along the routes.

    Args:
        legs: the routes that may be used, the first one first.
        rules: what holds for all calls.
        request: what is asked.
        patience_s: how long to wait, altogether, where every circuit is open.
        observe: is told of waits and moves.
    """

    def __init__(
        self,
        legs: Sequence[Leg],
        rules: Rules,
        request: Request,
        patience_s: float,
        observe: Observer | None,
    ) -> None:
        self.request = request
        self.attempts: list[Attempt] = []
        """Every try so far, of all routes."""
        self._legs = list(legs)
        self._first = legs[0]
        self._rules = rules
        self._patience_s = patience_s
        self._observe = observe
        self._errors: dict[Leg, Exception] = {}
        self._tried: set[Leg] = set()
        self._leg: Leg | None = None
        self._since: dict[Leg, float] = {}
        self._larger_than = 0
        self._notes: dict[Leg, tuple[str, ...]] = {}

    @property
    def leg(self) -> Leg:
        """The route that is asked, or was last."""
        return self._leg or self._first

    def notes(self, leg: Leg) -> tuple[str, ...]:
        """Return what of the request a route that was looked at does not get as it is."""
        return self._notes.get(leg, ())

    # ------------------------------------------------------------------ who is asked

    async def next(self) -> Leg:
        """Return the route to ask now.

        Raises:
            Exception: there is none left: what became of the first route.
        """
        while True:
            leg = await self._choice()
            if leg is None:
                raise self._final()
            if leg is self._first and self._leg is None:
                break
            old = self.leg
            move = FailedOver(old.label, leg.label, self._errors[old], self._told(leg))
            if await self._agreed(move):
                self.tell(move)
                break
            self._legs = self._legs[:1]
        self.begin(leg)
        return leg

    def may_hurry(self) -> bool:
        """Tell whether another route may be ready, so that nobody need wait long for this one."""
        if self._rules.ask is not None:
            return False  # who says no to the other would rather have waited
        others = (leg for leg in self._legs if leg not in self._tried)
        return any(leg.may_be_ready(self.request, first=leg is self._first) for leg in others)

    async def spare(self) -> Leg | None:
        """Return a route that could be asked beside the one under way, at once."""
        for leg in self._legs:
            if leg not in self._tried and await self.hurdle(leg) is None:
                return leg
        return None

    def begin(self, leg: Leg) -> None:
        """Take it that a route is asked now."""
        self._tried.add(leg)
        self._leg = leg
        self._since[leg] = self._rules.clock()

    def stand_at(self, leg: Leg) -> None:
        """Go on from a route that was asked."""
        self._leg = leg

    async def _choice(self) -> Leg | None:
        """Return the first route without a hurdle, else the one whose hurdle is the lowest."""
        while True:
            found: list[tuple[Leg, Hurdle]] = []
            for leg in self._legs:
                if leg in self._tried:
                    continue
                hurdle = await self.hurdle(leg)
                if hurdle is None:
                    return leg
                self._errors.setdefault(leg, hurdle.error)
                if hurdle.kind != "cannot":
                    found.append((leg, hurdle))
            if not found:
                return None
            leg, hurdle = min(found, key=lambda one: _LAST[one[1].kind])
            if hurdle.kind == "held" or self._tried or not await self._waited(found):
                return leg

    async def _waited(self, found: Sequence[tuple[Leg, Hurdle]]) -> bool:
        """Wait for the earliest circuit, if the caller has that much time."""
        hurdle = min((one for _, one in found), key=lambda one: one.wait_s or 0.0)
        wait_s = hurdle.wait_s or 0.0
        if wait_s > self._patience_s:
            return False
        self._patience_s -= wait_s
        self.tell(RetryScheduled(hurdle.error, wait_s, 0))
        await self._rules.sleep(wait_s)
        return True

    async def hurdle(self, leg: Leg) -> Hurdle | None:
        """Return what keeps a route from being asked now; the first one need not be fit."""
        unready = leg.unready()
        if unready is not None:
            return unready
        first = leg is self._first
        try:
            if not first:
                home = self._first.name
                self._notes[leg] = await leg.fitting(self.request, self._larger_than, home)
            model = leg.model(self.request, first=first)
            await leg.catch_up(model)
            return leg.resting(model)
        except VictorError as error:
            return Hurdle("cannot", error)

    def _told(self, leg: Leg) -> tuple[str, ...]:
        """Return what there is to say of a move: whom it passes over, and what is lost."""
        last = self._legs.index(leg)
        over = [one for one in self._legs[1:last] if one not in self._tried]
        skipped = [f"{one.label} is passed over: {one_line(self._errors[one])}" for one in over]
        return (*skipped, *self.notes(leg))

    async def _agreed(self, move: FailedOver) -> bool:
        key = (move.old, move.new)
        if self._rules.ask is None or key in self._rules.agreed:
            return True
        answer = self._rules.ask(move)
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            self._rules.agreed.add(key)
        return bool(answer)

    # ------------------------------------------------------------------ how it went

    def succeeded(self, leg: Leg) -> None:
        """Take a whole answer."""
        leg.succeeded()
        if leg is self._first:
            self._rules.agreed.clear()

    async def failed(self, leg: Leg, error: Exception) -> bool:
        """Take a route's failure; return whether another route may be asked."""
        self._errors[leg] = error
        self._count(leg, error)
        if keeps_away(error):
            leg.failed(error)
        if isinstance(error, ContextWindowExceededError):
            await self._outgrew(leg, error)
        if self.moves(error):
            return True
        self._sign(error)
        return False

    def moves(self, error: Exception) -> bool:
        """Tell whether another route may be asked after this."""
        rule = rule_for(error)
        return rule is not Rule.STAY and (rule is not Rule.REFUSAL or self._rules.on_refusal)

    def interrupted(self, leg: Leg, error: ProviderError) -> None:
        """Take the end of a stream that broke after its first content."""
        error.attempts = (*self.attempts, *error.attempts)
        if keeps_away(error):
            leg.failed(error)

    def abandoned(self, leg: Leg, why: str) -> None:
        """Take it that a route was not waited for any longer: no failure of its own."""
        self.attempts.append(self._attempt(leg, why))

    def moved(self, old: Leg, new: Leg, why: Exception) -> None:
        """Tell of a move that nobody had to agree to."""
        self.tell(FailedOver(old.label, new.label, why, self.notes(new)))

    def tell(self, event: FailedOver | RetryScheduled) -> None:
        """Tell the observer of this call."""
        if self._observe is None:
            return
        try:
            self._observe(event)
        except Exception:  # noqa: BLE001 - an observer's bug must not enter a call
            _log.exception("an observer of a failover failed")

    def _sign(self, error: Exception) -> None:
        """Put every try of the call on its failure."""
        if isinstance(error, ProviderError):
            error.attempts = tuple(self.attempts)

    def _count(self, leg: Leg, error: Exception) -> None:
        if isinstance(error, ProviderError):
            known = [one for one in error.attempts if isinstance(one, Attempt)]
            self.attempts += known  # none, where its circuit refused it
        else:
            self.attempts.append(self._attempt(leg, one_line(error)))

    def _attempt(self, leg: Leg, why: str) -> Attempt:
        model = leg.model(self.request, first=leg is self._first)
        return Attempt(leg.name, model, self._rules.clock() - self._since[leg], why)

    async def _outgrew(self, leg: Leg, error: ContextWindowExceededError) -> None:
        window = await leg.window(leg.model(self.request, first=leg is self._first))
        known = (window, error.limit, error.used)
        self._larger_than = max(self._larger_than, 1, *(one or 0 for one in known))

    def _final(self) -> Exception:
        """Return what is raised when no route is left: what became of the first one."""
        error = self._errors[self._first]
        others = [
            f"{leg.label}: {one_line(found)}"
            for leg, found in self._errors.items()
            if leg is not self._first
        ]
        if others:
            error.add_note("No other route answered. " + "; ".join(others))
        self._sign(error)
        return error
