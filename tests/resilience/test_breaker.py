from __future__ import annotations

import logging
import math

import pytest

from tests.resilience.clocks import Clock
from victor.errors import CircuitOpenError
from victor.resilience.breaker import (
    BreakerClosed,
    BreakerEvent,
    BreakerHalfOpened,
    BreakerOpened,
    BreakerPolicy,
    CircuitBreaker,
    Permit,
)
from victor.resilience.votes import Outcome, Vote

OK = Outcome(Vote.OK)
FAIL = Outcome(Vote.FAIL, retryable=True)
ALIVE = Outcome(Vote.ALIVE)
NEUTRAL = Outcome(Vote.NEUTRAL)
OFFLINE = Outcome(Vote.FAIL, retryable=True, local=True)


def half() -> float:
    return 0.5  # open times are three quarters of their longest


def breaker(clock: Clock, **policy: float) -> CircuitBreaker:
    return CircuitBreaker("api", BreakerPolicy(**policy), clock=clock, random=half)  # type: ignore[arg-type]  # int or float by name


def state(circuit: CircuitBreaker) -> str:
    return circuit.state  # a call is not narrowed to what it was before


def vote(circuit: CircuitBreaker, *outcomes: Outcome) -> None:
    for outcome in outcomes:
        circuit.settle(circuit.admit(), outcome, ConnectionError("refused"))


def opened(clock: Clock, **policy: float) -> CircuitBreaker:
    circuit = breaker(clock, **policy)
    vote(circuit, *[FAIL] * 5)
    assert state(circuit) == "open"
    return circuit


def half_opened(clock: Clock, **policy: float) -> tuple[CircuitBreaker, Permit]:
    circuit = opened(clock, **policy)
    clock.now += circuit.wait_s()
    return circuit, circuit.admit()


def test_five_failures_in_a_row_open_it() -> None:
    circuit = breaker(Clock())
    vote(circuit, FAIL, FAIL, FAIL, FAIL)
    assert state(circuit) == "closed"
    vote(circuit, FAIL)
    assert state(circuit) == "open"


def test_a_success_ends_the_row() -> None:
    circuit = breaker(Clock())
    vote(circuit, *([FAIL] * 4 + [OK]) * 3)
    assert state(circuit) == "closed"


@pytest.mark.parametrize("outcome", [ALIVE, NEUTRAL], ids=lambda outcome: outcome.vote)
def test_refusals_and_cancellations_change_nothing_when_closed(outcome: Outcome) -> None:
    circuit = breaker(Clock())
    vote(circuit, *[FAIL] * 4, *[outcome] * 100)
    assert circuit.snapshot().consecutive == 4
    vote(circuit, FAIL)
    assert state(circuit) == "open"


def test_a_high_failure_rate_opens_it_without_a_row() -> None:
    circuit = breaker(Clock())
    vote(circuit, *[FAIL, FAIL, OK, FAIL] * 5)
    assert state(circuit) == "open"


@pytest.mark.parametrize(
    "outcomes",
    [[FAIL, OK, FAIL] * 6, [FAIL, OK, OK] * 30],
    ids=["too few calls", "low rate"],
)
def test_few_failures_do_not_open_it(outcomes: list[Outcome]) -> None:
    circuit = breaker(Clock())
    vote(circuit, *outcomes)
    assert state(circuit) == "closed"


def test_failures_outside_the_window_are_forgotten() -> None:
    clock = Clock()
    circuit = breaker(clock)
    vote(circuit, *[FAIL, OK, FAIL] * 6)
    clock.now += 61
    vote(circuit, OK, FAIL)
    assert state(circuit) == "closed"
    assert (circuit.snapshot().calls, circuit.snapshot().failures) == (2, 1)


def test_an_open_circuit_refuses_without_calling() -> None:
    clock = Clock()
    circuit = opened(clock)
    with pytest.raises(CircuitOpenError) as caught:
        circuit.admit()
    error = caught.value
    assert "api" in str(error)
    assert "next try in 0.8 s" in str(error)
    assert "ConnectionError: refused" in str(error)
    assert error.retry_at == clock.now + 0.75
    assert error.retry_after == 0.75
    assert isinstance(error.last_error, ConnectionError)


def test_after_its_time_exactly_one_trial_passes() -> None:
    circuit, trial = half_opened(Clock())
    assert state(circuit) == "half-open"
    for _ in range(100):
        with pytest.raises(CircuitOpenError, match="probing"):
            circuit.admit()
    circuit.settle(trial, OK)
    assert state(circuit) == "closed"
    vote(circuit, *[OK] * 100)


