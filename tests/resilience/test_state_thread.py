from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, get_ident

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.neighbours import BOOT, Neighbour, fine
from victor.errors import CircuitOpenError
from victor.resilience.state_file import AttemptRow, CircuitRow, KeyRow, StateFile
from victor.resilience.state_thread import StateThread

ROW = AttemptRow("api", "", 1.0, 0.5, "ok")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "resilience.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(path: Path, clock: Clock) -> Iterator[Callable[..., StateThread]]:
    made: list[StateThread] = []

    def make(where: Path = path, patience_s: float = 10.0, batch_s: float = 60.0) -> StateThread:
        file = StateFile(where, BOOT, busy_s=0.05)
        made.append(StateThread(file, clock=clock, patience_s=patience_s, batch_s=batch_s))
        return made[-1]

    yield make
    for each in made:
        each.close()


Make = Callable[..., StateThread]


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - a thread sets no event of ours
            await asyncio.sleep(0.005)


def _warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records]


def test_nothing_is_opened_before_it_is_used(make: Make, path: Path) -> None:
    thread = make()
    assert thread.is_stale()
    assert not path.exists()
    asyncio.run(thread.ask(thread.read))
    assert path.exists()
    assert not thread.is_stale()


async def test_what_is_half_a_second_old_is_read_again_beside_the_call(
    make: Make, clock: Clock
) -> None:
    one, other = make(), make()
    for each in (one, other):
        await each.ask(each.read)
    row = CircuitRow("api", "", "open", epoch=1)
    await one.ask(lambda: _swapped(one, row))
    clock.now += 0.4
    assert not other.is_stale()
    await other.ask(_nothing)
    assert other.circuits == {}
    clock.now += 0.2
    assert not other.is_stale()
    assert not other.is_stale()
    await other.ask(_nothing)
    assert other.circuits == {("api", ""): row}
    clock.now += 1
    assert other.is_stale()


def _swapped(thread: StateThread, row: CircuitRow) -> None:
    assert thread.swap(row, row.epoch - 1)


def _nothing() -> None:
    return None


async def test_jobs_are_done_in_turn_and_in_one_thread(make: Make) -> None:
    thread = make()
    done: list[tuple[int, int]] = []

    def job(number: int) -> Callable[[], None]:
        return lambda: done.append((number, get_ident()))

    for number in range(20):
        thread.post(job(number))
    await thread.ask(_nothing)
    assert [number for number, _ in done] == [*range(20)]
    assert len({ident for _, ident in done}) == 1
    assert done[0][1] != get_ident()


async def test_attempts_are_written_together(make: Make, path: Path) -> None:
    thread = make(batch_s=0.02)
    with closing(StateFile(path, BOOT)) as file:
        for _ in range(3):
            thread.record(ROW)
        await thread.ask(_nothing)
        before = len(file.attempts(0.0))
        await _until(lambda: len(file.attempts(0.0)) == 3)
    assert before in (0, 3)


async def test_closing_writes_what_is_left(make: Make, path: Path) -> None:
    thread = make()
    thread.record(ROW)
    thread.save_key(KeyRow("k", "parked", "m\ud800", 5.0, "no\udfffwords"))
    thread.close()
    with closing(StateFile(path, BOOT)) as file:
        assert file.attempts(0.0) == [ROW]
        rows = file.read()
        assert rows is not None
        assert rows.keys["k", "m?"] == KeyRow("k", "parked", "m?", 5.0, "no?words")


async def test_after_closing_nothing_is_done_and_nobody_waits(make: Make) -> None:
    thread = make()
    await thread.ask(_nothing)
    thread.close()
    thread.close()
    thread.record(ROW)
    thread.post(lambda: pytest.fail("this must not run"))
    assert thread.is_away
    assert not thread.is_stale()


def test_closing_what_was_never_used_makes_no_file(make: Make, path: Path) -> None:
    make().close()
    assert not path.exists()


async def test_what_was_saved_is_known_at_once(make: Make) -> None:
    thread = make()
    row = KeyRow("k", "parked")
    go = Event()
    thread.post(lambda: _wait_for(go))
    thread.save_key(row)
    assert thread.known_keys() == {("k", ""): row}
    go.set()
    await thread.ask(_nothing)
    assert thread.known_keys() == {("k", ""): row}
    last = KeyRow("k", "ok")
    thread.save_key(row)
    thread.save_key(last)
    assert thread.known_keys() == {("k", ""): last}
    await thread.ask(_nothing)
    assert thread.known_keys() == {("k", ""): last}


def _wait_for(event: Event) -> None:
    assert event.wait(10)


async def test_keys_that_others_wrote_are_read_by_looking(make: Make) -> None:
    one, other = make(), make()
    one.save_key(KeyRow("k", "quarantined"))
    await one.ask(_nothing)
    assert other.known_keys() == {}
    await other.ask(_nothing)
    assert other.known_keys() == {("k", ""): KeyRow("k", "quarantined")}


