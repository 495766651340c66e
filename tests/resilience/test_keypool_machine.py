from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.resilience.clocks import Clock
from tests.resilience.keys import (
    FAST,
    FORBIDDEN,
    REFUSED,
    SPENT,
    UNPAID,
    after,
    pool,
    rests,
)
from victor.errors import ProviderError, ProviderServerError
from victor.resilience.keypool import KeyLease

PARTS = ["m", "n", None]
ERRORS: list[BaseException | None] = [
    None, REFUSED, FORBIDDEN, UNPAID, SPENT, FAST, after(0), after(20), after(700),
    ProviderServerError("down"), GeneratorExit(),
]  # fmt: skip


class PoolMachine(RuleBasedStateMachine):
    """A model beside the pool: until when each (key, part) may not be used at the earliest."""

    @initialize(keys=st.integers(1, 4))
    def start(self, keys: int) -> None:
        self.clock = Clock()
        self.pool = pool(*(f"key-{number}" for number in range(keys)), clock=self.clock)
        self.keys = [f"key-{number}" for number in range(keys)]
        self.flying: list[KeyLease] = []
        self.until: dict[tuple[str, str | None], float] = {}

    def rests(self, key: str, part: str | None) -> bool:
        return any(self.until.get((key, of), 0) > self.clock.now for of in (None, part))

    @rule(seconds=st.sampled_from([0.5, 5.0, 30.0, 400.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(part=st.sampled_from(PARTS), session=st.sampled_from(["s", "t", None]))
    def lease(self, part: str | None, session: str | None) -> None:
        usable = [key for key in self.keys if not self.rests(key, part)]
        if not usable:
            with pytest.raises(ProviderError, match="no key can be used") as caught:
                self.pool.lease(part, session)
            first = min(
                max(self.until.get((key, of), 0) for of in (None, part)) for key in self.keys
            )
            assert caught.value.retry_after == pytest.approx(first - self.clock.now)
            return
        before = {each.fingerprint: each.in_flight for each in self.pool.snapshot()}
        lease = self.pool.lease(part, session)
        assert lease.key in usable
        if session is None and not any(key.troubles for key in self.pool._keys):
            assert before[lease.fingerprint] == min(before.values())
        self.flying.append(lease)

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), error=st.sampled_from(ERRORS))
    def release(self, data: st.DataObject, error: BaseException | None) -> None:
        lease = self.flying.pop(data.draw(st.integers(0, len(self.flying) - 1)))
        state = self.pool.snapshot()
        blamed = lease.release(error)
        if not blamed:
            # Nothing but the count may change; what is over is not shown.
            assert [each.rests for each in state] == [each.rests for each in self.pool.snapshot()]
        for part, wait in rests(self.pool, lease.key).items():
            self.until[lease.key, part] = self.clock.now + wait
            assert wait <= 86_400
        assert blamed or error in (None, *ERRORS[-2:])
        settled = self.pool.snapshot()
        assert lease.release(REFUSED) is False
        assert self.pool.snapshot() == settled

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), seconds=st.floats(0, 50))
    def hold(self, data: st.DataObject, seconds: float) -> None:
        lease = data.draw(st.sampled_from(self.flying))
        self.pool.hold(lease.fingerprint, lease.part, seconds)
        for part, wait in rests(self.pool, lease.key).items():
            self.until[lease.key, part] = self.clock.now + wait

    @invariant()
    def what_is_under_way_is_counted(self) -> None:
        for each in self.pool.snapshot():
            mine = [lease for lease in self.flying if lease.fingerprint == each.fingerprint]
            assert each.in_flight == len(mine)

    @invariant()
    def keys_rest_as_long_as_they_were_told_to(self) -> None:
        for key in self.keys:
            expected = {
                part for (of, part), until in self.until.items()
                if of == key and until > self.clock.now
            }  # fmt: skip
            assert set(rests(self.pool, key)) == expected

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            return
        for lease in self.flying:
            lease.release()
        self.clock.now += 86_401
        assert [each.in_flight for each in self.pool.snapshot()] == [0] * len(self.keys)
        assert [each.rests for each in self.pool.snapshot()] == [()] * len(self.keys)
        for part in PARTS:
            self.pool.lease(part).release()


PoolMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestPoolMachine = PoolMachine.TestCase
