"""The rate limits a server states with an answer: how much is left, and until when.

Reads the headers of all vendors by one rule: a name is built of a word for rate limits, one of
limit, remaining and reset, and what is counted. Knows nothing about what to do with them.

Sources: https://docs.anthropic.com/en/api/rate-limits#response-headers,
https://platform.openai.com/docs/guides/rate-limits, https://console.groq.com/docs/rate-limits
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from victor.resilience.retry_after import http_date

__all__ = ["RateLimit", "parse_duration", "rate_limits", "reset_after"]

_FAMILY = re.compile(r"(?:x-|anthropic-)?(?:ratelimit|ratelimitby(?P<by>[a-z]+)|tokenlimit)-(.+)")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|s|m|h|d)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_UNITS |= {"d": 86400.0}
_EPOCH_S = 1e9
"""A reset above this is a moment, not a number of seconds; a thousand times that, in ms."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One limit, as far as the server stated it."""

    name: str
    """What is counted, such as `requests`, `tokens`, `input-tokens` or `requests-day`."""
    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    """Seconds until it is full again, at least 0."""


def rate_limits(headers: Mapping[str, str], now: datetime | None = None) -> list[RateLimit]:
    """Read every rate limit from an answer's headers.

    Args:
        headers: names in any case.
        now: our time, aware; moments are taken relative to the server's `date`, else to this.
            Default: the current time.
    """
    found: dict[str, RateLimit] = {}
    values = {str(name).lower(): str(value).strip() for name, value in headers.items()}
    for header, value in values.items():
        match = _FAMILY.fullmatch(header)
        if match is None:
            continue
        words = match[2].split("-")
        what = next((word for word in ("limit", "remaining", "reset") if word in words), None)
        if what is None:
            continue
        words.remove(what)
        counted = "tokens" if header.startswith("x-tokenlimit") else (match["by"] or "requests")
        name = "-".join(words) or counted
        number = _until(value, values, now) if what == "reset" else _number(value)
        if number is not None:
            changes: dict[str, Any] = {"reset_s" if what == "reset" else what: number}
            found[name] = replace(found.get(name, RateLimit(name)), **changes)
    return list(found.values())


def reset_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return how long to wait after a 429 that has no Retry-After.

    That is until the last of the limits that are used up resets; where none says so, until the
    first reset.
    """
    known = [one for one in rate_limits(headers, now) if one.reset_s is not None]
    spent = [one.reset_s or 0.0 for one in known if one.remaining is not None and one.remaining < 1]
    if spent:
        return max(spent)
    return min((one.reset_s or 0.0 for one in known), default=None)


def parse_duration(text: str) -> float | None:
    """Read a duration as Go writes it (`1m0.5s`, `120ms`) or as plain seconds.

    Returns:
        Seconds; None where it is neither.
    """
    number = _number(text)
    if number is not None:
        return number
    parts = _PART.findall(text)
    if not parts or "".join(value + unit for value, unit in parts) != text.strip():
        return None
    return sum(float(value) * _UNITS[unit] for value, unit in parts)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _until(value: str, headers: Mapping[str, str], now: datetime | None) -> float | None:
    seconds = parse_duration(value)
    if seconds is not None and seconds < _EPOCH_S:
        return seconds
    if seconds is not None:
        moment = seconds / 1000 if seconds > _EPOCH_S * 1000 else seconds
        return max(0.0, moment - _now(headers, now).timestamp())
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    parsed = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
    return max(0.0, (parsed - _now(headers, now)).total_seconds())


def _now(headers: Mapping[str, str], now: datetime | None) -> datetime:
    return http_date(headers.get("date")) or now or datetime.now(UTC)
