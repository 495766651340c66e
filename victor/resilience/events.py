"""What the guard says while it works: typed events for logs, renderers and tests.

Data only. Knows neither who listens nor what is guarded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

__all__ = [
    "AttemptFailed",
    "AttemptStarted",
    "BreakerClosed",
    "BreakerEvent",
    "BreakerHalfOpened",
    "BreakerOpened",
    "FailedOver",
    "GuardEvent",
    "Held",
    "KeySwitched",
    "RetryScheduled",
    "one_line",
]


@dataclass(frozen=True, slots=True)
class GuardEvent:
    """Something that happened within one guarded call."""


@dataclass(frozen=True, slots=True)
class AttemptStarted(GuardEvent):
    """A try begins."""

    attempt: int
    """From 1."""
    owner: str = ""
    """Whose endpoint is called, such as a provider's name …"""
    part: str | None = None
    """… and what of it, such as a model."""


@dataclass(frozen=True, slots=True)
class Held(GuardEvent):
    """An attempt has to wait before it may begin: for its turn, or for a key that rests."""

    reason: str
    """What it waits for, on one line."""
    wait_s: float
    """As far as is known now; others may be faster, or need less."""


@dataclass(frozen=True, slots=True)
class KeySwitched(GuardEvent):
    """A key was refused, and the same request goes out with another."""

    old: str
    """A fingerprint, never the key; so is the other."""
    new: str
    error: Exception


@dataclass(frozen=True, slots=True)
class FailedOver(GuardEvent):
    """The next one of several is asked."""

    old: str
    """Provider and model, as `provider/model`."""
    new: str
    error: Exception
    notes: tuple[str, ...] = ()
    """What of the conversation the new one does not get as it was."""


@dataclass(frozen=True, slots=True)
class AttemptFailed(GuardEvent):
    """One try failed. Whether another follows is not known yet."""

    error: Exception
    attempt: int
    """From 1."""
    seconds: float
    """How long the try took."""


@dataclass(frozen=True, slots=True)
class RetryScheduled(GuardEvent):
    """The call will be tried again after a wait."""

    error: Exception
    """What the last try failed with."""
    wait_s: float
    attempt: int
    """The try that failed, from 1."""


@dataclass(frozen=True, slots=True)
class BreakerOpened:
    """Calls are refused from now on."""

    name: str
    retry_at: float
    """When the next call will be let through, on the breaker's clock; infinite if forced open."""
    error: BaseException | None
    open_s: float = math.inf
    """How long that is from now, in seconds."""


@dataclass(frozen=True, slots=True)
class BreakerHalfOpened:
    """One trial call is on its way."""

    name: str


@dataclass(frozen=True, slots=True)
class BreakerClosed:
    """Calls go through again."""

    name: str


BreakerEvent: TypeAlias = BreakerOpened | BreakerHalfOpened | BreakerClosed
"""What a listener is told."""


def one_line(error: BaseException) -> str:
    """Return an error as type and first line of its message, at most 200 characters."""
    lines = str(error).splitlines()
    text = type(error).__name__ + (f": {lines[0]}" if lines else "")
    return text if len(text) <= 200 else text[:199] + "…"
