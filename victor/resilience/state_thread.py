"""The one thread that works on the shared file, and what it has read there.

Everybody else looks at `circuits` and `keys`, which are only read from memory, and leaves jobs;
nobody ever waits for the disk longer than `patience_s`. Without a usable file all goes on, with
what this process knows by itself. Knows rows; not what they mean.
"""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, TypeAlias

from victor.resilience.machine import is_gone, new_owner
from victor.resilience.state_file import (
    AttemptRow,
    CircuitRow,
    KeyRow,
    StateFile,
    clean,
    is_corrupt,
)

__all__ = ["StateThread"]

_Job: TypeAlias = Callable[[], None]

_MAX_AGE_S: Final = 1.0
"""What was read longer ago decides nothing."""
_REFRESH_S: Final = 0.5
"""What was read longer ago is read again when somebody looks."""
_AWAY_S: Final = 5.0
"""After a failure the file is left alone for so long."""
_RECENT_S: Final = 60.0
_MOST_WAITING: Final = 1000
"""Attempts that are not written yet; the oldest go first."""

_log = logging.getLogger(__name__)


class StateThread:
    """Owns the shared file; starts with the first job.

    Args:
        file: the file; from now on only the thread uses it.
        clock: monotonic seconds, the same for all processes.
        patience_s: how long `ask` waits at most.
        batch_s: how long attempts are collected before they are written.
    """

    def __init__(
        self,
        file: StateFile,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience_s: float = 0.25,
        batch_s: float = 1.0,
    ) -> None:
        self.owner = new_owner()
        self.clock = clock
        self.circuits: Mapping[tuple[str, str], CircuitRow] = {}
        """As last read, by endpoint and part."""
        self.keys: Mapping[tuple[str, str], KeyRow] = {}
        """As last read, by fingerprint and part."""
        self.recent: Sequence[AttemptRow] = ()
        """The attempts of the minute before the file was first read, oldest first."""
        self._saving: dict[tuple[str, str], KeyRow] = {}
        self._file = file
        self._patience_s = patience_s
        self._batch_s = batch_s
        self._looked = -math.inf
        self._away_until = -math.inf
        self._is_late = False
        self._is_closed = False
        self._is_reading = False
        self._has_warned = False
        self._was_corrupt = False
        self._jobs: queue.SimpleQueue[tuple[_Job | None, _Job | None]] = queue.SimpleQueue()
        self._attempts: deque[AttemptRow] = deque(maxlen=_MOST_WAITING)
        self._flush_at: float | None = None
        self._thread: threading.Thread | None = None
        self._start = threading.Lock()

    # ---------------------------------------------------------------- for everybody

    @property
    def is_away(self) -> bool:
        """Whether there is no use in waiting: the file is unusable, or the thread is stuck."""
        return self._is_late or self._is_closed or self.clock() < self._away_until

    def is_stale(self) -> bool:
        """Tell whether `ask(read)` is due before anything is decided; may start reading."""
        age = self.clock() - self._looked
        if age < _REFRESH_S:
            return False
        if age >= _MAX_AGE_S and not self.is_away:
            return True
        if not self._is_closed and self.clock() >= self._away_until:
            self.read_soon()
        return False

    def read_soon(self) -> None:
        """Start reading, without waiting for it."""
        if not self._is_reading:
            self._is_reading = True
            self.post(self.read)

    def post(self, job: _Job, over: _Job | None = None) -> None:
        """Have something done by the thread, and `over` after it; what it raises is logged."""
        if self._is_closed:
            return
        if self._thread is None:
            with self._start:
                if self._thread is None:
                    name = "victor shared state"
                    self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                    self._thread.start()
        self._jobs.put((job, over))

    def save_key(self, row: KeyRow) -> None:
        """Have what is known of a key written."""
        row = replace(row, part=clean(row.part), reason=clean(row.reason))
        self._saving[row.fingerprint, row.part] = row
        self.post(lambda: self._save_key(row))

    def known_keys(self) -> Mapping[tuple[str, str], KeyRow]:
        """Return what is known of keys, as last read and with what is being written."""
        if self.is_stale():
            self.read_soon()
        return {**self.keys, **self._saving} if self._saving else self.keys

    async def ask(self, job: _Job) -> None:
        """Have something done by the thread and wait for it, but not for long."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def over() -> None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_wake, done)

        self.post(job, over)
        await asyncio.wait((done,), timeout=self._patience_s)
        if not done.done():
            self._is_late = True
            self._warn(f"it did not answer within {self._patience_s:g} s")

    def record(self, row: AttemptRow) -> None:
        """Have an attempt written, with others, soon."""
        if self._is_closed:
            return
        self._attempts.append(row)
        if self._flush_at is None:
            self._flush_at = time.monotonic() + self._batch_s
            self.post(_nothing)

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is left, within a time, and end the thread; from now on nothing is shared."""
        self._is_closed = True
        if self._thread is not None:
            self._jobs.put((None, None))
            self._thread.join(timeout_s)

    # ---------------------------------------------------------------- for jobs, in the thread

    @property
    def file(self) -> StateFile:
        """The file.

        Raises:
            OSError: it is left alone for a while.
        """
        if self.clock() < self._away_until:
            raise _LeftAloneError
        return self._file

    def read(self) -> None:
        """Read what others wrote, and free the leases of the dead."""
        self._load()
        now = self.clock()
        for row in list(self.circuits.values()):
            if row.probe_until > now and row.probe_owner != self.owner and is_gone(row.probe_owner):
                freed = replace(row, epoch=row.epoch + 1, probe_owner="", probe_until=0.0)
                self.swap(freed, row.epoch)

    def swap(self, row: CircuitRow, epoch: int) -> bool:
        """Write a circuit's row if it still has that epoch, and see it at once."""
        if not self.file.swap(row, epoch):
            self._load()
            return False
        self.circuits = {**self.circuits, (row.endpoint, row.part): row}
        return True

    def _save_key(self, row: KeyRow) -> None:
        at = (row.fingerprint, row.part)
        try:
            self.file.save_key(row)
            self.keys = {**self.keys, at: row}
        finally:
            if self._saving.get(at) is row:
                del self._saving[at]

    # ---------------------------------------------------------------- the thread itself

    def _load(self) -> None:
        self._is_reading = False
        rows = self.file.read()
        if rows is not None:
            self.circuits, self.keys = rows.circuits, rows.keys
        if self._looked == -math.inf:
            self.recent = self.file.attempts(self.clock() - _RECENT_S)
        self._looked = self.clock()

    def _work(self) -> None:
        while True:
            try:
                job, over = self._jobs.get(timeout=self._until_flush())
            except queue.Empty:
                job, over = self._flush, None
            if job is None:
                break
            self._run(job)
            if over is not None:
                over()
            if self._until_flush() == 0:
                self._run(self._flush)
        self._run(self._flush)
        self._file.close()

    def _run(self, job: _Job) -> None:
        try:
            job()
            self._is_late = False
        except _LeftAloneError:
            self._is_late = False
        except (sqlite3.Error, OSError, ValueError) as error:
            self._is_late = False
            self._failed(error)
        except Exception:  # noqa: BLE001 - a bug in one job must not end the thread
            _log.exception("a job on the shared state failed")

    def _failed(self, error: Exception) -> None:
        if is_corrupt(error):
            try:
                aside = self._file.set_aside()
            except OSError as again:
                error = again
            else:
                self.circuits, self.keys = {}, {}
                self._warn(f"it was damaged ({error})" + (f" and is now {aside}" if aside else ""))
                if not self._was_corrupt:
                    self._was_corrupt = True
                    return  # with a new file all is well again
        self._away_until = self.clock() + _AWAY_S
        self._file.close()
        self._warn(str(error))

    def _until_flush(self) -> float | None:
        at = self._flush_at
        return None if at is None else max(0.0, at - time.monotonic())

    def _flush(self) -> None:
        self._flush_at = None  # before the rows are taken: what comes now asks again
        if not self._attempts:
            return
        file, rows = self.file, []
        while self._attempts:
            rows.append(self._attempts.popleft())
        file.add_attempts(rows)

    def _warn(self, why: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            path = self._file.path
            _log.warning("the state shared with other processes is not at hand: %s: %s", path, why)


class _LeftAloneError(OSError):
    """The file failed a moment ago."""


def _wake(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _nothing() -> None:
    return None
