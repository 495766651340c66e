"""Drills: what a configuration would do while providers fail, simulated in virtual time.

    report = drill(parse_scenario("anthropic: 529 for 2m"), [Target(provider="anthropic", …), …])

Breakers, retries, deadlines and failover are the real ones; only the providers, the clock and the
dice are simulated, so that the same drill always ends the same. Sends nothing, and knows nothing
about settings or terminals. Must not be called while an event loop runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from random import Random
from typing import Final, Literal, TypeAlias

from victor.config.prices import price
from victor.errors import CircuitOpenError, ConfigError, VictorError
from victor.providers.base import BaseProvider
from victor.providers.failover import FailoverProvider, Policy
from victor.providers.routes import Route
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.circuits import Circuits
from victor.resilience.events import (
    AttemptFailed,
    AttemptStarted,
    BreakerClosed,
    BreakerEvent,
    BreakerHalfOpened,
    BreakerOpened,
    FailedOver,
    GuardEvent,
    RetryScheduled,
    one_line,
)
from victor.testing.scenario import Scenario
from victor.testing.simulated import USAGE, SimulatedProvider, Target
from victor.testing.virtual import now, run_virtual
from victor.types import Message

__all__ = [
    "MOST_REQUESTS",
    "Ask",
    "DrillEvent",
    "DrillReport",
    "DrillRequest",
    "Happening",
    "drill",
    "stream_once",
]

MOST_REQUESTS: Final = 1000
"""More would not tell more."""

Ask: TypeAlias = Callable[[BaseProvider], Awaitable[object]]
"""Makes one request; raises what it fails with."""

Happening: TypeAlias = Literal[
    "answer_restarted",
    "answered",
    "asked_person",
    "attempt_failed",
    "breaker_closed",
    "breaker_half_opened",
    "breaker_opened",
    "failed",
    "failed_over",
    "key_switched",
    "refused",
    "retry_scheduled",
]
"""Named like the events of a call; the rest is of whole requests, or of the person."""


@dataclass(frozen=True, slots=True)
class DrillEvent:
    """Something that happened."""

    at_s: float
    """Seconds since the start."""
    request: int
    """To which request, from 1; for a breaker the one that changed it."""
    what: Happening
    who: str
    """`provider/model`; of an endpoint's own circuit the provider alone."""
    seconds: float | None = None
    """How long it took, or how long the wait will be."""
    error: str | None = None
    """Type and message."""
    cost: float | None = None
    """USD; of an answer alone, None where the price is not known."""


@dataclass(frozen=True, slots=True)
class DrillRequest:
    """What became of one request."""

    number: int
    at_s: float
    """When it was made, seconds since the start."""
    seconds: float
    """How long it took to its end."""
    attempts: int
    answered_by: str | None
    """`provider/model`; None if nobody answered."""
    error: str | None
    cost: float | None


@dataclass(frozen=True, slots=True)
class DrillReport:
    """A whole drill."""

    events: tuple[DrillEvent, ...]
    """In the order of time."""
    requests: tuple[DrillRequest, ...]

    @property
    def answered(self) -> int:
        """How many requests got an answer."""
        return sum(one.answered_by is not None for one in self.requests)

    @property
    def cost(self) -> float | None:
        """USD altogether; None if a price is not known."""
        costs = [one.cost for one in self.requests if one.answered_by is not None]
        return None if any(one is None for one in costs) else sum(one or 0.0 for one in costs)


async def stream_once(provider: BaseProvider) -> None:
    """Ask for one streamed answer, once; a stream that breaks off is a failure."""
    model = provider.default_model or ""
    async for _ in provider.stream([Message(role="user", content="drill")], model=model):
        pass


def drill(
    scenario: Scenario,
    targets: Sequence[Target],
    *,
    every_s: float = 5.0,
    for_s: float = 300.0,
    seed: int = 0,
    policy: Policy = "auto",
    quality_floor: int | None = None,
    breaker: BreakerPolicy | None = None,
    ask: Ask = stream_once,
) -> DrillReport:
    """Simulate requests, one every few seconds, whether the last one has ended or not.

    Args:
        scenario: what goes wrong.
        targets: whom requests may go to, in order; the first is the one in use.
        every_s: seconds between two requests.
        for_s: seconds within which requests are made; they are followed to their end.
        seed: of the dice. The same seed gives the same report.
        policy: of the failover; a person who is asked says yes.
        quality_floor: of the failover.
        breaker: when circuits open, and for how long; None is the default.
        ask: makes a request.

    Raises:
        ConfigError: the scenario names a provider that is not among the targets, the targets make
            no failover, or there would be more than `MOST_REQUESTS` requests.
    """
    names = sorted({one.provider for one in targets})
    for named in scenario.providers:
        if named not in names:
            raise ConfigError(
                f"the drill is about {named!r}, which would not be asked: the routes lead to "
                f"{', '.join(names)}"
            )
    count = max(1, round(for_s / every_s)) if every_s > 0 else MOST_REQUESTS + 1
    if count > MOST_REQUESTS:
        raise ConfigError(
            f"a drill has at most {MOST_REQUESTS} requests: make them less often, or for less long"
        )
    stage = _Stage(scenario, targets, Random(seed), breaker or BreakerPolicy())  # noqa: S311
    return run_virtual(stage.play(count, every_s, policy, quality_floor, ask))


