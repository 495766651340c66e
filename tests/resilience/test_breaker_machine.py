from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.resilience.clocks import Clock
from victor.errors import CircuitOpenError
from victor.resilience.breaker import BreakerEvent, BreakerPolicy, CircuitBreaker, Permit
from victor.resilience.votes import Outcome, Vote

OUTCOMES = [
    Outcome(Vote.OK),
    Outcome(Vote.FAIL, retryable=True),
    Outcome(Vote.ALIVE),
    Outcome(Vote.NEUTRAL),
    Outcome(Vote.FAIL, retryable=True, local=True),
]


class BreakerMachine(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.clock = Clock()
        policy = BreakerPolicy(consecutive_failures=2, minimum_calls=4, max_open_s=50.0)
        self.circuit = CircuitBreaker("api", policy, clock=self.clock, random=lambda: 0.5)
        self.changes = 0
        self.circuit.add_listener(self.count)
        self.flying: list[tuple[Permit, int]] = []
        self.probes: list[tuple[Permit, float]] = []

    def count(self, _: BreakerEvent) -> None:
        self.changes += 1

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def admit(self) -> None:
        if self.circuit.wait_s() > 0:
            with pytest.raises(CircuitOpenError) as caught:
                self.circuit.admit()
            assert caught.value.retry_at > self.clock.now
            return
        permit = self.circuit.admit()
        self.flying.append((permit, self.changes))
        if self.circuit.state == "half-open":
            self.probes.append((permit, self.clock.now))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES))
    def settle(self, data: st.DataObject, outcome: Outcome) -> None:
        place = data.draw(st.integers(0, len(self.flying) - 1))
        permit, born = self.flying.pop(place)
        stale = born != self.changes
        before = self.circuit.snapshot()
        self.circuit.settle(permit, outcome)
        self.probes = [probe for probe in self.probes if probe[0] is not permit]
        after = self.circuit.snapshot()
        if stale:
            assert after == before
        elif outcome.vote is Vote.NEUTRAL:
            assert (after.state, after.consecutive) == (before.state, before.consecutive)
        elif before.state == "half-open":
            failed = outcome.vote is Vote.FAIL
            assert after.state == ("open" if failed else "closed")
        self.circuit.settle(permit, Outcome(Vote.FAIL))
        assert self.circuit.snapshot() == after

    @precondition(lambda self: self.probes)
    @rule()
    def progress(self) -> None:
        permit, _ = self.probes[-1]
        was = self.circuit.state
        self.circuit.probe_progress(permit)
        assert self.circuit.state in (was, "closed")
        if was == "half-open" and self.circuit.state == "closed":
            self.probes = []
            self.flying = [
                (each, self.changes if each is permit else born) for each, born in self.flying
            ]

    @invariant()
    def at_most_one_probe_holds_its_lease(self) -> None:
        if self.circuit.state != "half-open":
            self.probes = []
        leased = [at for _, at in self.probes if at + 30 > self.clock.now]
        assert len(leased) <= 1

    @invariant()
    def an_open_time_is_bounded(self) -> None:
        assert self.circuit.wait_s() <= 50


BreakerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestBreakerMachine = BreakerMachine.TestCase
