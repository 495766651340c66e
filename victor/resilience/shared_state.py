"""What the processes of one machine know together of circuits, keys and attempts.

Ten terminals learn of an outage once and send one trial call. All of it is a help and none of it a
condition: without a usable file each process goes on with what it knows by itself, with one warning
in the log. Off until `share_state()` is called; a process that makes no calls does no I/O, and no
call waits for the disk longer than a quarter of a second.

Where a call comes after a pause, what others wrote is read first (well under a millisecond); in a
burst it is read once or twice a second, beside the calls. After `os.fork` the child is on its own.

Knows nothing about what is guarded, and nothing about the terminal.
"""

from __future__ import annotations

import atexit
import math
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from victor.config.settings import state_path
from victor.errors import ConfigError
from victor.resilience.circuits import SharedCircuits, shared_circuits
from victor.resilience.key_store import shared_key_store
from victor.resilience.machine import boot_id
from victor.resilience.state_file import AttemptRow, CircuitRow, KeyRow, Rows, StateFile
from victor.resilience.state_thread import StateThread
from victor.resilience.ties import Ties
from victor.resilience.votes import Vote

__all__ = [
    "CircuitState",
    "EndpointStatus",
    "KeyStore",
    "SharedState",
    "read_status",
    "share_state",
    "shared_state_path",
]

CircuitState: TypeAlias = Literal["closed", "open", "half-open"]

_HOUR_S: Final = 3600.0


class KeyStore(Protocol):
    """Where a pool of keys keeps what it knows of them. Nothing here blocks or raises."""

    def load(self, fingerprints: Iterable[str]) -> Sequence[KeyRow]:
        """Return what is known of these keys, rows whose time is over included."""

    def save(self, row: KeyRow) -> None:
        """Pass on what was found out about a key."""


class SharedState:
    """The shared state of this process: a file, the thread that works on it, and who uses it.

    Args:
        path: the file; it and its folder are made when needed.
        clock: monotonic seconds, the same for all processes and for the breakers.
        boot: what tells this boot of the machine from others; times of others mean nothing.
        patience_s: how long a call waits for the file before it goes on without.
        batch_s: how long attempts are collected before they are written.
        busy_s: how long the thread waits for another process that is writing.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        boot: str | None = None,
        patience_s: float = 0.25,
        batch_s: float = 1.0,
        busy_s: float = 2.0,
    ) -> None:
        self.path = path
        file = StateFile(path, boot or boot_id(), busy_s=busy_s)
        self._thread = StateThread(file, clock=clock, patience_s=patience_s, batch_s=batch_s)
        self.keys: KeyStore = _Keys(self._thread)
        """For pools of keys."""

    def attach(self, circuits: SharedCircuits) -> None:
        """Share these circuits, those to come too; `circuits.join(None)` ends it."""
        circuits.join(lambda each: Ties(self._thread, each))

    def close(self, timeout_s: float = 1.0) -> None:
        """Write what is left, within a time; from then on each process is on its own."""
        self._thread.close(timeout_s)


def shared_state_path() -> Path:
    """Return where the file is by default."""
    return state_path() / "resilience.db"


def share_state(path: Path | None = None) -> SharedState:
    """Share what this process knows of circuits and keys with all others of this user.

    It ends with the process; a second call for the same file changes nothing.

    Args:
        path: the file; by default `shared_state_path()`.
    """
    return _shared(path or shared_state_path())


@cache
def _shared(path: Path) -> SharedState:
    state = SharedState(path)
    state.attach(shared_circuits())
    shared_key_store().join(state.keys)
    atexit.register(state.close)
    return state


class _Keys:
    def __init__(self, thread: StateThread) -> None:
        self._thread = thread

    def load(self, fingerprints: Iterable[str]) -> Sequence[KeyRow]:
        known = self._thread.known_keys()
        if not known:
            return ()
        wanted = frozenset(fingerprints)
        return [row for row in known.values() if row.fingerprint in wanted]

    def save(self, row: KeyRow) -> None:
        self._thread.save_key(row)


# -------------------------------------------------------------------- for those who look


@dataclass(frozen=True, slots=True)
class EndpointStatus:
    """What is known of an endpoint, or of a part of one; numbers are of the last hour."""

    name: str
    state: CircuitState
    retry_at_s: float | None
    """Seconds until a call may be let through, 0 if the next one is; None if closed."""
    last_error: str | None
    """What opened the circuit; if it is closed, the last failure of the hour."""
    calls: int
    """Attempts that said something, of the last five hundred."""
    success_rate: float | None
    """Share of the calls that succeeded, 0 to 1; None without calls."""
    p50_s: float | None
    """Seconds that half of the successful calls took at most; None if there were none."""
    p95_s: float | None
    """Seconds that 95 of 100 successful calls took at most; None if there were none."""
    parts: tuple[EndpointStatus, ...] = ()
    """The same for its parts, such as models, by name."""


def read_status(
    path: Path | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    boot: str | None = None,
) -> list[EndpointStatus]:
    """Return what processes of this machine have found out about endpoints, by name.

    Blocks for the time of a small read. A missing file is an empty one.

    Args:
        path: the file; by default `shared_state_path()`.
        clock: monotonic seconds, the same for all processes.
        boot: as for `SharedState`.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = path or shared_state_path()
    now = clock()
    if not path.exists():
        return []
    try:
        with closing(StateFile(path, boot or boot_id(), busy_s=1.0)) as file:
            rows = file.read() or Rows({}, {})
            attempts = file.attempts(now - _HOUR_S)
    except (sqlite3.Error, OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read: {error}. It may be deleted: it only holds what the next "
            "calls will find out anyway."
        ) from error
    names = {name for name, _ in rows.circuits} | {each.endpoint for each in attempts}
    return [_endpoint(name, rows.circuits, attempts, now) for name in sorted(names)]


def _endpoint(
    name: str,
    circuits: dict[tuple[str, str], CircuitRow],
    attempts: Sequence[AttemptRow],
    now: float,
) -> EndpointStatus:
    own = [each for each in attempts if each.endpoint == name]
    parts = {part for of, part in circuits if of == name} | {each.part for each in own}
    return _status(
        name,
        circuits.get((name, "")),
        own,
        now,
        tuple(
            _status(part, circuits.get((name, part)), [x for x in own if x.part == part], now)
            for part in sorted(parts - {""})
        ),
    )


def _status(
    name: str,
    row: CircuitRow | None,
    attempts: Sequence[AttemptRow],
    now: float,
    parts: tuple[EndpointStatus, ...] = (),
) -> EndpointStatus:
    state: CircuitState = "closed"
    retry_at_s: float | None = None
    errors = [each.error for each in attempts if each.error]
    last_error = errors[-1] if errors else None
    if row is not None and row.state == "open":
        is_probed = row.probe_until > now
        state = "half-open" if is_probed else "open"
        retry_at_s = max(0.0, (row.probe_until if is_probed else row.until) - now)
        last_error = row.last_error or last_error
    took = sorted(each.seconds for each in attempts if each.vote == Vote.OK)
    return EndpointStatus(
        name,
        state,
        retry_at_s,
        last_error,
        calls=len(attempts),
        success_rate=len(took) / len(attempts) if attempts else None,
        p50_s=_percentile(took, 0.50),
        p95_s=_percentile(took, 0.95),
        parts=parts,
    )


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the smallest value that so many are not above (nearest rank)."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
