"""Where the key pools of this process share what they find out: nowhere, until a store joins.

Pools may be made before or after that. Knows nothing about keys or about what a store does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from victor.resilience.shared_state import KeyStore
    from victor.resilience.state_file import KeyRow

__all__ = ["SharedKeyStore", "shared_key_store"]


class SharedKeyStore:
    """A `KeyStore` that passes on to another one, which may change."""

    def __init__(self) -> None:
        self._store: KeyStore | None = None

    def join(self, store: KeyStore | None) -> None:
        """Share through this store from now on; None ends it."""
        self._store = store

    def load(self, fingerprints: Iterable[str]) -> Sequence[KeyRow]:
        store = self._store
        return () if store is None else store.load(fingerprints)

    def save(self, row: KeyRow) -> None:
        if self._store is not None:
            self._store.save(row)


@cache
def shared_key_store() -> SharedKeyStore:
    """Return the one of this process."""
    return SharedKeyStore()
