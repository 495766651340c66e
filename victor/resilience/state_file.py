"""The file in which processes of one machine keep what they know of circuits, keys and attempts.

One SQLite database. Every change of a circuit is one compare-and-swap of its row, by the row's
epoch: of several processes that saw the same state, one wins, and the others read again. Times are
of the monotonic clock, which is the same for all processes of a boot; rows of another boot are as
good as absent, so nothing here has to survive a loss of power, and nothing is ever synced: a
killed process loses no write that was made, and its half-made one is rolled back by the next.

It is a rollback journal, not a write-ahead log: the log of SQLite before 3.51.3 can be corrupted by
two writers (https://sqlite.org/wal.html#walresetbug), and it cannot be read on a read-only disk.

Blocks; knows no event loop, no thread and no breaker.
Spec: https://sqlite.org/pragma.html
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

__all__ = [
    "AttemptRow",
    "CircuitRow",
    "KeyRow",
    "KeyState",
    "Rows",
    "StateFile",
    "clean",
    "is_corrupt",
]

KeyState: TypeAlias = Literal["ok", "parked", "quarantined"]

_VERSION: Final = 1
_MOST_ATTEMPTS: Final = 500
"""How many attempts are kept of each endpoint."""
_DAY_S: Final = 86_400.0
_MOST_ASIDE: Final = 3
_CORRUPT: Final = frozenset({1, 11, 26})
"""SQLITE_ERROR (the tables are not ours), SQLITE_CORRUPT and SQLITE_NOTADB.

https://sqlite.org/rescode.html
"""

_SCHEMA: Final = """
CREATE TABLE breaker (
  endpoint TEXT NOT NULL, part TEXT NOT NULL, boot TEXT NOT NULL, state TEXT NOT NULL,
  until REAL NOT NULL, trips INTEGER NOT NULL, epoch INTEGER NOT NULL,
  probe_owner TEXT NOT NULL, probe_until REAL NOT NULL, last_error TEXT NOT NULL,
  updated REAL NOT NULL, PRIMARY KEY (endpoint, part)
) WITHOUT ROWID;
CREATE TABLE keys (
  fingerprint TEXT NOT NULL, part TEXT NOT NULL, boot TEXT NOT NULL, state TEXT NOT NULL,
  until REAL NOT NULL, reason TEXT NOT NULL, updated REAL NOT NULL,
  PRIMARY KEY (fingerprint, part)
) WITHOUT ROWID;
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, part TEXT NOT NULL, boot TEXT NOT NULL,
  at REAL NOT NULL, seconds REAL NOT NULL, vote TEXT NOT NULL, error TEXT NOT NULL,
  updated REAL NOT NULL
);
CREATE INDEX attempts_of ON attempts (endpoint, id);
"""
_SWAP: Final = """
INSERT INTO breaker VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (endpoint, part) DO UPDATE SET
  boot = excluded.boot, state = excluded.state, until = excluded.until, trips = excluded.trips,
  epoch = excluded.epoch, probe_owner = excluded.probe_owner, probe_until = excluded.probe_until,
  last_error = excluded.last_error, updated = excluded.updated
WHERE breaker.epoch = ? OR breaker.boot <> excluded.boot
"""
_CIRCUITS: Final = """
SELECT endpoint, part, state, until, trips, epoch, probe_owner, probe_until, last_error
FROM breaker WHERE boot = ?
"""
_FORGET: Final = """
DELETE FROM attempts WHERE endpoint = ? AND id <=
  (SELECT id FROM attempts WHERE endpoint = ? ORDER BY id DESC LIMIT 1 OFFSET ?)
"""


@dataclass(frozen=True, slots=True)
class CircuitRow:
    """What is known of one circuit; times are monotonic seconds of this boot."""

    endpoint: str
    part: str
    """What of the endpoint may fail alone; empty for the whole."""
    state: Literal["closed", "open"]
    until: float = 0.0
    """When a call may be let through."""
    trips: int = 0
    epoch: int = 0
    """Grows by one with each change."""
    probe_owner: str = ""
    """The process whose trial call is on its way (`machine.new_owner`) …"""
    probe_until: float = 0.0
    """… and how long the others wait for it."""
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class KeyRow:
    """What is known of one key, or of one key for one part of an endpoint."""

    fingerprint: str
    """Never the key."""
    state: KeyState
    part: str = ""
    """What it is parked for; empty for everything."""
    until: float = 0.0
    """When it may be used again, in monotonic seconds of this boot; may be infinite."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt that is over."""

    endpoint: str
    part: str
    at: float
    """When it ended, in monotonic seconds of this boot."""
    seconds: float
    vote: str
    error: str = ""
    """Type and first line of its failure."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What the file says of circuits and keys, by (endpoint, part) and by (fingerprint, part)."""

    circuits: dict[tuple[str, str], CircuitRow]
    keys: dict[tuple[str, str], KeyRow]


