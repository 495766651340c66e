"""How much goes out per minute, so that a server need not refuse: a queue in front of requests.

In any 60 seconds no more requests begin, and no more tokens are counted, than was said. Who has to
wait, waits in the order of arrival; what a request really used replaces its estimate as soon as it
is known. Besides, requests of one kind can be held back until a moment, because the server said
that nothing is left.

One object may be shared by everything that is to be counted together, in any event loop or thread.
Knows nothing about requests, tokens or headers: it counts what it is told.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from itertools import chain
from threading import Lock
from typing import Final, TypeAlias

from victor.errors import ProviderRateLimitError

__all__ = ["OnWait", "Throttle", "Ticket"]

OnWait: TypeAlias = Callable[[str, float], object]
"""Is told why a request waits, and for how many seconds."""

_WINDOW_S: Final = 60.0
_BY_US: Final = "the limit per minute set here is reached"
_BY_SERVER: Final = "the server said that its rate limit is reached"
_GRACE_S: Final = 0.01
_MOST_HOLDS: Final = 1024
_MOST_HOLD_S: Final = 86_400.0


class Ticket:
    """One request that was counted."""

    __slots__ = ("_loop", "_turn", "is_counted", "start", "tokens")

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        """What it counts for: an estimate until `Throttle.used`."""
        self.start = math.inf
        """When it began; while it waits, when it would with what is known."""
        self.is_counted = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn: asyncio.Event | None = None

    def _look(self) -> None:
        """Have it look whether it may begin."""
        if self._loop is not None and self._turn is not None:
            with suppress(RuntimeError):  # its loop is closed, so nobody waits any more
                self._loop.call_soon_threadsafe(self._turn.set)


class Throttle:
    """Counts requests and tokens per minute, and lets those wait that would be too many.

    Args:
        requests_per_minute: None is no limit.
        tokens_per_minute: None is no limit.
        clock: monotonic seconds, at the pace of the event loops that wait.

    Raises:
        ValueError: a limit is below 1.
    """

    def __init__(
        self,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, limit in (
            ("requests_per_minute", requests_per_minute),
            ("tokens_per_minute", tokens_per_minute),
        ):
            if limit is not None and not limit >= 1:
                raise ValueError(f"{name} must be at least 1, or None, not {limit!r}")
        self.requests_per_minute = requests_per_minute
        self.tokens_per_minute = tokens_per_minute
        self._most = math.inf if requests_per_minute is None else math.floor(requests_per_minute)
        self._most_tokens = math.inf if tokens_per_minute is None else math.floor(tokens_per_minute)
        self._clock = clock
        self._lock = Lock()
        self._begun: deque[Ticket] = deque()
        """Those of the last minute, oldest first."""
        self._tokens = 0
        """What they count for together."""
        self._queue: deque[Ticket] = deque()
        self._holds: dict[Hashable, float] = {}

    async def wait(
        self,
        tokens: float = 0,
        *,
        kind: Hashable = None,
        within_s: float | None = None,
        on_wait: OnWait | None = None,
    ) -> Ticket:
        """Wait until a request may begin, and count it. Cancelled, it is not counted.

        Args:
            tokens: an estimate of what it will use. What is more than a whole minute allows counts
                as a whole minute.
            kind: what `hold` may have held back.
            within_s: the longest wait; None is for ever.
            on_wait: is told why it waits and for how long, in seconds, as far as is known then.

        Raises:
            ProviderRateLimitError: it would be longer; `retry_after` is the whole wait. Nothing was
                counted.
        """
        # Whole numbers: sums of fractions depend on the order.
        ticket = Ticket(math.floor(min(math.ceil(max(0.0, tokens)), self._most_tokens)))
        until = math.inf if within_s is None else self._clock() + within_s
        while True:
            await self._held(kind, until, on_wait)
            await self._turn_of(ticket, until, on_wait)
            if kind not in self._holds or self._held_s(kind) <= 0:
                return ticket
            self._give_back(ticket)  # held back while it stood in the queue

    def used(self, ticket: Ticket, tokens: float) -> None:
        """Replace the estimate by what a request really used."""
        with self._lock:
            real = math.ceil(max(0.0, tokens))
            if ticket.is_counted:
                self._tokens += real - ticket.tokens
            ticket.tokens = real
            self._next()

    def hold(self, kind: Hashable, seconds: float) -> None:
        """Let no request of a kind begin for some time; a shorter hold has no effect on a longer.

        Args:
            kind: as in `wait`.
            seconds: at most a day counts.
        """
        now = self._clock()
        with self._lock:
            if len(self._holds) >= _MOST_HOLDS:
                self._holds = {of: until for of, until in self._holds.items() if until > now}
            until = now + min(max(0.0, seconds), _MOST_HOLD_S)
            self._holds[kind] = max(until, self._holds.get(kind, 0.0))

    # ---------------------------------------------------------------- waiting

    async def _held(self, kind: Hashable, until: float, on_wait: OnWait | None) -> None:
        while kind in self._holds and (left := self._held_s(kind)) > 0:
            if self._clock() + left > until:
                raise _too_long(left, _BY_SERVER)
            if on_wait is not None:
                on_wait(_BY_SERVER, left)
            await asyncio.sleep(left)

    def _held_s(self, kind: Hashable) -> float:
        return self._holds.get(kind, 0.0) - self._clock()

    async def _turn_of(self, ticket: Ticket, until: float, on_wait: OnWait | None) -> None:
        turn = asyncio.Event()
        with self._lock:
            now = self._clock()
            if not self._queue and self._begin(ticket, now):
                return
            ticket.start = self._earliest(ticket, chain(reversed(self._queue), self._newest()), now)
            if ticket.start > until:
                raise _too_long(ticket.start - now, _BY_US)
            ticket._loop, ticket._turn = asyncio.get_running_loop(), turn
            self._queue.append(ticket)
        try:
            if on_wait is not None:
                on_wait(_BY_US, ticket.start - now)
            while (left := self._left(ticket, until)) is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left if math.isfinite(left) else None):
                        await turn.wait()
                turn.clear()
        except BaseException:
            with self._lock:
                self._queue.remove(ticket)
                self._next()
            raise

    def _left(self, ticket: Ticket, until: float) -> float | None:
        """Return how long to sleep unless woken; None once the request has begun."""
        with self._lock:
            now = self._clock()
            if self._queue[0] is not ticket:
                # The first one wakes the next when it goes, which may be at the last moment.
                if now > until:
                    raise _too_long(max(0.0, ticket.start - now), _BY_US)
                return until + _GRACE_S - now
            if self._begin(ticket, now):
                self._queue.popleft()
                self._next()
                return None
            ticket.start = self._earliest(ticket, self._newest(), now)
            if ticket.start > until:
                raise _too_long(ticket.start - now, _BY_US)
            return ticket.start - now

    # Everything below runs with the lock held, except `_give_back`.

    def _begin(self, ticket: Ticket, now: float) -> bool:
        """Count a request, if it fits."""
        begun = self._begun
        while begun and begun[0].start + _WINDOW_S <= now:
            self._forget(begun.popleft())
        if len(begun) >= self._most or self._tokens + ticket.tokens > self._most_tokens:
            return False
        ticket.start = now
        ticket.is_counted = True
        begun.append(ticket)
        self._tokens += ticket.tokens
        return True

    def _earliest(self, ticket: Ticket, ahead: Iterable[Ticket], now: float) -> float:
        """Say when a request may begin, given all those ahead of it, latest first."""
        start, count, tokens = now, 1, ticket.tokens
        for each in ahead:
            count += 1
            tokens += each.tokens
            if count > self._most or tokens > self._most_tokens:
                return max(start, each.start + _WINDOW_S)
            start = max(start, each.start)
        return start

    def _forget(self, ticket: Ticket) -> None:
        ticket.is_counted = False
        self._tokens -= ticket.tokens

    def _newest(self) -> Iterable[Ticket]:
        return reversed(self._begun)

    def _next(self) -> None:
        if self._queue:
            self._queue[0]._look()

    def _give_back(self, ticket: Ticket) -> None:
        with self._lock:
            self._begun.remove(ticket)
            self._forget(ticket)
            self._next()


def _too_long(seconds: float, why: str) -> ProviderRateLimitError:
    return ProviderRateLimitError(
        f"nothing was sent: {why}, and the next request may begin in {seconds:.1f} s only",
        retry_after=seconds,
    )
