from __future__ import annotations

import asyncio
import atexit
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.neighbours import BOOT, Neighbour, down, fine, neighbours
from victor.errors import CircuitOpenError, ConfigError, ProviderServerError
from victor.resilience.circuits import SharedCircuits, shared_circuits
from victor.resilience.shared_state import (
    EndpointStatus,
    SharedState,
    read_status,
    share_state,
    shared_state_path,
)
from victor.resilience.state_file import AttemptRow, CircuitRow, KeyRow, StateFile

NOW = 10_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "resilience.db"


@pytest.fixture
def alone(path: Path) -> Iterator[Neighbour]:
    with neighbours(path, 1) as ((one,), _):
        yield one


def _status(path: Path) -> list[EndpointStatus]:
    return read_status(path, clock=lambda: NOW, boot=BOOT)


def _attempt(seconds: float = 1.0, vote: str = "ok", ago: float = 1.0, **more: str) -> AttemptRow:
    told = {"endpoint": "api", "part": "", **more}
    return AttemptRow(at=NOW - ago, seconds=seconds, vote=vote, **told)


def _written(path: Path, *rows: AttemptRow | CircuitRow) -> None:
    with closing(StateFile(path, BOOT)) as file:
        for row in rows:
            if isinstance(row, CircuitRow):
                assert file.swap(row, 0)
        file.add_attempts([each for each in rows if isinstance(each, AttemptRow)])


def test_without_a_file_there_is_no_status(path: Path) -> None:
    assert _status(path) == []
    assert not path.exists()


def test_an_endpoint_nobody_called_has_no_rates(path: Path) -> None:
    _written(path, CircuitRow("api", "", "closed", epoch=1))
    assert _status(path) == [EndpointStatus("api", "closed", None, None, 0, None, None, None)]


def test_rates_are_of_the_last_hour_and_latencies_of_successes(path: Path) -> None:
    fast = [_attempt(float(seconds)) for seconds in range(1, 19)]
    bad = _attempt(100.0, "fail", error="ProviderServerError: HTTP 500")
    refused = _attempt(50.0, "alive", error="ProviderAuthError: bad key")
    _written(path, _attempt(99.0, ago=3601.0), bad, refused, *fast)
    (found,) = _status(path)
    assert (found.calls, found.success_rate) == (20, 0.9)
    assert (found.p50_s, found.p95_s) == (9.0, 18.0)
    assert (found.state, found.retry_at_s) == ("closed", None)
    assert found.last_error == "ProviderAuthError: bad key"
    assert found.parts == ()


@pytest.mark.parametrize(
    ("row", "state", "retry_at_s"),
    [
        (CircuitRow("api", "", "open", NOW + 7, epoch=1, last_error="E: x"), "open", 7.0),
        (CircuitRow("api", "", "open", NOW - 7, epoch=1, last_error="E: x"), "open", 0.0),
        (
            CircuitRow("api", "", "open", NOW - 7, 1, 1, "somebody", NOW + 3, "E: x"),
            "half-open",
            3.0,
        ),
        (CircuitRow("api", "", "open", NOW - 7, 1, 1, "somebody", NOW - 3, "E: x"), "open", 0.0),
    ],
    ids=["open", "due", "probed", "lease_over"],
)
def test_an_open_circuit_says_when_and_why(
    path: Path, row: CircuitRow, state: str, retry_at_s: float
) -> None:
    _written(path, row, _attempt(vote="fail", error="ProviderServerError: later"))
    (found,) = _status(path)
    assert (found.state, found.retry_at_s, found.last_error) == (state, retry_at_s, "E: x")


def test_parts_have_a_status_of_their_own(path: Path) -> None:
    _written(
        path,
        CircuitRow("api", "big", "open", NOW + 5, epoch=1, last_error="E: busy"),
        _attempt(part="big", vote="fail", error="E: busy"),
        _attempt(2.0, part="small"),
        _attempt(1.0, endpoint="zoo"),
    )
    api, zoo = _status(path)
    assert zoo.name == "zoo"
    assert (api.state, api.calls, api.success_rate) == ("closed", 2, 0.5)
    big, small = api.parts
    assert (big.name, big.state, big.retry_at_s, big.success_rate) == ("big", "open", 5.0, 0.0)
    assert big.p50_s is None
    assert (small.name, small.state, small.p95_s) == ("small", "closed", 2.0)


