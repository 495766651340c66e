from __future__ import annotations

from pathlib import Path

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.neighbours import Neighbour, busy, down, fine
from victor.errors import CircuitOpenError, ProviderServerError
from victor.resilience.breaker_policy import BreakerPolicy

POLICY = BreakerPolicy(consecutive_failures=5, base_open_s=10)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "resilience.db"


def _process(path: Path, clock: Clock) -> Neighbour:
    return Neighbour(path, clock, policy=POLICY)


async def _ended(path: Path, clock: Clock, failures: int, part: str | None = None) -> None:
    """Let a process fail so often, and end."""
    one = _process(path, clock)
    await one.fails(failures, part)
    one.state.close()


async def test_short_processes_open_the_circuit_together(path: Path, clock: Clock) -> None:
    for _ in range(2):
        await _ended(path, clock, 2)
    last = _process(path, clock)
    await last.fails(1)
    assert last.now().state == "open"
    after = _process(path, clock)
    with pytest.raises(CircuitOpenError, match="HTTP 500"):
        await after.call(fine)
    after.state.close()
    last.state.close()


async def test_what_is_recalled_never_opens_a_circuit_by_itself(path: Path, clock: Clock) -> None:
    one, other = _process(path, clock), _process(path, clock)
    for each in (one, other):
        await each.call(fine)
        await each.fails(4)
        each.state.close()
    third = _process(path, clock)
    assert await third.call(fine) == "fine"
    assert third.now().state == "closed"
    third.state.close()


async def test_a_success_ends_what_is_recalled(path: Path, clock: Clock) -> None:
    await _ended(path, clock, 4)
    one = _process(path, clock)
    await one.call(fine)
    one.state.close()
    other = _process(path, clock)
    await other.fails(4)
    assert other.now().state == "closed"
    other.state.close()


async def test_failures_of_more_than_a_minute_ago_are_forgotten(path: Path, clock: Clock) -> None:
    await _ended(path, clock, 4)
    clock.now += 61
    other = _process(path, clock)
    await other.fails(1)
    assert other.now().consecutive == 1
    other.state.close()


async def test_an_overloaded_part_is_recalled_as_a_part(path: Path, clock: Clock) -> None:
    await _ended(path, clock, 4, part="big")
    other = _process(path, clock)
    with pytest.raises(ProviderServerError):
        await other.call(busy, "big")
    assert other.circuits.parts["big"].state == "open"
    assert other.now().consecutive == 0
    assert await other.call(fine, "small") == "fine"
    other.state.close()


async def test_who_only_looks_learns_of_an_open_circuit_and_takes_no_trial(
    path: Path, clock: Clock
) -> None:
    await _ended(path, clock, 5)
    looker = _process(path, clock)
    await looker.circuits.look("big")
    assert looker.circuits.wait_s("big") > 0
    clock.now += 20
    await looker.circuits.look("big")
    assert looker.circuits.wait_s("big") == 0
    caller = _process(path, clock)
    assert await caller.call(fine) == "fine"  # its trial was not taken away
    await looker.circuits.look()
    looker.state.close()
    caller.state.close()


async def test_looking_without_neighbours_changes_nothing(path: Path, clock: Clock) -> None:
    one = _process(path, clock)
    one.circuits.outside = None
    await one.circuits.look()
    assert one.circuits.wait_s() == 0
    with pytest.raises(ProviderServerError):
        await one.call(down)
    one.state.close()