class StateFile:
    """One connection to the file; to be used by one thread.

    Every method may raise `sqlite3.Error` and `OSError`, after which it may be called again.

    Args:
        path: the file; it and its folder are made when needed, for this user alone.
        boot: `machine.boot_id()`.
        busy_s: how long to wait for a process that is writing.
    """

    def __init__(self, path: Path, boot: str, *, busy_s: float = 2.0) -> None:
        self.path = path
        self._boot = boot
        self._busy_s = busy_s
        self._open: sqlite3.Connection | None = None
        self._inode = 0
        self._is_tidy = False
        self._seen = -1

    def read(self) -> Rows | None:
        """Return everything, or None if nothing changed since it was last read."""
        if self._open is not None and self._inode != _inode(self.path):
            self.close()  # deleted, or moved aside by somebody who found it corrupt
        connection = self._connection()
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version == self._seen:
            return None
        circuits = [_circuit(each) for each in connection.execute(_CIRCUITS, (self._boot,))]
        query = "SELECT fingerprint, state, part, until, reason FROM keys WHERE boot = ?"
        keys = [_key(each) for each in connection.execute(query, (self._boot,))]
        self._seen = version
        return Rows(
            {(each.endpoint, each.part): each for each in circuits},
            {(each.fingerprint, each.part): each for each in keys},
        )

    def swap(self, row: CircuitRow, epoch: int) -> bool:
        """Write a circuit's row if the row there still has that epoch; 0 is for none.

        Returns:
            False if somebody else was faster.
        """
        values = (
            *(row.endpoint, row.part, self._boot, row.state, row.until, row.trips, row.epoch),
            *(row.probe_owner, row.probe_until, row.last_error, time.time()),
        )
        return self._connection().execute(_SWAP, (*values, epoch)).rowcount == 1

    def save_key(self, row: KeyRow) -> None:
        """Write what is known of a key; the last one to write is right."""
        values = (row.fingerprint, row.part, self._boot, row.state, row.until, row.reason)
        query = "INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)"
        self._connection().execute(query, (*values, time.time()))

    def add_attempts(self, rows: Sequence[AttemptRow]) -> None:
        """Append attempts; of each endpoint the last five hundred are kept."""
        now, boot = time.time(), self._boot
        values = [
            (each.endpoint, each.part, boot, each.at, each.seconds, each.vote, each.error, now)
            for each in rows
        ]
        with _transaction(self._connection()) as connection:
            connection.executemany(
                "INSERT INTO attempts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", values
            )
            if not self._is_tidy:
                for table in ("attempts", "breaker", "keys"):
                    connection.execute(f"DELETE FROM {table} WHERE updated < ?", (now - _DAY_S,))  # noqa: S608 - names of ours
                self._is_tidy = True
            for endpoint in {each.endpoint for each in rows}:
                connection.execute(_FORGET, (endpoint, endpoint, _MOST_ATTEMPTS))

    def attempts(self, since: float) -> list[AttemptRow]:
        """Return the attempts that ended since then, oldest first."""
        query = (
            "SELECT endpoint, part, at, seconds, vote, error FROM attempts "
            "WHERE boot = ? AND at >= ? ORDER BY id"
        )
        found = self._connection().execute(query, (self._boot, since))
        return [AttemptRow(*each) for each in found]

    def set_aside(self) -> Path | None:
        """Move a corrupt file out of the way; None if somebody else has done so already."""
        inode = self._inode
        self.close()
        if not inode or inode != _inode(self.path):
            return None
        beside = [Path(f"{self.path}.corrupt-{n}") for n in range(1, _MOST_ASIDE + 1)]
        target = next((each for each in beside if not each.exists()), beside[-1])
        # With the new file its journal would be played back into that.
        Path(f"{self.path}-journal").unlink(missing_ok=True)
        self.path.replace(target)
        return target

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        connection, self._open, self._seen = self._open, None, -1
        if connection is not None:
            connection.close()

    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Only where it is missing: closing a file drops all locks this process has on it.
            if not self.path.exists():
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._inode = _inode(self.path)
            connection = sqlite3.connect(self.path, timeout=self._busy_s, isolation_level=None)
            try:
                _prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._open = connection
        return self._open


def clean(text: str) -> str:
    """Return the text with what UTF-8, and so the file, cannot hold replaced."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_corrupt(error: BaseException) -> bool:
    """Tell whether an error means that the file is no database, or a damaged one."""
    if isinstance(error, ValueError):  # no number where there has to be one
        return True
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _CORRUPT


def _prepare(connection: sqlite3.Connection) -> None:
    # Damaged text is no reason to fail.
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
    if _version(connection) == _VERSION:
        return
    with _transaction(connection):
        version = _version(connection)
        if version > _VERSION:
            raise sqlite3.NotSupportedError("a newer victor made it")
        if version == 0:
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_VERSION}")


def _version(connection: sqlite3.Connection) -> int:
    with closing(connection.execute("PRAGMA user_version")) as cursor:
        return int(cursor.fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _circuit(values: Sequence[Any]) -> CircuitRow:
    endpoint, part, state, until, trips, epoch, owner, probe_until, last_error = values
    known: Literal["closed", "open"] = "open" if state == "open" else "closed"
    until, probe_until = float(until), float(probe_until)
    return CircuitRow(
        endpoint, part, known, until, int(trips), int(epoch), owner, probe_until, last_error
    )


def _key(values: Sequence[Any]) -> KeyRow:
    fingerprint, state, part, until, reason = values
    return KeyRow(fingerprint, state, part, float(until), reason)


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
