from __future__ import annotations

import pytest

from tests.resilience.clocks import Clock
from victor.errors import CircuitOpenError
from victor.resilience.breaker import BreakerPolicy, CircuitBreaker
from victor.resilience.events import BreakerClosed, BreakerEvent, BreakerOpened
from victor.resilience.votes import Outcome, Vote

OK, FAIL = Outcome(Vote.OK), Outcome(Vote.FAIL)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def told() -> list[BreakerEvent]:
    return []


@pytest.fixture
def circuit(clock: Clock, told: list[BreakerEvent]) -> CircuitBreaker:
    policy = BreakerPolicy(consecutive_failures=2, base_open_s=10)
    circuit = CircuitBreaker("api", policy, clock=clock, random=lambda: 1.0)
    circuit.add_listener(told.append)
    return circuit


def test_a_circuit_that_others_opened_is_open(
    circuit: CircuitBreaker, clock: Clock, told: list[BreakerEvent]
) -> None:
    error = RuntimeError("HTTP 500")
    assert circuit.adopt(clock.now + 7, trips=1, error=error) == circuit.epoch == 1
    with pytest.raises(CircuitOpenError, match=r"next try in 7\.0 s .*HTTP 500") as caught:
        circuit.admit()
    assert caught.value.last_error is error
    assert told == [BreakerOpened("api", clock.now + 7, error, 7)]
    circuit.adopt(clock.now + 9, trips=1, error=error)
    assert circuit.wait_s() == 9
    assert len(told) == 1


def test_what_others_began_goes_on_here(circuit: CircuitBreaker, clock: Clock) -> None:
    circuit.adopt(clock.now, trips=2)
    circuit.settle(circuit.admit(), FAIL)
    assert circuit.wait_s() == 40
    assert circuit.snapshot().trips == 3


def test_a_probe_of_others_is_waited_for(circuit: CircuitBreaker, clock: Clock) -> None:
    circuit.adopt(clock.now + 30, probing=True)
    with pytest.raises(CircuitOpenError, match="another process is probing it right now"):
        circuit.admit()
    clock.now += 31
    circuit.settle(circuit.admit(), FAIL)
    with pytest.raises(CircuitOpenError, match="next try in"):
        circuit.admit()


def test_a_circuit_that_others_closed_is_closed(
    circuit: CircuitBreaker, clock: Clock, told: list[BreakerEvent]
) -> None:
    circuit.adopt(clock.now + 7, trips=3)
    circuit.adopt(None)
    circuit.settle(circuit.admit(), OK)
    assert circuit.state == "closed"
    assert circuit.snapshot().trips == 0
    assert told[1:] == [BreakerClosed("api")]


def test_well_news_of_a_well_circuit_changes_nothing(
    circuit: CircuitBreaker, told: list[BreakerEvent]
) -> None:
    permit = circuit.admit()
    circuit.adopt(None)
    circuit.settle(permit, FAIL)
    assert circuit.snapshot().consecutive == 1
    assert told == []


def test_attempts_from_before_the_news_have_no_vote(circuit: CircuitBreaker, clock: Clock) -> None:
    permit = circuit.admit()
    circuit.adopt(clock.now + 7)
    circuit.settle(permit, OK)
    assert circuit.state == "open"


@pytest.mark.parametrize(
    ("switch", "state"), [("force_open", "forced-open"), ("disable", "disabled")]
)
def test_what_a_person_set_stays(
    circuit: CircuitBreaker, clock: Clock, switch: str, state: str
) -> None:
    getattr(circuit, switch)()
    circuit.adopt(clock.now + 7)
    assert circuit.state == state
    circuit.auto()
    assert circuit.state == "closed"


def test_only_a_trial_is_due(circuit: CircuitBreaker, clock: Clock) -> None:
    assert not circuit.snapshot().is_due
    circuit.adopt(clock.now + 7)
    assert not circuit.snapshot().is_due
    clock.now += 7
    assert circuit.snapshot().is_due
    permit = circuit.admit()
    assert not circuit.snapshot().is_due
    circuit.settle(permit, Outcome(Vote.NEUTRAL))
    assert circuit.snapshot().is_due
    circuit.force_open()
    assert not circuit.snapshot().is_due
