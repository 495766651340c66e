from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable

import pytest

from victor.resilience.deadlines import Deadlines, Watchdog
from victor.testing.virtual import now, run_virtual


class TooLateError(Exception):
    pass


async def guarded(dog: Watchdog, work: Callable[[], Awaitable[str]]) -> str:
    dog.begin()
    try:
        result = await work()
    except BaseException as error:
        if dog.claims(error):
            raise TooLateError from error
        raise
    dog.end()
    return result


async def forever() -> str:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def after(seconds: float) -> Callable[[], Awaitable[str]]:
    async def work() -> str:
        await asyncio.sleep(seconds)
        return "done"

    return work


def test_a_wait_that_is_too_long_is_ended_on_time() -> None:
    async def main() -> float:
        dog = Watchdog(5.0)
        with pytest.raises(TooLateError):
            await guarded(dog, forever)
        dog.close()
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return now()

    assert run_virtual(main()) == pytest.approx(5.0)


def test_only_waiting_counts() -> None:
    async def main() -> None:
        dog = Watchdog(5.0)
        for _ in range(4):
            assert await guarded(dog, after(1.0)) == "done"
            await asyncio.sleep(3600)
        started = now()
        with pytest.raises(TooLateError):
            await guarded(dog, forever)
        assert now() - started == pytest.approx(1.0)
        assert not dog.total_is_up
        dog.close()

    run_virtual(main())


def test_restart_gives_a_new_limit_and_leaves_the_total() -> None:
    async def main() -> None:
        dog = Watchdog(60.0, 10.0)
        await guarded(dog, after(4.0))
        dog.restart(5.0)
        await guarded(dog, after(4.0))
        dog.restart(5.0)
        with pytest.raises(TooLateError):
            await guarded(dog, forever)
        assert dog.total_is_up
        assert now() == pytest.approx(10.0)
        dog.close()

    run_virtual(main())


def test_a_shorter_limit_moves_the_timer_forward() -> None:
    async def main() -> float:
        dog = Watchdog(60.0)
        await guarded(dog, after(1.0))
        dog.restart(2.0)
        with pytest.raises(TooLateError):
            await guarded(dog, forever)
        dog.close()
        return now()

    assert run_virtual(main()) == pytest.approx(3.0)


def test_without_limits_it_never_fires() -> None:
    async def main() -> None:
        dog = Watchdog(None)
        assert await guarded(dog, after(1e6)) == "done"
        dog.restart(None)
        assert await guarded(dog, after(1e6)) == "done"
        dog.close()
        dog.close()

    run_virtual(main())


def test_every_wait_may_happen_in_another_task() -> None:
    async def main() -> None:
        dog = Watchdog(5.0)
        for _ in range(3):
            await asyncio.create_task(guarded(dog, after(1.0)))
        with pytest.raises(TooLateError):
            await asyncio.create_task(guarded(dog, forever))
        assert now() == pytest.approx(5.0)
        dog.close()

    run_virtual(main())


def test_a_callers_cancellation_stays_one() -> None:
    async def main() -> None:
        dog = Watchdog(5.0)
        task = asyncio.create_task(guarded(dog, forever))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        dog.close()

    run_virtual(main())


@pytest.mark.parametrize("caller_s", [5.0, 5.5], ids=["at the same time", "while it unwinds"])
def test_a_callers_cancellation_that_meets_ours_stays_one(caller_s: float) -> None:
    async def slow_to_leave() -> str:
        try:
            return await forever()
        finally:
            await asyncio.sleep(1)

    async def main() -> None:
        dog = Watchdog(5.0)
        task = asyncio.create_task(guarded(dog, slow_to_leave))
        asyncio.get_running_loop().call_later(caller_s, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        dog.close()

    run_virtual(main())


@pytest.mark.parametrize(
    ("caller_s", "ours"), [(1.0, False), (30.0, True)], ids=["caller first", "ours first"]
)
def test_it_nests_in_a_callers_timeout(caller_s: float, *, ours: bool) -> None:
    async def main() -> None:
        dog = Watchdog(5.0)
        with pytest.raises(TooLateError if ours else TimeoutError):
            async with asyncio.timeout(caller_s):
                await guarded(dog, forever)
        dog.close()

    run_virtual(main())


def test_a_task_that_ignored_an_earlier_cancellation_still_gets_its_timeout() -> None:
    async def body() -> None:
        try:
            await forever()
        except asyncio.CancelledError:
            dog = Watchdog(5.0)
            with pytest.raises(TooLateError):
                await guarded(dog, forever)
            dog.close()

    async def main() -> None:
        task = asyncio.create_task(body())
        await asyncio.sleep(1)
        task.cancel()
        await task

    run_virtual(main())


def test_code_that_turns_the_cancellation_into_its_own_error_is_seen_through() -> None:
    async def converting() -> str:
        try:
            return await forever()
        except BaseException as error:
            raise RuntimeError("converted") from error

    async def main() -> None:
        dog = Watchdog(5.0)
        with pytest.raises(TooLateError):
            await guarded(dog, converting)
        dog.close()

    run_virtual(main())


def test_code_that_swallows_the_cancellation_leaves_no_trace_of_it() -> None:
    async def swallowing() -> str:
        try:
            return await forever()
        except asyncio.CancelledError:
            return "late"

    async def main() -> int:
        dog = Watchdog(5.0)
        assert await guarded(dog, swallowing) == "late"
        dog.close()
        task = asyncio.current_task()
        assert task is not None
        return task.cancelling()

    assert run_virtual(main()) == 0


def test_what_breaks_on_its_own_is_not_claimed() -> None:
    async def broken() -> str:
        raise ValueError("mine")

    async def main() -> None:
        dog = Watchdog(5.0)
        with pytest.raises(ValueError, match="mine"):
            await guarded(dog, broken)
        dog.close()

    run_virtual(main())


async def test_time_in_which_the_loop_stood_still_does_not_count() -> None:
    ours, theirs = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=ours)

    async def read() -> str:
        return (await reader.readexactly(2)).decode()

    def stand_still() -> None:
        time.sleep(0.3)
        theirs.sendall(b"ok")

    dog = Watchdog(0.05)
    asyncio.get_running_loop().call_soon(stand_still)
    assert await guarded(dog, read) == "ok"
    dog.close()
    theirs.close()
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("name", ["call_s", "first_content_s", "idle_s", "total_s"])
@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_limit_that_cannot_be_kept_is_refused_by_name(name: str, limit: float) -> None:
    with pytest.raises(ValueError, match=name):
        Deadlines(**{name: limit})