@dataclass(slots=True)
class _Request:
    """One request under way."""

    number: int
    asked: str
    """Whom it was for at last."""
    attempts: int = 0
    shown: bool = False
    """A part of an answer is on the screen."""


_request: ContextVar[_Request] = ContextVar("victor_drill_request")


@dataclass(slots=True)
class _Stage:
    """Everything one drill is played with."""

    scenario: Scenario
    targets: Sequence[Target]
    random: Random
    breaker: BreakerPolicy
    events: list[DrillEvent] = field(default_factory=list)
    circuits: dict[str, Circuits] = field(default_factory=dict)

    async def play(
        self, count: int, every_s: float, policy: Policy, quality_floor: int | None, ask: Ask
    ) -> DrillReport:
        routes = [Route(self._provider(one), one.model, one.quality) for one in self.targets]
        provider: BaseProvider = self._provider(self.targets[0])
        if len(routes) > 1:
            provider = FailoverProvider(
                routes,
                policy=policy,
                ask=self._person_asked,
                quality_floor=quality_floor,
                clock=now,
                sleep=self._circuit_waited_for,
            )
        starts = [number * every_s for number in range(count)]
        requests = await asyncio.gather(
            *(self._made(number, at, provider, ask) for number, at in enumerate(starts, 1))
        )
        return DrillReport(tuple(self.events), tuple(requests))

    async def _made(
        self, number: int, at_s: float, provider: BaseProvider, ask: Ask
    ) -> DrillRequest:
        await asyncio.sleep(at_s - now())
        request = _Request(number, self.targets[0].label)
        _request.set(request)
        error: str | None = None
        what: Happening = "answered"
        try:
            await ask(provider)
        except VictorError as failure:
            error = one_line(failure)
            never_asked = isinstance(failure, CircuitOpenError) and not request.attempts
            what = "refused" if never_asked else "failed"
        seconds = now() - at_s
        cost = None if error is not None else self._cost(request.asked)
        self._tell(what, request.asked, seconds, error, cost)
        answered_by = request.asked if error is None else None
        return DrillRequest(number, at_s, seconds, request.attempts, answered_by, error, cost)

    def _provider(self, target: Target) -> SimulatedProvider:
        circuits = self.circuits.get(target.where)
        if circuits is None:
            breaker = CircuitBreaker(
                target.where,
                self.breaker,
                owner=target.provider,
                clock=now,
                random=self.random.random,
            )
            circuits = self.circuits[target.where] = Circuits(breaker)
        return SimulatedProvider(
            target,
            fault=lambda: self.scenario.fault_at(target.provider, target.model, now()),
            circuits=circuits,
            random=self.random.random,
            on_event=lambda event: self._heard(event, target),
            on_key=lambda: self._tell("key_switched", target.label),
            on_words=self._words_shown,
        )

    def _heard(self, event: GuardEvent | BreakerEvent, target: Target) -> None:
        match event:
            case AttemptStarted():
                self._turned_to(target.label)
                _request.get().attempts += 1
            case AttemptFailed(error=error, seconds=seconds):
                self._attempt_failed(target.label, seconds, error)
            case RetryScheduled(wait_s=wait_s):
                self._tell("retry_scheduled", target.label, wait_s)
            case BreakerOpened(name=name, retry_at=retry_at):
                self._tell("breaker_opened", _whose(name, target), retry_at - now())
            case BreakerHalfOpened(name=name):
                self._turned_to(target.label)  # its trial call is the attempt that follows
                self._tell("breaker_half_opened", _whose(name, target))
            case BreakerClosed(name=name):
                self._tell("breaker_closed", _whose(name, target))
            case _:
                pass  # of keys and routes we hear otherwise

    def _turned_to(self, label: str) -> None:
        request = _request.get()
        if request.shown:
            request.shown = False
            self._tell("answer_restarted", label)
        if label != request.asked:
            request.asked = label
            self._tell("failed_over", label)

    def _attempt_failed(self, label: str, seconds: float, error: Exception) -> None:
        self._tell("attempt_failed", label, seconds, one_line(error))
        # The breaker has heard first; people want the cause before the effect.
        if len(self.events) > 1:
            before, failure = self.events[-2:]
            same = (before.at_s, before.request) == (failure.at_s, failure.request)
            if before.what in ("breaker_opened", "breaker_closed") and same:
                self.events[-2:] = [failure, before]

    def _words_shown(self) -> None:
        _request.get().shown = True

    def _person_asked(self, move: FailedOver) -> bool:
        self._tell("asked_person", move.new)
        return True

    async def _circuit_waited_for(self, wait_s: float) -> None:
        self._tell("retry_scheduled", _request.get().asked, wait_s)
        await asyncio.sleep(wait_s)

    def _cost(self, label: str) -> float | None:
        target = next(one for one in self.targets if one.label == label)
        return price(USAGE, target.data, provider=target.provider, model=target.model)

    def _tell(
        self,
        what: Happening,
        who: str,
        seconds: float | None = None,
        error: str | None = None,
        cost: float | None = None,
    ) -> None:
        number = _request.get().number
        self.events.append(DrillEvent(now(), number, what, who, seconds, error, cost))


def _whose(breaker: str, target: Target) -> str:
    return target.provider if breaker == target.where else target.label