async def test_a_stuck_file_holds_up_one_call_and_only_for_a_moment(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    thread = make(patience_s=0.01)
    go = Event()
    thread.post(lambda: _wait_for(go))
    since = time.monotonic()
    await thread.ask(thread.read)
    assert time.monotonic() - since < 5
    assert thread.is_away
    assert not thread.is_stale()  # nobody is to wait again …
    go.set()
    await thread.ask(_nothing)
    await _until(lambda: not thread.is_away)  # … until it answers
    (warning,) = _warnings(caplog)
    assert "did not answer within 0.01 s" in warning


async def test_an_unusable_path_is_said_once_and_left_alone(
    make: Make, tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    thread = make(tmp_path / "file" / "resilience.db")
    for _ in range(3):
        await thread.ask(thread.read)
        assert thread.is_away
        assert not thread.is_stale()
        thread.record(ROW)
        thread.save_key(KeyRow("k", "ok"))
        await thread.ask(_nothing)
    assert len(_warnings(caplog)) == 1
    assert "is not at hand" in _warnings(caplog)[0]
    (tmp_path / "file").unlink()
    clock.now += 5.1
    assert thread.is_stale()
    await thread.ask(thread.read)
    assert not thread.is_away


def test_attempts_wait_for_a_file_that_is_away(make: Make, path: Path, clock: Clock) -> None:
    path.mkdir()
    thread = make(batch_s=0.0)
    asyncio.run(thread.ask(thread.read))
    thread.record(ROW)
    asyncio.run(thread.ask(_nothing))
    path.rmdir()
    clock.now += 5.1
    thread.record(ROW)
    asyncio.run(thread.ask(_nothing))
    with closing(StateFile(path, BOOT)) as file:
        assert file.attempts(0.0) == [ROW, ROW]


def test_a_damaged_file_is_replaced_and_all_is_well(
    make: Make, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"nonsense" * 200)
    thread = make()
    asyncio.run(thread.ask(thread.read))
    assert not thread.is_away
    asyncio.run(thread.ask(thread.read))
    assert thread.circuits == {}
    assert path.with_name("resilience.db.corrupt-1").read_bytes().startswith(b"nonsense")
    (warning,) = _warnings(caplog)
    assert "it was damaged" in warning


async def test_a_file_that_is_damaged_again_is_left_alone(make: Make, path: Path) -> None:
    thread = make()
    for _ in range(2):
        await thread.ask(_raise(sqlite3.DatabaseError, 11))
    assert thread.is_away


async def test_a_damaged_file_that_cannot_be_moved_is_left_alone(
    make: Make, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = make()
    await thread.ask(thread.read)

    def refuse(*_: object) -> None:
        raise PermissionError("not yours")

    monkeypatch.setattr(Path, "replace", refuse)
    await thread.ask(_raise(sqlite3.DatabaseError, 11))
    assert thread.is_away


def _raise(kind: type[Exception], code: int = 0) -> Callable[[], None]:
    def job() -> None:
        error = kind("as told")
        if code:
            error.sqlite_errorcode = code  # type: ignore[attr-defined]  # SQLite's own sets it
        raise error

    return job


async def test_a_bug_in_a_job_ends_neither_the_thread_nor_the_call(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    thread = make()
    await thread.ask(_raise(KeyError))
    await thread.ask(thread.read)
    assert not thread.is_stale()
    assert "a job on the shared state failed" in _warnings(caplog)


async def test_the_lease_of_a_dead_process_is_freed_by_whoever_reads(make: Make) -> None:
    one, other = make(), make()
    dead = one.owner.rpartition(" ")[0].rpartition(" ")[0] + " 1 0a1b2c3d"
    held = CircuitRow("api", "", "open", 5.0, 1, 1, dead, 5000.0, "E")
    await one.ask(lambda: _swapped(one, held))
    await other.ask(other.read)
    free = other.circuits["api", ""]
    assert (free.probe_owner, free.probe_until, free.epoch) == ("", 0.0, 2)
    assert (free.state, free.until, free.trips) == ("open", 5.0, 1)


async def test_the_lease_of_a_living_process_is_not(make: Make) -> None:
    one, other = make(), make()
    held = CircuitRow("api", "", "open", 5.0, 1, 1, one.owner, 5000.0, "E")
    await one.ask(lambda: _swapped(one, held))
    await other.ask(other.read)
    assert other.circuits["api", ""] == held


def test_an_answer_for_a_loop_that_is_closed_is_nobodys(make: Make) -> None:
    thread = make(patience_s=0.01)
    go = Event()

    async def give_up() -> None:
        await thread.ask(lambda: _wait_for(go))

    asyncio.run(give_up())
    go.set()
    asyncio.run(thread.ask(_nothing))


async def test_calls_go_on_without_a_file(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    alone = Neighbour(tmp_path / "file" / "resilience.db", clock)
    assert await alone.call(fine) == "fine"
    await alone.fails()
    with pytest.raises(CircuitOpenError):
        await alone.call(fine)
    clock.now += 11
    assert await alone.call(fine) == "fine"
    alone.state.close()
    assert len(_warnings(caplog)) == 1


def test_a_file_that_somebody_keeps_locked_is_done_without(
    make: Make, path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    thread = make()
    asyncio.run(thread.ask(thread.read))
    with closing(sqlite3.connect(path, isolation_level=None)) as stopped:
        stopped.execute("BEGIN EXCLUSIVE")
        asyncio.run(thread.ask(thread.read))
        assert thread.is_away
        stopped.execute("ROLLBACK")
    (warning,) = _warnings(caplog)
    assert "database is locked" in warning
    clock.now += 5.1
    asyncio.run(thread.ask(thread.read))
    assert not thread.is_stale()
