"""Two routes at once, where the first one is slow to begin: the first to bring content wins.

Knows how to start something on a leg, and nothing about what that is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

from victor.errors import ProviderTimeoutError
from victor.providers.legs import Leg
from victor.providers.passage import Passage

__all__ = ["Hedge"]

T = TypeVar("T")


class Hedge(Generic[T]):
    """A start that gets help where it takes too long.

    Args:
        passage: the way of the call.
        after_s: how long the first route has to itself.
        start: begins on a leg; done once content has come.
        stop: ends what has begun and is not wanted.
    """

    def __init__(
        self,
        passage: Passage,
        after_s: float,
        start: Callable[[Leg], Awaitable[T]],
        stop: Callable[[T], Awaitable[None]],
    ) -> None:
        self._passage = passage
        self._after_s = after_s
        self._start = start
        self._stop = stop
        self._running: dict[asyncio.Future[T], Leg] = {}

    async def begin(self, leg: Leg) -> T:
        """Begin on a leg, and on the next one as well if that brings nothing in time.

        Raises:
            Exception: what the last one under way failed with, or what ends the call; the passage
                stands at its leg then, and has not been told of it.
        """
        first = self._launch(leg)
        try:
            done, _ = await asyncio.wait({first}, timeout=self._after_s)
            spare = None if done else await self._passage.spare()
            if spare is not None:
                self._passage.begin(spare)
                self._launch(spare)
            return await self._first_content(leg)
        finally:
            await self._end()

    def _launch(self, leg: Leg) -> asyncio.Future[T]:
        future = asyncio.ensure_future(self._start(leg))
        self._running[future] = leg
        return future

    async def _first_content(self, first: Leg) -> T:
        why: Exception = ProviderTimeoutError(
            f"{first.label} brought nothing within {self._after_s:g} s", provider=first.name
        )
        while True:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            future = next(one for one in self._running if one.done())
            leg = self._running.pop(future)
            error = future.exception()
            if error is None:
                for loser in self._running.values():
                    self._passage.abandoned(loser, f"cancelled: {leg.label} was faster")
                if leg is not first:
                    self._passage.moved(first, leg, why)
                self._passage.stand_at(leg)
                return future.result()
            if (
                not self._running
                or not isinstance(error, Exception)
                or not self._passage.moves(error)
            ):
                self._passage.stand_at(leg)
                raise error
            await self._passage.failed(leg, error)
            why = error if leg is first else why

    async def _end(self) -> None:
        """Cancel what is still under way; it must stand still before its stream can be closed."""
        for future in self._running:
            future.cancel()
        if self._running:
            await asyncio.wait(self._running)
        for future in self._running:
            with suppress(asyncio.CancelledError, Exception):
                await self._stop(future.result())
