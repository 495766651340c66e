"""Ties the circuit breakers of one endpoint to the rows that all processes share.

A breaker stays the judge in its own process. Its tie makes it take over what others wrote, writes
what it found out itself, and gets leave before its trial call, so that one process probes at a
time. What a process found out counts only if nobody changed the row since it was last seen.

Knows no SQL and does no I/O: jobs of the thread do.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import replace
from threading import RLock
from typing import Final

from victor import errors
from victor.errors import ProviderError
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.breaker_values import BreakerSnapshot
from victor.resilience.circuits import Circuits
from victor.resilience.events import one_line
from victor.resilience.state_file import AttemptRow, CircuitRow, clean
from victor.resilience.state_thread import StateThread
from victor.resilience.votes import Outcome, Vote

__all__ = ["Tie", "Ties"]

_MOST_CLAIMS: Final = 10
"""Each claim that is lost means that another process got on; so many in a row are enough."""
_MOST_PARTS: Final = 128
_PART_FAILED: Final = f"{Vote.FAIL} of part"
"""The vote of a failure that says nothing against the whole endpoint."""


class Tie:
    """One breaker and its shared row."""

    def __init__(
        self, thread: StateThread, breaker: CircuitBreaker, endpoint: str, part: str
    ) -> None:
        self.breaker = breaker
        self._thread = thread
        self._key = (endpoint, part)
        # Held for instants, never while the file is worked on; a listener may come back to us.
        self._lock = RLock()
        self._local = 0
        """The breaker's epoch that the row, or a write on its way, tells of."""
        self._epoch = 0
        """The epoch of the row as this process knows it; 0 for no row."""
        self._writes = 0
        """Writes on their way; until they are over, the row as it was read is behind us."""
        self._lease_until = 0.0
        """Until when the trial call is ours to make."""
        self._waiting = 0
        """Calls that wait for that leave."""

    def look(self) -> None:
        """Take over what others wrote."""
        row = self._thread.circuits.get(self._key)
        if (0 if row is None else row.epoch) == self._epoch:
            return
        with self._lock:
            row = self._thread.circuits.get(self._key)
            if self._writes:
                return
            self._lease_until = 0.0
            if row is None:  # the file was lost: what we know holds
                self._epoch = 0
                return
            self._epoch = row.epoch
            until, probing = None, False
            if row.state == "open":
                others = row.probe_owner not in ("", self._thread.owner)
                probing = others and row.probe_until > self._thread.clock()
                until = max(row.until, row.probe_until) if probing else row.until
            error = _error(row.last_error)
            self._local = self.breaker.adopt(until, trips=row.trips, error=error, probing=probing)

    def publish(self) -> None:
        """Pass on what the breaker found out; gives an unused lease back."""
        if self.breaker.epoch == self._local and not self._lease_until:
            return
        with self._lock:
            known = self.breaker.snapshot()
            changed = known.epoch != self._local
            is_probing = known.state == "half-open" and known.retry_at is not None
            unused = self._lease_until and not is_probing and not self._waiting
            self._local = known.epoch
            if known.state == "half-open" and not unused:
                return
            if known.state in ("forced-open", "disabled") or not (changed or unused):
                return
            self._lease_until = 0.0
            self._writes += 1
        row = self._row(known)
        self._thread.post(lambda: self._write(row))

    def is_claim_due(self) -> bool:
        """Tell whether the next call would be a trial that this process has no leave for."""
        if self.breaker.state in ("closed", "forced-open", "disabled"):
            return False
        return self._lease_until <= self._thread.clock() and self.breaker.snapshot().is_due

    async def claim(self) -> None:
        """Get leave for the trial call, or learn that others have it."""
        for _ in range(_MOST_CLAIMS):
            if not self.is_claim_due() or self._thread.is_away:
                return
            with self._lock:
                self._waiting += 1
            try:
                await self._thread.ask(self._claim)
            except BaseException:
                self._stop_waiting()
                self.publish()
                raise
            self._stop_waiting()
            self.look()

    def _stop_waiting(self) -> None:
        with self._lock:
            self._waiting -= 1

    def _row(self, known: BreakerSnapshot, *, lease_s: float = 0.0) -> CircuitRow:
        """Describe the breaker as a row, without its epoch."""
        now = self._thread.clock()
        is_open = known.state != "closed"
        return CircuitRow(
            *self._key,
            state="open" if is_open else "closed",
            until=(known.retry_at or now) if is_open else 0.0,
            trips=known.trips,
            probe_owner=self._thread.owner if lease_s else "",
            probe_until=now + lease_s if lease_s else 0.0,
            last_error=clean(known.last_error or ""),
        )

    # ---------------------------------------------------------------- jobs, in the thread

    def _claim(self) -> None:
        self._thread.read()
        row = self._thread.circuits.get(self._key)
        with self._lock:
            if not self._waiting or (0 if row is None else row.epoch) != self._epoch:
                return  # nobody wants it any more, or there is news to look at first
            if not self.is_claim_due():
                return
            self._writes += 1
        self._write(self._row(self.breaker.snapshot(), lease_s=self.breaker.policy.probe_lease_s))
        if not self._waiting:
            self.publish()

    def _write(self, row: CircuitRow) -> None:
        won = False
        epoch = self._epoch  # only changed by `look`, which waits for us
        row = replace(row, epoch=epoch + 1)
        try:
            won = self._thread.swap(row, epoch)
        finally:
            with self._lock:
                self._writes -= 1
                if won:
                    self._epoch = row.epoch
                    self._lease_until = row.probe_until


