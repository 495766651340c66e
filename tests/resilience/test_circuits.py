from __future__ import annotations

import pytest

from victor.errors import CircuitOpenError
from victor.resilience.breaker import BreakerPolicy, CircuitBreaker
from victor.resilience.circuits import Circuits, SharedCircuits, shared_circuits
from victor.resilience.events import BreakerEvent, BreakerOpened
from victor.resilience.votes import Outcome, Vote

DOWN = Outcome(Vote.FAIL)
BUSY = Outcome(Vote.FAIL, of_part=True)
OK = Outcome(Vote.OK)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuits(clock: Clock) -> Circuits:
    policy = BreakerPolicy(consecutive_failures=2, base_open_s=10)
    return Circuits(CircuitBreaker("api", policy, owner="acme", clock=clock, random=lambda: 1.0))


def _try(circuits: Circuits, outcome: Outcome, part: str | None = None) -> None:
    circuits.settle(circuits.admit(part), outcome, RuntimeError("x"))


def test_a_part_that_is_overloaded_is_refused_and_the_others_are_not(circuits: Circuits) -> None:
    for _ in range(2):
        _try(circuits, BUSY, "big")
    with pytest.raises(CircuitOpenError, match="big of api was not called"):
        circuits.admit("big")
    assert circuits.wait_s("big") == 10
    _try(circuits, OK, "small")
    assert circuits.endpoint.state == "closed"
    assert circuits.wait_s("small") == circuits.wait_s() == 0
    assert list(circuits.parts) == ["big"]


def test_an_endpoint_that_is_down_is_down_for_every_part(circuits: Circuits) -> None:
    _try(circuits, BUSY, "big")
    for _ in range(2):
        _try(circuits, DOWN, "big")
    assert circuits.endpoint.state == "open"
    for part in ("big", "small", None):
        with pytest.raises(CircuitOpenError, match="api was not called"):
            circuits.admit(part)
    assert circuits.parts["big"].state == "closed"


def test_a_part_recovers_by_one_trial(circuits: Circuits, clock: Clock) -> None:
    for _ in range(2):
        _try(circuits, BUSY, "big")
    clock.now = 11
    leave = circuits.admit("big")
    with pytest.raises(CircuitOpenError, match="probing"):
        circuits.admit("big")
    circuits.settle(leave, OK)
    assert circuits.parts["big"].state == "closed"


def test_a_part_refused_by_its_endpoint_keeps_its_trial(circuits: Circuits, clock: Clock) -> None:
    for _ in range(2):
        _try(circuits, BUSY, "big")
    clock.now = 11
    circuits.endpoint.force_open()
    with pytest.raises(CircuitOpenError, match="by hand"):
        circuits.admit("big")
    circuits.endpoint.auto()
    circuits.settle(circuits.admit("big"), OK)
    assert circuits.parts["big"].state == "closed"


def test_overload_counts_once_however_often_it_is_settled(circuits: Circuits) -> None:
    leave = circuits.admit("big")
    for _ in range(5):
        circuits.settle(leave, BUSY)
    assert circuits.parts["big"].snapshot().consecutive == 1


def test_overload_without_a_part_counts_against_the_endpoint(circuits: Circuits) -> None:
    for _ in range(2):
        _try(circuits, BUSY)
    assert circuits.endpoint.state == "open"


def test_progress_of_a_trial_lets_the_others_in(circuits: Circuits, clock: Clock) -> None:
    for _ in range(2):
        _try(circuits, BUSY, "big")
    clock.now = 11
    circuits.probe_progress(circuits.admit("big"))
    assert circuits.parts["big"].state == "closed"


def test_an_observer_hears_of_the_part(circuits: Circuits) -> None:
    told: list[BreakerEvent] = []
    for _ in range(2):
        circuits.settle(circuits.admit("big", told.append), BUSY, RuntimeError("x"))
    assert [type(event) for event in told] == [BreakerOpened]
    assert told[0].name == "big of api"


def test_parts_are_bounded(circuits: Circuits) -> None:
    for number in range(200):
        _try(circuits, BUSY, f"m{number}")
    assert len(circuits.parts) == 64
    assert "m199" in circuits.parts


def test_who_names_the_same_endpoint_gets_the_same_circuits() -> None:
    known = SharedCircuits()
    one = known.of("api at x", owner="acme")
    assert known.of("api at x") is one
    assert known.of("api at y") is not one
    assert known.all() == [one, known.of("api at y")]
    known.clear()
    assert known.of("api at x") is not one
    assert shared_circuits() is shared_circuits()


def test_of_too_many_endpoints_a_well_one_is_forgotten_first() -> None:
    known = SharedCircuits(most=2)
    sick = known.of("sick", policy=BreakerPolicy(consecutive_failures=1))
    _try(sick, DOWN)
    known.of("well")
    known.of("new")
    assert [one.endpoint.name for one in known.all()] == ["sick", "new"]