def test_a_file_that_cannot_be_read_says_what_to_do(path: Path) -> None:
    path.write_bytes(b"nonsense" * 200)
    with pytest.raises(ConfigError, match=r"resilience\.db cannot be read: .* It may be deleted"):
        _status(path)
    assert path.exists()


async def test_what_calls_did_is_the_status(path: Path, alone: Neighbour) -> None:
    async def slow() -> str:
        alone.clock.now += 2.5
        return "fine"

    async def cancelled() -> str:
        raise asyncio.CancelledError

    await alone.call(slow, "m")
    await alone.fails()
    with pytest.raises(CircuitOpenError):
        await alone.call(fine)
    alone.clock.now += 11
    with pytest.raises(asyncio.CancelledError):
        await alone.call(cancelled)
    alone.state.close()
    (found,) = read_status(path, clock=alone.clock, boot=BOOT)
    assert (found.name, found.state, found.retry_at_s) == ("api", "open", 0.0)
    assert found.last_error == "ProviderServerError: HTTP 500"
    assert (found.calls, found.p50_s) == (3, 2.5)
    assert [part.name for part in found.parts] == ["m"]


async def test_keys_are_shared(path: Path) -> None:
    with neighbours(path) as ((one, other), clock):
        parked = KeyRow("k1", "parked", "m", clock.now + 60, "429")
        one.state.keys.save(parked)
        one.state.keys.save(KeyRow("k2", "quarantined", until=float("inf")))
        assert one.state.keys.load(["k1"]) == [parked]
        await one.written()
        assert other.state.keys.load(["k1", "k3"]) == ()
        await other.written()
        assert other.state.keys.load(["k1", "k3"]) == [parked]
        assert [row.state for row in other.state.keys.load(("k2",))] == ["quarantined"]


async def test_circuits_that_come_later_are_shared_too_and_sharing_can_end(path: Path) -> None:
    clock = Clock()
    state = SharedState(path, clock=clock, boot=BOOT)
    known = SharedCircuits()
    known.of("before")
    state.attach(known)
    known.of("after")
    assert [each.outside is not None for each in known.all()] == [True, True]
    known.join(None)
    known.of("last")
    assert [each.outside for each in known.all()] == [None, None, None]
    state.close()


async def test_after_closing_each_process_is_on_its_own(path: Path) -> None:
    with neighbours(path) as ((one, other), _):
        assert await one.call(fine) == "fine"
        one.state.close()
        for _ in range(2):
            with pytest.raises(ProviderServerError):
                await one.call(down)
        with pytest.raises(CircuitOpenError):
            await one.call(fine)
        assert await other.call(fine) == "fine"


async def test_one_call_shares_the_circuits_of_the_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(path.parent))
    assert shared_state_path() == path.parent / "victor" / "resilience.db"
    state = share_state()
    try:
        assert state.path == shared_state_path()
        assert shared_circuits().of("api").outside is not None
        assert not state.path.exists()
        assert read_status() == []
    finally:
        shared_circuits().join(None)
        atexit.unregister(state.close)
        state.close()


def test_what_was_found_out_is_written_before_a_process_ends(path: Path) -> None:
    script = f"""
import asyncio
from pathlib import Path
from victor.errors import ProviderServerError
from victor.resilience.circuits import shared_circuits
from victor.resilience.deadlines import Deadlines
from victor.resilience.pipeline import Pipeline
from victor.resilience.retry import RetryPolicy
from victor.resilience.shared_state import share_state

async def down():
    raise ProviderServerError("HTTP 500")

async def main():
    share_state(Path({str(path)!r}))
    guard = Pipeline("api", breaker=shared_circuits().of("api"),
                     retry=RetryPolicy(max_retries=0), deadlines=Deadlines())
    for _ in range(5):
        try:
            await guard.call(down)
        except ProviderServerError:
            pass

asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    (found,) = read_status(path)
    assert (found.name, found.calls, found.success_rate) == ("api", 5, 0.0)
    assert found.state == "open"
