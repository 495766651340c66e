from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.neighbours import Neighbour, fine, neighbours
from victor.errors import (
    CircuitOpenError,
    ProviderError,
    ProviderOverloadedError,
    ProviderServerError,
    StreamInterruptedError,
)
from victor.resilience.breaker_policy import BreakerPolicy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "resilience.db"


@pytest.fixture
def pair(path: Path) -> Iterator[tuple[Neighbour, Neighbour, Clock]]:
    with neighbours(path) as ((one, other), clock):
        yield one, other, clock


Pair = tuple[Neighbour, Neighbour, Clock]


async def _never() -> str:
    raise AssertionError("this must not be called")


async def test_a_part_that_is_overloaded_is_refused_everywhere(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails(part="big")
    with pytest.raises(CircuitOpenError, match="big of api was not called") as caught:
        await other.call(_never, "big")
    assert type(caught.value.last_error) is ProviderOverloadedError
    assert await other.call(fine, "small") == "fine"
    assert await other.call(fine) == "fine"
    clock.now += 11
    assert await other.call(fine, "big") == "fine"
    await other.written()
    clock.now += 1
    assert await one.call(fine, "big") == "fine"


async def test_a_part_that_opens_with_its_first_failure_is_told(path: Path) -> None:
    clock = Clock()
    policy = BreakerPolicy(consecutive_failures=1, base_open_s=10)
    one, other = (Neighbour(path, clock, policy=policy) for _ in range(2))
    await one.fails(1, part="big")
    with pytest.raises(CircuitOpenError):
        await other.call(_never, "big")
    for each in (one, other):
        each.state.close()


@pytest.mark.parametrize("switch", ["force_open", "disable"])
async def test_what_a_person_set_is_neither_told_nor_taken_back(pair: Pair, switch: str) -> None:
    one, other, clock = pair
    assert await other.call(fine) == "fine"
    getattr(other.circuits.endpoint, switch)()
    await one.fails()
    clock.now += 1
    if switch == "disable":
        assert await other.call(fine) == "fine"
    else:
        with pytest.raises(CircuitOpenError, match="by hand"):
            await other.call(_never)
    await other.written()
    clock.now += 11
    assert await one.call(fine) == "fine"


async def test_what_another_boot_wrote_says_nothing(path: Path) -> None:
    clock = Clock()
    before = Neighbour(path, clock, boot="the last boot")
    await before.fails()
    before.state.close()
    after = Neighbour(path, clock)
    assert await after.call(fine) == "fine"
    await after.fails()
    third = Neighbour(path, clock)
    with pytest.raises(CircuitOpenError):
        await third.call(_never)
    for each in (after, third):
        each.state.close()


async def test_circuits_that_are_open_when_they_are_joined_are_told(path: Path) -> None:
    with neighbours(path) as ((one, other), _):
        outside, one.circuits.outside = one.circuits.outside, None
        await one.fails()
        one.circuits.outside = outside
        with pytest.raises(CircuitOpenError):
            await one.call(_never)
        await one.written()
        with pytest.raises(CircuitOpenError):
            await other.call(_never)


async def test_what_is_known_survives_the_file(pair: Pair) -> None:
    one, other, clock = pair
    await one.fails()
    one.state.path.unlink()
    clock.now += 2
    with pytest.raises(CircuitOpenError):
        await one.call(_never)
    assert await other.call(fine) == "fine"
    clock.now += 10
    await one.fails(1)
    clock.now += 1
    with pytest.raises(CircuitOpenError):
        await other.call(_never)


async def test_more_parts_than_are_kept_do_no_harm(pair: Pair) -> None:
    one, other, _ = pair
    for number in range(140):
        await one.fails(1, part=f"m{number}")
    await one.fails(part="big")
    with pytest.raises(CircuitOpenError):
        await other.call(_never, "big")


async def test_names_and_errors_may_hold_any_text(pair: Pair) -> None:
    one, other, _ = pair

    async def odd() -> str:
        raise ProviderOverloadedError("\ud800\0 overloaded", status_code=529)

    for _ in range(2):
        with pytest.raises(ProviderOverloadedError):
            await one.call(odd, "m\udfff")
    await one.written()
    with pytest.raises(CircuitOpenError):
        await one.call(_never, "m\udfff")
    assert await other.call(fine, "m\udfff") == "fine"  # never shared, and never an error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(StreamInterruptedError("it broke", "part"), id="with_more_than_a_message"),
        pytest.param(ConnectionResetError("reset"), id="foreign"),
        pytest.param(ProviderServerError(""), id="without_words"),
    ],
)
async def test_the_last_error_is_told_whatever_it_is(pair: Pair, error: Exception) -> None:
    one, other, _ = pair

    async def fails() -> str:
        raise error

    for _ in range(2):
        with pytest.raises(type(error)):
            await one.call(fails)
    await one.written()
    with pytest.raises(CircuitOpenError) as caught:
        await other.call(_never)
    assert isinstance(caught.value.last_error, ProviderError)
    assert type(error).__name__ in str(caught.value)


async def test_what_a_person_set_here_is_no_news_for_others(pair: Pair) -> None:
    one, other, _ = pair
    one.circuits.endpoint.force_open()
    for _ in range(2):
        with pytest.raises(CircuitOpenError, match="by hand"):
            await one.call(_never)
    await one.written()
    assert await other.call(fine) == "fine"
    one.circuits.endpoint.auto()
    assert await one.call(fine) == "fine"
