from __future__ import annotations

import threading
from collections.abc import Callable

from tests.resilience.clocks import Clock
from victor.errors import CircuitOpenError
from victor.resilience.breaker import BreakerEvent, BreakerOpened, CircuitBreaker, Permit
from victor.resilience.votes import Outcome, Vote

FAIL = Outcome(Vote.FAIL, retryable=True)


def test_threads_trip_it_once_and_admit_one_trial() -> None:
    clock, heard = Clock(), list[BreakerEvent]()
    circuit = CircuitBreaker("api", clock=clock)
    circuit.add_listener(heard.append)
    admitted: list[Permit] = []

    def together(work: Callable[[], None]) -> None:
        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)

    barrier = threading.Barrier(20)

    def fail() -> None:
        permit = circuit.admit()
        barrier.wait(10)
        circuit.settle(permit, FAIL)

    def try_once() -> None:
        barrier.wait(10)
        try:
            admitted.append(circuit.admit())
        except CircuitOpenError:
            return

    together(fail)
    assert [type(event) for event in heard] == [BreakerOpened]
    clock.now += circuit.wait_s()
    together(try_once)
    assert len(admitted) == 1
