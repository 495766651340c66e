"""What may be wrong with a key, for how long, and what is told when no key is left.

Values only. Knows neither the keys nor who leases them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from victor.errors import (
    ProviderAuthError,
    ProviderError,
    ProviderPermissionError,
    ProviderQuotaError,
    ProviderRateLimitError,
)

__all__ = ["KeyPolicy", "Trouble", "TroubleKind", "diagnosed", "refusal"]

TroubleKind: TypeAlias = Literal["refused", "spent", "limited"]
"""The key is not accepted; its money or quota is used up; it was used too fast."""

_MOST_NAMED: Final = 8


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """For how long a key is left alone. Times are seconds.

    Raises:
        ValueError: a time is not above 0.
    """

    refused_s: float = 600.0
    """After a 401 or 403; a key that was repaired at the vendor comes back by itself."""
    spent_s: float = 600.0
    """After a used-up quota without a reset: somebody may pay meanwhile."""
    limited_s: float = 1.0
    """After the first 429 without a reset; twice as long after each further one in a row."""
    most_limited_s: float = 60.0
    """The longest of these."""
    most_s: float = 86_400.0
    """A reset further away than this is not believed."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0 seconds, not {getattr(self, name)!r}")

    def rest_s(self, kind: TroubleKind, strikes: int, stated: float | None) -> float:
        """Say for how long a key is left alone.

        Args:
            kind: what is wrong with it.
            strikes: how often in a row that was found, from 1.
            stated: seconds until the reset, where the server named one.
        """
        if stated is not None and kind != "refused" and stated >= 0:
            return min(stated, self.most_s)
        if kind == "limited":
            return min(self.limited_s * 2.0 ** min(strikes - 1, 64), self.most_limited_s)
        return self.refused_s if kind == "refused" else self.spent_s


@dataclass(slots=True)
class Trouble:
    """What is wrong with one key, or with one key for one part of the endpoint."""

    kind: TroubleKind
    until: float
    """When the key may be tried again, on the pool's clock."""
    status: int | None
    """The HTTP status that told it."""
    strikes: int
    """How often in a row it was found."""
    since: int
    """What the pool's count of leases was; only a later lease can disprove it."""


@dataclass(frozen=True, slots=True)
class _Words:
    error: type[ProviderError]
    text: str


_WORDS: Final = MappingProxyType(
    {
        "refused": _Words(ProviderAuthError, "was refused"),
        "spent": _Words(ProviderQuotaError, "has used up its quota"),
        "limited": _Words(ProviderRateLimitError, "has reached its rate limit"),
    }
)


def diagnosed(error: BaseException, part: str | None) -> tuple[TroubleKind, str | None] | None:
    """Tell what an error says about the key, and for which part of the endpoint.

    Args:
        error: what a request failed with.
        part: what the request was for.

    Returns:
        None if it says nothing about the key; a part of None is the whole key.
    """
    match error:
        case ProviderPermissionError():
            return "refused", part  # the key is right, and may do other things
        case ProviderAuthError():
            return "refused", None
        case ProviderQuotaError():
            # Without money nothing goes; a quota (429) may be that of one model.
            return "spent", None if error.status_code == 402 else part
        case ProviderRateLimitError():
            return "limited", part
        case _:
            return None


def refusal(
    found: Iterable[tuple[str, Trouble]], *, now: float, part: str | None, owner: str
) -> ProviderError:
    """Make the error for a request that no key is left for: that of the key which is back first.

    Args:
        found: fingerprints and what is wrong with them; not empty.
        now: the time, on the pool's clock.
        part: what the request was for.
        owner: whose keys they are.
    """
    keys = sorted(found, key=lambda each: each[1].until)
    first = keys[0][1]
    told = [_told(mark, trouble, now) for mark, trouble in keys[:_MOST_NAMED]]
    if len(keys) > _MOST_NAMED:
        told.append(f"and {len(keys) - _MOST_NAMED} more")
    aim = "" if part is None else f" for {part}"
    hint = ""
    if first.kind == "refused":
        hint = f". `victor keys list` shows where they are; `victor keys set {owner}` replaces one"
    wait = max(0.0, first.until - now)
    return _WORDS[first.kind].error(
        f"{owner}: no key can be used{aim}: {'; '.join(told)}{hint}",
        provider=owner,
        model=part,
        status_code=first.status,
        retry_after=wait if math.isfinite(wait) else None,
    )


def _told(mark: str, trouble: Trouble, now: float) -> str:
    status = "" if trouble.status is None else f" ({trouble.status})"
    wait = trouble.until - now
    again = f", next try in {_span(wait)}" if math.isfinite(wait) else ""
    return f"{mark} {_WORDS[trouble.kind].text}{status}{again}"


def _span(seconds: float) -> str:
    seconds = max(0.0, seconds)
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