@pytest.mark.parametrize("outcome", [OK, ALIVE], ids=lambda outcome: outcome.vote)
def test_any_answer_to_the_trial_closes_it(outcome: Outcome) -> None:
    circuit, trial = half_opened(Clock())
    circuit.settle(trial, outcome)
    assert circuit.snapshot() == breaker(Clock()).snapshot()


def test_a_failed_trial_opens_it_for_twice_as_long_up_to_the_cap() -> None:
    clock = Clock()
    circuit = opened(clock)
    waits = []
    for _ in range(12):
        waits.append(circuit.wait_s())
        clock.now += circuit.wait_s()
        vote(circuit, FAIL)
        assert state(circuit) == "open"
    assert waits == [0.75 * min(300, 2**trip) for trip in range(12)]


def test_recovery_starts_the_open_times_anew() -> None:
    clock = Clock()
    circuit, trial = half_opened(clock)
    circuit.settle(trial, FAIL)
    clock.now += circuit.wait_s()
    vote(circuit, OK, *[FAIL] * 5)
    assert circuit.wait_s() == 0.75


def test_a_cancelled_trial_frees_the_slot_and_proves_nothing() -> None:
    circuit, trial = half_opened(Clock())
    circuit.settle(trial, NEUTRAL)
    assert state(circuit) == "half-open"
    assert circuit.wait_s() == 0
    circuit.settle(circuit.admit(), FAIL)
    assert state(circuit) == "open"


def test_outcomes_of_calls_begun_before_a_change_have_no_vote() -> None:
    clock = Clock()
    circuit = breaker(clock)
    late = [circuit.admit() for _ in range(3)]
    vote(circuit, *[FAIL] * 5)
    until = circuit.snapshot().retry_at
    clock.now += 0.1
    circuit.settle(late[0], FAIL)
    assert circuit.snapshot().retry_at == until
    clock.now += circuit.wait_s()
    trial = circuit.admit()
    circuit.settle(late[1], OK)
    assert state(circuit) == "half-open"
    circuit.settle(trial, OK)
    circuit.settle(late[2], FAIL)
    assert circuit.snapshot().consecutive == 0


def test_a_permit_votes_once() -> None:
    circuit = breaker(Clock())
    permit = circuit.admit()
    for _ in range(10):
        circuit.settle(permit, FAIL)
    assert circuit.snapshot().consecutive == 1


def test_a_trial_that_outlasts_its_lease_keeps_nobody_waiting() -> None:
    clock = Clock()
    circuit, slow = half_opened(clock)
    with pytest.raises(CircuitOpenError) as caught:
        circuit.admit()
    assert caught.value.retry_after == 30
    clock.now += 30
    second = circuit.admit()
    circuit.settle(slow, NEUTRAL)
    with pytest.raises(CircuitOpenError):
        circuit.admit()
    circuit.settle(second, OK)
    assert state(circuit) == "closed"


def test_a_trial_past_its_lease_that_fails_after_all_opens_it() -> None:
    clock = Clock()
    circuit, slow = half_opened(clock)
    clock.now += 30
    second = circuit.admit()
    circuit.settle(slow, FAIL)
    assert state(circuit) == "open"
    circuit.settle(second, OK)
    assert state(circuit) == "open"


def test_a_trial_stream_that_delivers_closes_it_and_still_votes_at_its_end() -> None:
    circuit, trial = half_opened(Clock())
    circuit.probe_progress(trial)
    assert state(circuit) == "closed"
    vote(circuit, ALIVE)
    circuit.probe_progress(trial)
    circuit.settle(trial, FAIL)
    assert circuit.snapshot().consecutive == 1
    assert circuit.snapshot().trips == 1


def test_progress_of_other_calls_changes_nothing() -> None:
    clock = Clock()
    circuit = breaker(clock)
    ordinary = circuit.admit()
    vote(circuit, *[FAIL] * 5)
    clock.now += circuit.wait_s()
    circuit.admit()
    circuit.probe_progress(ordinary)
    assert state(circuit) == "half-open"


@pytest.mark.parametrize(
    ("outcome", "wait"),
    [
        pytest.param(Outcome(Vote.FAIL, retry_after=7.0), 7.0, id="asked for more"),
        pytest.param(Outcome(Vote.FAIL, retry_after=0.1), 0.75, id="asked for less"),
        pytest.param(Outcome(Vote.FAIL, retry_after=1e9), 900.0, id="absurd"),
    ],
)
def test_it_stays_open_as_long_as_the_server_asks_within_reason(
    outcome: Outcome, wait: float
) -> None:
    circuit = breaker(Clock())
    vote(circuit, *[outcome] * 5)
    assert circuit.wait_s() == wait