class Ties:
    """The ties of one endpoint and of its parts; what `Circuits.outside` is."""

    def __init__(self, thread: StateThread, circuits: Circuits) -> None:
        self._thread = thread
        self._circuits = circuits
        self._name = clean(circuits.endpoint.name)
        self._endpoint = Tie(thread, circuits.endpoint, self._name, "")
        self._parts: dict[str, Tie] = {}
        self._has_recalled = False

    def turn(self, part: str | None) -> Awaitable[None] | None:
        if self._thread.is_stale():
            return self._catch_up(part)
        tie = self._take_over(part)
        if self._endpoint.is_claim_due() or (tie is not None and tie.is_claim_due()):
            return self._catch_up(part)
        return None

    def look(self, part: str | None) -> Awaitable[None] | None:
        if self._thread.is_stale():
            return self._read(part)
        self._take_over(part)
        return None

    def changed(self, part: str | None) -> None:
        self._endpoint.publish()
        tie = self._of(part)
        if tie is not None:
            tie.publish()

    def settled(
        self, part: str | None, outcome: Outcome, error: BaseException | None, seconds: float
    ) -> None:
        self.changed(part)
        if outcome.vote is Vote.NEUTRAL:
            return
        told = "" if error is None else clean(one_line(error))
        now, vote = self._thread.clock(), outcome.vote.value
        if outcome.of_part and outcome.vote is Vote.FAIL:
            vote = _PART_FAILED
        of = "" if part is None else clean(part)
        self._thread.record(AttemptRow(self._name, of, now, seconds, vote, told))

    async def _catch_up(self, part: str | None) -> None:
        if self._thread.is_stale():
            await self._read(part)
        for tie in (self._of(part), self._endpoint):
            if tie is not None:
                tie.look()
                await tie.claim()

    async def _read(self, part: str | None) -> None:
        await self._thread.ask(self._thread.read)
        self._take_over(part)

    def _take_over(self, part: str | None) -> Tie | None:
        """Take over what was read; return the tie of the part, if it has one."""
        if not self._has_recalled:
            self._recall()
        self._endpoint.look()
        tie = self._of(part)
        if tie is not None:
            tie.look()
        return tie

    def _recall(self) -> None:
        """Count the failures with which the calls of other processes ended a moment ago.

        A process that makes one request and ends would never see as many as open a circuit.
        """
        self._has_recalled = True
        breaker = self._circuits.endpoint
        since = self._thread.clock() - breaker.policy.window_s
        rows = [
            row for row in self._thread.recent if row.endpoint == self._name and row.at >= since
        ]
        breaker.recall(_in_a_row(rows, Vote.FAIL))
        for part in {row.part for row in rows if row.vote == _PART_FAILED}:
            own = [row for row in rows if row.part == part]
            if failures := _in_a_row(own, _PART_FAILED):
                self._circuits.part(part).recall(failures)

    def _of(self, part: str | None) -> Tie | None:
        """Return the tie of a part that is known, here or to others, to fail alone."""
        if part is None:
            return None
        breaker = self._circuits.known_part(part)
        if breaker is None:
            if (self._name, part) not in self._thread.circuits:
                return None
            breaker = self._circuits.part(part)
        tie = self._parts.get(part)
        if tie is None or tie.breaker is not breaker:  # the breaker of long ago was forgotten
            if len(self._parts) >= _MOST_PARTS:
                self._parts.clear()  # nothing is lost: a new tie takes over what the rows say
            tie = self._parts[part] = Tie(self._thread, breaker, self._name, clean(part))
        return tie


def _in_a_row(rows: Sequence[AttemptRow], vote: str) -> int:
    """Return how many failures of a kind there were since the last success."""
    count = 0
    for row in reversed(rows):
        if row.vote == Vote.OK:
            break
        count += row.vote == vote
    return count


def _error(text: str) -> BaseException | None:
    """Make an error of what `one_line` made of one; of another class where ours is unknown."""
    if not text:
        return None
    name, _, message = text.partition(": ")
    kind = getattr(errors, name, None)
    if isinstance(kind, type) and issubclass(kind, ProviderError):
        return kind(message)
    return ProviderError(text)
