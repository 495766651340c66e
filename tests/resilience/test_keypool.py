from __future__ import annotations

import threading

import pytest

from tests.resilience.clocks import Clock
from tests.resilience.keys import (
    FAST,
    FORBIDDEN,
    REFUSED,
    SPENT,
    UNPAID,
    A,
    B,
    C,
    after,
    pool,
    rests,
    used,
)
from victor.config.api_keys import fingerprint
from victor.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderQuotaError,
    ProviderRateLimitError,
    ProviderServerError,
)
from victor.resilience.key_trouble import KeyPolicy
from victor.resilience.keypool import KeyPool

# ---------------------------------------------------------------------------- choosing


def test_the_key_with_the_fewest_requests_under_way_is_taken() -> None:
    found = pool(A, B, C)
    leases = [found.lease() for _ in range(6)]
    assert sorted(lease.key for lease in leases) == [A, A, B, B, C, C]
    leases[1].release()
    assert found.lease().key == leases[1].key


def test_of_equal_keys_the_one_used_last_is_taken() -> None:
    found = pool()
    first, second = found.lease(), found.lease()
    assert (first.key, second.key) == (A, B)
    first.release()
    second.release()
    assert [used(found) for _ in range(3)] == [B, B, B]


def test_a_session_keeps_its_key_while_that_works() -> None:
    found = pool()
    mine = found.lease(session="mine")
    other = found.lease(session="other")
    assert mine.key != other.key
    others = [found.lease() for _ in range(4)]
    assert found.lease(session="mine").key == mine.key
    assert found.lease(session="other").key == other.key
    assert others
    mine.release(REFUSED)
    assert found.lease(session="mine").key == other.key


def test_a_session_stays_with_the_key_it_moved_to() -> None:
    clock = Clock()
    found = pool(clock=clock)
    moved = found.lease("m", "mine")
    moved.release(after(5))
    assert found.lease("m", "mine").key != moved.key
    clock.now += 10
    assert found.lease("m", "mine").key != moved.key


def test_the_session_used_longest_ago_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.resilience.keypool._MOST_SESSIONS", 2)
    found = pool()
    for name in ("first", "second", "first", "third"):
        found.lease(session=name)
    assert list(found._sessions) == ["first", "third"]


def test_another_key_is_none_of_those_tried() -> None:
    found = pool(A, B, C)
    tried: set[str] = set()
    for key in (A, B, C):
        lease = found.another("m", "mine", tried)
        assert lease is not None
        assert lease.key == key
        tried.add(lease.fingerprint)
    assert found.another("m", "mine", tried) is None
    assert found.refusal("m") is None


# ---------------------------------------------------------------------------- giving it back


def test_a_lease_is_returned_once() -> None:
    found = pool()
    lease = found.lease()
    assert lease.release() is False
    assert lease.release(REFUSED) is False
    assert [key.in_flight for key in found.snapshot()] == [0, 0]
    assert rests(found, A) == {}


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), GeneratorExit(), ValueError("ours"), ProviderServerError("down")],
    ids=lambda error: type(error).__name__,
)
def test_a_lease_is_returned_on_every_way_out(error: BaseException) -> None:
    found = pool()

    def request() -> None:
        with found.lease():
            assert [key.in_flight for key in found.snapshot()] == [1, 0]
            raise error

    with pytest.raises(type(error)):
        request()
    assert [key.in_flight for key in found.snapshot()] == [0, 0]
    assert rests(found, A) == {}


@pytest.mark.parametrize(
    ("error", "part", "wait"),
    [
        (REFUSED, None, 600),
        (ProviderAuthError("no", status_code=401, retry_after=5), None, 600),
        (FORBIDDEN, "m", 600),
        (UNPAID, None, 600),
        (ProviderQuotaError("no", status_code=402, retry_after=50), None, 50),
        (SPENT, "m", 600),
        (ProviderQuotaError("no", status_code=429, retry_after=7200), "m", 7200),
        (FAST, "m", 1),
        (after(12), "m", 12),
        (after(1e12), "m", 86_400),
        (after(float("inf")), "m", 86_400),
        (after(float("nan")), "m", 1),
        (after(-3), "m", 1),
    ],
    ids=["401", "401 with a wait", "403", "402", "402 with a reset", "quota", "quota with a reset",
         "429", "429 with a wait", "far away", "for ever", "no number", "past"],
)  # fmt: skip
def test_an_error_lets_a_key_rest(error: ProviderError, part: str | None, wait: float) -> None:
    found = pool()
    lease = found.lease("m")
    assert lease.release(error) is True
    assert rests(found, A) == {part: wait}
    assert found.lease("m").key == B
    assert found.lease("other model").key == (B if part is None else A)


def test_waits_without_a_reset_double_until_one_succeeds() -> None:
    clock = Clock()
    found = pool(A, clock=clock, policy=KeyPolicy(most_limited_s=6))
    for wait in (1, 2, 4, 6, 6):
        used(found, FAST, "m")
        assert rests(found, A) == {"m": wait}
        clock.now += wait
    used(found, None, "m")
    used(found, FAST, "m")
    assert rests(found, A) == {"m": 1}


