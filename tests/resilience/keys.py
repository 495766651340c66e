"""Pools of keys for tests: what they are asked, and what rests in them."""

from __future__ import annotations

from tests.resilience.clocks import Clock
from victor.config.api_keys import fingerprint
from victor.errors import (
    ProviderAuthError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
)
from victor.resilience.key_trouble import KeyPolicy
from victor.resilience.keypool import KeyPool

__all__ = [
    "FAST",
    "FORBIDDEN",
    "REFUSED",
    "SPENT",
    "UNPAID",
    "A",
    "B",
    "C",
    "after",
    "pool",
    "rests",
    "used",
]

A, B, C = "sk-secret-a", "sk-secret-b", "sk-secret-c"
REFUSED = ProviderAuthError("no", status_code=401)
FORBIDDEN = ProviderPermissionError("no", status_code=403)
UNPAID = ProviderQuotaError("no", status_code=402)
SPENT = ProviderQuotaError("no", status_code=429)
FAST = ProviderRateLimitError("no", status_code=429)


def after(seconds: float) -> ProviderRateLimitError:
    return ProviderRateLimitError("no", status_code=429, retry_after=seconds)


def pool(*keys: str, clock: Clock | None = None, policy: KeyPolicy | None = None) -> KeyPool:
    return KeyPool(
        keys or (A, B), owner="acme", clock=clock or Clock(), policy=policy or KeyPolicy()
    )


def used(found: KeyPool, error: BaseException | None = None, part: str | None = None) -> str:
    lease = found.lease(part)
    lease.release(error)
    return lease.key


def rests(found: KeyPool, key: str) -> dict[str | None, float]:
    state = next(each for each in found.snapshot() if each.fingerprint == fingerprint(key))
    return {rest.part: rest.wait_s for rest in state.rests}
