"""Several keys for one endpoint: with which of them the next request goes out.

The one with the fewest requests under way among those that work; of equals the one used last,
because the server's prompt cache is warm for it. Who names a session keeps the key of that session
while it works: caches, and whatever else a server ties to a key, stay usable. A key that is refused
rests, for everything or for the part of the endpoint that refused it, and comes back by itself.

Knows nothing about HTTP or about what a key opens. A key leaves as `KeyLease.key` and in no other
way; messages, states and reprs have its fingerprint.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from victor.config.api_keys import fingerprint
from victor.errors import ProviderError
from victor.resilience.key_trouble import KeyPolicy, Trouble, TroubleKind, diagnosed, refusal

if TYPE_CHECKING:
    from victor.resilience.shared_state import KeyStore
    from victor.resilience.state_file import KeyRow, KeyState

__all__ = ["KeyLease", "KeyPool", "KeyRest", "KeySnapshot"]

_MOST_SESSIONS: Final = 4096
_MOST_PARTS: Final = 64
_ON_TRIAL: Final = 1 << 20
"""More than a key ever has in flight: while one request tries it, others go elsewhere."""
_POLICY: Final = KeyPolicy()


@dataclass(frozen=True, slots=True)
class KeyRest:
    """Why a key is not used just now."""

    kind: TroubleKind
    part: str | None
    """What it is not used for; None is everything."""
    wait_s: float
    """Seconds until it is tried again."""


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """One key at one moment."""

    fingerprint: str
    in_flight: int
    rests: tuple[KeyRest, ...]


class _Key:
    __slots__ = ("fingerprint", "in_flight", "troubles", "used", "value")

    def __init__(self, value: str) -> None:
        self.value = value
        self.fingerprint = fingerprint(value)
        self.in_flight = 0
        self.used = 0
        self.troubles: dict[str | None, Trouble] = {}
        """By part; those that are over stay until a later lease disproves them."""

    def trouble(self, part: str | None) -> Trouble | None:
        """Return what keeps the key from being used for a part, or did so last."""
        whole, own = self.troubles.get(None), self.troubles.get(part)
        if whole is None or own is None:
            return whole or own
        return whole if whole.until >= own.until else own


class KeyLease:
    """One key for one request; returned exactly once, by `release` or at the end of a `with`."""

    __slots__ = ("_is_returned", "_key", "_number", "_pool", "part")

    def __init__(self, pool: KeyPool, key: _Key, part: str | None, number: int) -> None:
        self._pool = pool
        self._key = key
        self._number = number
        self._is_returned = False
        self.part = part

    @property
    def key(self) -> str:
        """The key itself."""
        return self._key.value

    @property
    def fingerprint(self) -> str:
        """What tells the key from others and may be shown."""
        return self._key.fingerprint

    def release(self, error: BaseException | None = None) -> bool:
        """Give the key back; see `KeyPool.release`."""
        return self._pool.release(self, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.release(self, error)

    def __repr__(self) -> str:
        return f"<KeyLease {self.fingerprint} for {self.part or 'anything'}>"


class KeyPool:
    """The keys of one endpoint. Safe to share by threads.

    Args:
        keys: the keys; repeated ones count once.
        owner: whose keys they are, for the errors.
        policy: for how long a key rests.
        clock: monotonic seconds.
        store: where what is found out about keys is shared with other pools and processes.

    Raises:
        ValueError: there are no keys.
    """

    def __init__(
        self,
        keys: Iterable[str],
        *,
        owner: str = "the endpoint",
        policy: KeyPolicy = _POLICY,
        clock: Callable[[], float] = time.monotonic,
        store: KeyStore | None = None,
    ) -> None:
        self._keys = [_Key(value) for value in dict.fromkeys(keys)]
        if not self._keys:
            raise ValueError("a pool needs at least one key")
        self._by_fingerprint = {key.fingerprint: key for key in self._keys}
        self._owner = owner
        self._policy = policy
        self._clock = clock
        self._store = store
        self._read: dict[tuple[str, str], KeyRow] = {}
        self._written: dict[tuple[str, str], KeyRow] = {}
        self._sessions: OrderedDict[str, _Key] = OrderedDict()
        self._leases = 0
        self._lock = Lock()

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """What may be shown of the keys, in their order."""
        return tuple(key.fingerprint for key in self._keys)

    def lease(self, part: str | None = None, session: str | None = None) -> KeyLease:
        """Take a key for one request.

        Args:
            part: what of the endpoint the request is for, such as a model.
            session: requests of one session go out with one key while that works.

        Raises:
            ProviderError: every key rests; the type, `retry_after` and status are those of the
                key that is back first.
        """
        with self._lock:
            now = self._now()
            lease = self._leased(part, session, (), now)
            if lease is None:
                raise self._refusal(part, now)
            return lease

    def another(
        self, part: str | None, session: str | None, tried: Collection[str]
    ) -> KeyLease | None:
        """Take a key for a request that failed because of others; None where none is left.

        Args:
            part: as in `lease`.
            session: as in `lease`; it moves to the new key.
            tried: the fingerprints of those others.
        """
        with self._lock:
            return self._leased(part, session, tried, self._now())

    def release(self, lease: KeyLease, error: BaseException | None = None) -> bool:
        """Take a key back. Only the first call for a lease counts.

        Args:
            lease: from `lease` or `another`.
            error: what the request failed with, and None if it succeeded. One that is not about
                the key, such as a cancellation, says nothing.

        Returns:
            Whether the key is to blame: it rests from now on.
        """
        with self._lock:
            if lease._is_returned:
                return False
            lease._is_returned = True
            key = lease._key
            key.in_flight -= 1
            if error is None:
                if key.troubles:
                    self._disproved(key, lease)
                return False
            found = diagnosed(error, lease.part)
            if found is None:
                return False
            stated = error.retry_after if isinstance(error, ProviderError) else None
            status = error.status_code if isinstance(error, ProviderError) else None
            self._rest(key, *found, stated=stated, status=status, number=lease._number)
            return True

    def hold(self, mark: str, part: str | None, seconds: float) -> None:
        """Let a key rest for a part before it is refused: the server said that nothing is left.

        Args:
            mark: the key's fingerprint.
            part: what of the endpoint the limit is for.
            seconds: until the limit is reset.
        """
        with self._lock:
            key = self._by_fingerprint[mark]
            self._rest(key, "limited", part, stated=seconds, status=None, number=0)

    def refusal(self, part: str | None = None) -> ProviderError | None:
        """Return the error that `lease` would raise now; None if it would not."""
        with self._lock:
            now = self._now()
            return None if self._best(part, (), now) else self._refusal(part, now)

    def snapshot(self) -> tuple[KeySnapshot, ...]:
        """Describe the keys as they are now."""
        with self._lock:
            now = self._now()
            return tuple(
                KeySnapshot(
                    key.fingerprint,
                    key.in_flight,
                    tuple(
                        KeyRest(trouble.kind, part, trouble.until - now)
                        for part, trouble in key.troubles.items()
                        if trouble.until > now
                    ),
                )
                for key in self._keys
            )

    def __repr__(self) -> str:
        return f"<KeyPool of {self._owner}: {', '.join(self.fingerprints)}>"

    # Everything below runs with the lock held.

    def _now(self) -> float:
        now = self._clock()
        if self._store is not None:
            self._adopt(self._store.load(self.fingerprints), now)
        return now

    def _leased(
        self, part: str | None, session: str | None, tried: Collection[str], now: float
    ) -> KeyLease | None:
        key = None if session is None else self._sessions.get(session)
        if key is None or key.fingerprint in tried or not _is_usable(key, part, now):
            key = self._best(part, tried, now)
            if key is None:
                return None
        if session is not None:
            self._sessions[session] = key
            self._sessions.move_to_end(session)
            if len(self._sessions) > _MOST_SESSIONS:
                self._sessions.popitem(last=False)
        self._leases += 1
        key.in_flight += 1
        key.used = self._leases
        return KeyLease(self, key, part, self._leases)

    def _best(self, part: str | None, tried: Collection[str], now: float) -> _Key | None:
        best: _Key | None = None
        best_load = 0.0
        for key in self._keys:
            load: float = key.in_flight
            if key.troubles:
                if not _is_usable(key, part, now):
                    continue
                if _is_on_trial(key, part):
                    load += _ON_TRIAL if load else 0.5
            if tried and key.fingerprint in tried:
                continue
            if best is None or (load, best.used) < (best_load, key.used):
                best, best_load = key, load
        return best

    def _rest(
        self,
        key: _Key,
        kind: TroubleKind,
        part: str | None,
        *,
        stated: float | None,
        status: int | None,
        number: int,
    ) -> None:
        now, before = self._clock(), key.troubles.get(part)
        # What was sent before the trouble was known brings no news of it.
        is_news = before is None or number > before.since
        strikes = 1
        if before is not None and before.kind == kind:
            strikes = before.strikes + is_news
        until = now + self._policy.rest_s(kind, strikes, stated)
        if before is not None and not is_news and before.until >= until:
            return
        if len(key.troubles) >= _MOST_PARTS:
            key.troubles = {of: each for of, each in key.troubles.items() if each.until > now}
        key.troubles[part] = Trouble(kind, until, status, strikes, self._leases)
        self._share(key, part)

    def _disproved(self, key: _Key, lease: KeyLease) -> None:
        for part in {None, lease.part}:
            trouble = key.troubles.get(part)
            if trouble is not None and trouble.since < lease._number:
                del key.troubles[part]
                self._share(key, part)

    def _refusal(self, part: str | None, now: float) -> ProviderError:
        found = [(key.fingerprint, key.trouble(part)) for key in self._keys]
        return refusal(
            [(mark, trouble) for mark, trouble in found if trouble is not None],
            now=now,
            part=part,
            owner=self._owner,
        )

    # ---------------------------------------------------------------- what is shared

    def _share(self, key: _Key, part: str | None) -> None:
        if self._store is None:
            return
        from victor.resilience.state_file import KeyRow

        trouble, of = key.troubles.get(part), part or ""
        row = KeyRow(key.fingerprint, "ok", of)
        if trouble is not None:
            state: KeyState = "quarantined" if trouble.kind == "refused" else "parked"
            reason = f"{trouble.kind} {trouble.status or ''}".strip()
            row = KeyRow(key.fingerprint, state, of, trouble.until, reason)
        self._written[key.fingerprint, of] = row
        self._store.save(row)

    def _adopt(self, rows: Sequence[KeyRow], now: float) -> None:
        for row in rows:
            at = (row.fingerprint, row.part)
            # What was seen before, or comes from here, is no news.
            if self._read.get(at) == row:
                continue
            self._read[at] = row
            if self._written.get(at) == row:
                continue
            key, part = self._by_fingerprint.get(row.fingerprint), row.part or None
            if key is not None and row.state == "ok":
                key.troubles.pop(part, None)
            elif key is not None and row.until > now:
                key.troubles[part] = _read_trouble(row, self._leases)


def _read_trouble(row: KeyRow, since: int) -> Trouble:
    kind, _, status = row.reason.partition(" ")
    known: TroubleKind = "refused" if row.state == "quarantined" else "limited"
    if kind == "spent":
        known = "spent"
    return Trouble(known, row.until, int(status) if status.isdigit() else None, 1, since)


def _is_usable(key: _Key, part: str | None, now: float) -> bool:
    trouble = key.trouble(part) if key.troubles else None
    return trouble is None or trouble.until <= now


def _is_on_trial(key: _Key, part: str | None) -> bool:
    trouble = key.trouble(part)
    return trouble is not None and trouble.kind != "limited"