def test_requests_sent_before_the_trouble_was_known_bring_no_news() -> None:
    clock = Clock()
    found = pool(A, clock=clock)
    burst = [found.lease("m") for _ in range(50)]
    for lease in burst[:40]:
        lease.release(FAST)
    assert rests(found, A) == {"m": 1}
    burst[40].release(after(9))
    burst[41].release(after(3))
    assert rests(found, A) == {"m": 9}
    burst[42].release(None)
    assert rests(found, A) == {"m": 9}


def test_a_limit_stated_before_it_is_broken_holds_the_key_back() -> None:
    clock = Clock()
    found = pool(clock=clock)
    lease = found.lease("m")
    found.hold(lease.fingerprint, "m", 5)
    lease.release()
    assert rests(found, A) == {"m": 5}
    assert used(found, part="m") == B
    assert used(found, part="n") == B
    assert A not in {found.lease("m").key for _ in range(3)}
    clock.now += 5
    assert found.lease("m").key == A


# ---------------------------------------------------------------------------- coming back


def test_a_key_that_was_refused_is_tried_by_one_request_while_others_work() -> None:
    clock = Clock()
    found = pool(clock=clock)
    used(found, REFUSED)
    clock.now += 600
    assert used(found) == B  # nobody has to try it while another key is free
    busy = [found.lease() for _ in range(4)]
    assert [lease.key for lease in busy] == [B, A, B, B]
    busy[1].release()
    assert [found.lease().key for _ in range(3)] == [A, A, A]


def test_keys_that_were_all_refused_are_all_tried_again() -> None:
    clock = Clock()
    found = pool(clock=clock)
    for _ in range(2):
        used(found, REFUSED)
    with pytest.raises(ProviderAuthError):
        found.lease()
    clock.now += 600
    assert sorted(found.lease().key for _ in range(4)) == [A, A, B, B]


# ---------------------------------------------------------------------------- nobody is left


def test_the_error_is_that_of_the_key_which_is_back_first() -> None:
    found = pool(A, B, C)
    for error in (REFUSED, after(12.5), UNPAID):
        used(found, error, "m")
    with pytest.raises(ProviderRateLimitError) as caught:
        found.lease("m")
    a, b, c = (fingerprint(key) for key in (A, B, C))
    assert str(caught.value) == (
        f"acme: no key can be used for m: {b} has reached its rate limit (429), next try in 12.5 s;"
        f" {a} was refused (401), next try in 10 min;"
        f" {c} has used up its quota (402), next try in 10 min"
    )
    assert caught.value.retry_after == 12.5
    assert (caught.value.status_code, caught.value.provider, caught.value.model) == (
        429, "acme", "m",
    )  # fmt: skip
    refusal = found.refusal("m")
    assert str(refusal) == str(caught.value)
    assert found.refusal("n") is None


def test_an_error_of_refused_keys_names_the_next_step() -> None:
    found = pool(A)
    used(found, REFUSED)
    with pytest.raises(ProviderAuthError, match=r"`victor keys set acme` replaces one") as caught:
        found.lease()
    assert caught.value.retry_after == 600
    assert "no key can be used: " in str(caught.value)


def test_a_pool_of_many_keys_names_a_few() -> None:
    found = pool(*(f"key-{number}" for number in range(20)))
    for _ in range(20):
        used(found, ProviderQuotaError("no", status_code=429, retry_after=7200), "m")
    refusal = found.refusal("m")
    assert refusal is not None
    assert str(refusal).count("next try in 2.0 h") == 8
    assert str(refusal).endswith("; and 12 more")


def test_no_repr_state_or_error_shows_a_key() -> None:
    found = pool()
    lease = found.lease("m")
    shown = [found, lease, found.snapshot(), found.lease(), vars(found)["_keys"]]
    for error in (REFUSED, FAST):
        used(found, error, "m")
    lease.release(REFUSED)
    refusal = found.refusal("m")
    assert refusal is not None
    text = f"{shown!r} {refusal!r} {vars(refusal)}"
    assert "secret" not in text
    assert fingerprint(A) in text


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_a_policy_without_times_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="refused_s must be above 0"):
        KeyPolicy(refused_s=bad)


def test_a_pool_needs_keys_and_counts_repeated_ones_once() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        KeyPool([])
    assert pool(A, B, A).fingerprints == (fingerprint(A), fingerprint(B))


def test_parts_without_number_do_not_pile_up() -> None:
    clock = Clock()
    found = pool(A, clock=clock)
    for number in range(200):
        used(found, FAST, f"m{number}")
        clock.now += 10
    assert len(found._keys[0].troubles) <= 64


def test_threads_share_a_pool() -> None:
    found = pool(A, B, C)

    def work() -> None:
        for number in range(300):
            with found.lease(f"m{number % 3}", f"s{number % 5}"):
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [key.in_flight for key in found.snapshot()] == [0, 0, 0]
