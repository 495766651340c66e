from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.keys import (
    REFUSED,
    UNPAID,
    A,
    B,
    after,
    rests,
    used,
)
from victor.config.api_keys import fingerprint
from victor.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderQuotaError,
    ProviderRateLimitError,
)
from victor.resilience.key_store import SharedKeyStore, shared_key_store
from victor.resilience.keypool import KeyPool
from victor.resilience.shared_state import SharedState
from victor.resilience.state_file import KeyRow


class Store:
    """Keeps rows as another process would see them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], KeyRow] = {}

    def load(self, fingerprints: Iterable[str]) -> Sequence[KeyRow]:
        known = set(fingerprints)
        return [row for row in self.rows.values() if row.fingerprint in known]

    def save(self, row: KeyRow) -> None:
        self.rows[row.fingerprint, row.part] = row


@pytest.mark.parametrize(
    ("error", "kind", "part"),
    [(REFUSED, ProviderAuthError, None), (after(30), ProviderRateLimitError, "m"),
     (UNPAID, ProviderQuotaError, None)],
    ids=["401", "429", "402"],
)  # fmt: skip
def test_what_one_pool_found_out_the_others_know(
    error: ProviderError, kind: type[ProviderError], part: str | None
) -> None:
    clock, store = Clock(), Store()
    mine = KeyPool([A], owner="acme", clock=clock, store=store)
    other = KeyPool([A], owner="acme", clock=clock, store=store)
    used(mine, error, "m")
    with pytest.raises(kind) as caught:
        other.lease("m")
    told, own = caught.value, mine.refusal("m")
    assert own is not None
    assert (str(told), told.status_code) == (str(own), error.status_code)
    assert (other.refusal("n") is None) is (part is not None)
    assert "secret" not in repr(store.rows)


def test_pools_share_through_whatever_has_joined() -> None:
    clock, store, shared = Clock(), Store(), SharedKeyStore()
    mine = KeyPool([A], clock=clock, store=shared)
    used(mine, REFUSED)
    assert store.rows == {}
    shared.join(store)
    clock.now += 600
    used(mine, REFUSED)
    other = KeyPool([A], clock=clock, store=shared)
    assert other.refusal() is not None
    shared.join(None)
    assert KeyPool([A], clock=clock, store=shared).refusal() is None
    assert shared_key_store() is shared_key_store()


async def test_processes_that_share_a_file_know_of_each_others_keys(tmp_path: Path) -> None:
    states = [SharedState(tmp_path / "resilience.db") for _ in range(2)]
    mine, other = (KeyPool([A, B], store=state.keys) for state in states)
    used(mine, REFUSED)
    for _ in range(200):
        if other.snapshot()[0].rests:
            break
        other.refusal()
        await asyncio.sleep(0.05)
    assert rests(other, A)[None] == pytest.approx(rests(mine, A)[None], abs=1)
    for state in states:
        state.close()


def test_a_key_that_works_again_works_for_all() -> None:
    clock, store = Clock(), Store()
    mine = KeyPool([A, B], clock=clock, store=store)
    other = KeyPool([A, B], clock=clock, store=store)
    used(mine, REFUSED)
    assert other.lease().key == B
    clock.now += 600
    first, second = mine.lease(), mine.lease()
    for lease in (first, second):
        lease.release()
    assert A in (first.key, second.key)
    assert store.rows[fingerprint(A), ""].state == "ok"
    assert other.lease().key == A
    assert rests(other, A) == {}


def test_rows_that_are_behind_us_or_not_ours_change_nothing() -> None:
    clock, store = Clock(), Store()
    found = KeyPool([A], clock=clock, store=store)
    late = KeyRow(fingerprint(A), "parked", "", clock.now + 10, "limited 429")
    store.rows["x", ""] = late
    assert found.refusal() is not None
    clock.now += 10
    used(found)  # clears it, and says so
    store.rows["x", ""] = late  # the file has not been written yet
    assert found.refusal() is None
    store.rows["y", ""] = KeyRow(fingerprint(A), "parked", "m", clock.now - 1, "limited 429")
    assert found.refusal("m") is None
    found._adopt([KeyRow("ffffffff", "quarantined", "", clock.now + 10)], clock.now)
    assert found.refusal() is None


def test_a_row_without_words_is_taken_by_its_state() -> None:
    clock, store = Clock(), Store()
    found = KeyPool([A, B], clock=clock, store=store)
    for key in (A, B):
        store.save(KeyRow(fingerprint(key), "quarantined", "", float("inf"), "?"))
    with pytest.raises(ProviderAuthError) as caught:
        found.lease()
    assert caught.value.retry_after is None
    assert "was refused;" in str(caught.value)
