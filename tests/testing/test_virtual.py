from __future__ import annotations

import asyncio
import time

import pytest

from victor.testing.virtual import now, run_virtual


def test_sleeping_takes_virtual_time_and_no_real_time() -> None:
    async def main() -> list[float]:
        start = now()
        await asyncio.sleep(3600)
        return [start, now()]

    began = time.monotonic()
    assert run_virtual(main()) == pytest.approx([0, 3600])
    assert time.monotonic() - began < 5


def test_timers_of_several_tasks_ring_in_their_order() -> None:
    order: list[tuple[float, str]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((round(now(), 6), name))

    async def main() -> None:
        await asyncio.gather(wait("late", 20), wait("early", 10), wait("again", 10))

    run_virtual(main())
    assert order == [(10, "early"), (10, "again"), (20, "late")]


def test_a_timeout_of_asyncio_is_virtual_too() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(500):
                await asyncio.sleep(1000)
        return now()

    assert run_virtual(main()) == pytest.approx(500)


def test_waiting_for_what_never_comes_is_an_error_and_no_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        run_virtual(main())