def test_being_offline_opens_it_briefly_and_without_growth() -> None:
    clock = Clock()
    circuit = breaker(clock, base_open_s=100)
    vote(circuit, *[OFFLINE] * 5)
    for _ in range(5):
        assert circuit.wait_s() == 5
        assert circuit.snapshot().trips == 0
        clock.now += 5
        vote(circuit, OFFLINE)


def test_open_times_are_spread_by_chance() -> None:
    waits = []
    for chance in (0.0, 0.999):
        circuit = CircuitBreaker("api", clock=Clock(), random=lambda chance=chance: chance)  # type: ignore[misc]  # a default argument
        vote(circuit, *[FAIL] * 5)
        waits.append(circuit.wait_s())
    assert waits == pytest.approx([0.5, 1.0], abs=0.01)


def test_forced_open_refuses_until_it_is_told_otherwise() -> None:
    clock = Clock()
    circuit = breaker(clock)
    circuit.force_open()
    clock.now += 1e6
    assert state(circuit) == "forced-open"
    assert circuit.wait_s() == math.inf
    with pytest.raises(CircuitOpenError, match="by hand") as caught:
        circuit.admit()
    assert caught.value.retry_after is None
    circuit.auto()
    vote(circuit, OK)
    assert state(circuit) == "closed"


def test_disabled_admits_everything_and_counts_nothing() -> None:
    circuit = opened(Clock())
    circuit.disable()
    assert state(circuit) == "disabled"
    vote(circuit, *[FAIL] * 100)
    assert circuit.snapshot().calls == 0
    assert circuit.wait_s() == 0
    left_over = circuit.admit()
    circuit.auto()
    circuit.settle(left_over, FAIL)
    assert circuit.snapshot() == breaker(Clock()).snapshot()


def test_a_snapshot_says_what_is_wrong_in_one_line() -> None:
    clock = Clock()
    circuit = breaker(clock)
    for _ in range(5):
        circuit.settle(circuit.admit(), FAIL, ValueError("first\nsecond" + "x" * 500))
    seen = circuit.snapshot()
    assert (seen.name, seen.state, seen.trips) == ("api", "open", 1)
    assert seen.retry_at == clock.now + 0.75
    assert seen.last_error == "ValueError: first"


def test_listeners_hear_of_every_change_once() -> None:
    clock, heard = Clock(), list[BreakerEvent]()
    circuit = breaker(clock)
    remove = circuit.add_listener(heard.append)
    error = ConnectionError("refused")
    for _ in range(5):
        circuit.settle(circuit.admit(), FAIL, error)
    clock.now += 0.75
    circuit.settle(circuit.admit(), OK)
    circuit.disable()
    circuit.disable()
    circuit.force_open()
    circuit.auto()
    assert heard == [
        BreakerOpened("api", 1000.75, error, 0.75),
        BreakerHalfOpened("api"),
        BreakerClosed("api"),
        BreakerOpened("api", math.inf, None),
        BreakerClosed("api"),
    ]
    remove()
    circuit.force_open()
    assert len(heard) == 5


def test_whoever_makes_an_attempt_may_watch_what_it_changes() -> None:
    heard: list[BreakerEvent] = []
    circuit = breaker(Clock())
    for _ in range(4):
        circuit.settle(circuit.admit(heard.append), FAIL)
    assert heard == []
    circuit.settle(circuit.admit(heard.append), FAIL)
    assert [type(event) for event in heard] == [BreakerOpened]


def test_what_a_listener_raises_stays_out_of_the_call(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: BreakerEvent) -> None:
        raise RuntimeError("listener bug")

    circuit = breaker(Clock())
    circuit.add_listener(broken)
    with caplog.at_level(logging.ERROR):
        vote(circuit, *[FAIL] * 5)
    assert "listener bug" in caplog.text


def test_the_error_that_opens_it_is_left_untouched() -> None:
    error = ConnectionError("refused")
    circuit = breaker(Clock())
    for _ in range(5):
        circuit.settle(circuit.admit(), FAIL, error)
    assert error.__traceback__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("name", ["consecutive_failures", "window_s", "probe_lease_s"])
def test_a_policy_without_sense_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        BreakerPolicy(**{name: 0})
